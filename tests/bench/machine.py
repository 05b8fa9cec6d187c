"""What a run ran on, and with: figures mean nothing without it."""

import os
import platform
import socket
from importlib import metadata
from pathlib import Path

import fairlead
from bench.labs import NODES
from substrate import versions
from substrate.progress import Failure


def describe(cores: int) -> dict[str, str]:
    """No host names and no paths: the page is published."""
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": f"{cores} of {os.cpu_count()}" if cores != os.cpu_count() else str(cores),
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, {platform.machine()}",
        "Fairlead": fairlead.__version__,
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in ("aiohttp", "msgspec", "uvloop", "kopf")},
        "Kubernetes": versions.KUBERNETES,
        "etcd": versions.ETCD,
        "KWOK": f"{versions.KWOK}, {NODES} nodes in 3 zones",
    }


def use_cores(wanted: int) -> int:
    """Keep this process and all it starts on so many cores, where there are more; how many it is."""
    allowed = sorted(os.sched_getaffinity(0))[:wanted]
    os.sched_setaffinity(0, allowed)
    return len(allowed)


def address() -> str:
    """One of its own: the API server takes no loopback for a node's address, nor for an endpoint's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # nothing is sent
        except OSError:
            raise Failure("this is measured with nodes that have an address: this machine has none") from None
        found: str = probe.getsockname()[0]
        return found


def _first(file: str, key: str) -> str:
    for line in Path(file).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"
