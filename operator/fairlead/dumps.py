"""No image of this process's memory on a disk: there are keys and values in it."""

from __future__ import annotations

# One byte and not none: a limit of 0 keeps the kernel from writing a file, but not from handing the image to a program
# (core_pattern with a pipe, as systemd-coredump has it); at 1 it does neither (Linux fs/coredump.c, do_coredump).
_LIMIT = 1


def forbid() -> None:
    """From now on a crash leaves no core file, of this process and of those it starts. Where a system knows no such limit,
    nothing happens."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    limit = _LIMIT if most == resource.RLIM_INFINITY else min(_LIMIT, most)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, most))
