"""Free ports, kept apart from those of other labs."""

import random
import socket
from collections.abc import Iterable

# Below what Linux hands out for outgoing connections, which could take a port at any time, and below what activators listen on.
_RANGE = range(10000, 20000)


def free(count: int, taken: Iterable[int]) -> list[int]:
    """Ports nobody listens on and nobody has been promised."""
    promised = set(taken)
    found: list[int] = []
    candidates = [port for port in _RANGE if port not in promised]
    random.shuffle(candidates)
    for port in candidates:
        if len(found) == count:
            break
        if _unused(port):
            found.append(port)
    return found


def _unused(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
