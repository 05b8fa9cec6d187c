"""What processes cost: CPU time and memory from /proc, and how much of the machine went to anyone else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Readings of several processes at one moment. CPU in seconds since each started, memory in bytes."""

    cpu: Mapping[str, float]
    rss: Mapping[str, int]
    peak: Mapping[str, int]
    machine: float
    """CPU seconds of the whole machine since it booted, whoever spent them."""
    at: float
    """Monotonic seconds."""


def read(pids: Mapping[str, int], at: float) -> Usage:
    """Readings of the processes named; one that is gone is an error, since its cost would be missing."""
    memory = {name: _memory(pid) for name, pid in pids.items()}
    return Usage(
        cpu={name: cpu_seconds(pid) for name, pid in pids.items()},
        rss={name: one["VmRSS"] for name, one in memory.items()},
        peak={name: one["VmHWM"] for name, one in memory.items()},
        machine=_machine_busy(),
        at=at,
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads, to a hundredth of a second."""
    # The name before the fields may hold blanks and brackets; utime and stime are fields 14 and 15 (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK


def spent(before: Usage, after: Usage) -> dict[str, float]:
    """CPU seconds of each process between two readings."""
    return {name: after.cpu[name] - before.cpu[name] for name in before.cpu}


def foreign_share(before: Usage, after: Usage, cores: int) -> float:
    """The share of the machine that processes other than those read have used in between: what makes a run noisy.

    >>> start = Usage({"a": 1.0}, {}, {}, machine=10.0, at=0.0)
    >>> end = Usage({"a": 4.0}, {}, {}, machine=14.0, at=5.0)
    >>> foreign_share(start, end, cores=2)
    0.1
    """
    elapsed = after.at - before.at
    if elapsed <= 0:
        return 0.0
    others = (after.machine - before.machine) - sum(spent(before, after).values())
    return max(0.0, others) / (elapsed * cores)


def _memory(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line.startswith(("VmRSS", "VmHWM")))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def _machine_busy() -> float:
    """Busy CPU seconds of all cores: everything but idle, waiting for disks, and guests (counted in user already)."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) * _TICK
