"""The time that plans get: the wall clock, without jumps that do not last."""

from __future__ import annotations

from collections.abc import Callable

LEAP = 10.0  # seconds between two looks that no clock goes wrong by while it is merely adjusted
LASTS = 60.0  # seconds after which a leap is the truth


class SteadyClock:
    """Seconds since 1970 by `wall`, as long as that keeps step with `monotonic`.

    A clock that is set an hour ahead for a moment, by a bad time server or a restored machine, would let every release that
    is under way miss its deadline at once, and each would be taken back. So a leap is not believed until it has lasted;
    meanwhile time goes on from where it was. A clock that was wrong from the start is right a minute after it was put right.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()
        self._leapt: tuple[float, float] | None = None  # (the new offset, since when it is seen)

    def __call__(self) -> float:
        ran = self._monotonic()
        offset = self._wall() - ran
        if abs(offset - self._offset) <= LEAP or self._lasts(offset, ran):
            self._offset, self._leapt = offset, None
        return ran + self._offset

    def _lasts(self, offset: float, ran: float) -> bool:
        if self._leapt is None or abs(offset - self._leapt[0]) > LEAP:
            self._leapt = (offset, ran)
        return ran - self._leapt[1] >= LASTS
