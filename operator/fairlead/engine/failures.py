"""Refused writes: what the status must say of them, and when they may be tried again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fairlead.core.actions import Failure
from fairlead.core.meta import Key
from fairlead.engine.job import Intent
from fairlead.engine.queue import RESOLUTION, backoff

# Refusals that concern one name only: with another name the write may well succeed. The last two are those of a resize (kubernetes
# plugin/pkg/admission/podresize): a node that has no room for it at all, or is not one of Linux.
_OF_A_NAME = frozenset({"NameTaken", "NotOwned", "NodeCapacity", "UnsupportedPlatform"})

# Kinds of which a refusal of one is a refusal of all that are alike: the next would meet the same quota, policy or missing right.
CROWDS = frozenset({"Pod", "Pod/status", "Pod/resize"})
# But a resize that is invalid is so for what that one pod is, such as of another class of service.
_RESIZE, _INVALID = "Pod/resize", 422


@dataclass(slots=True)
class _Held:
    failure: Failure
    generation: int  # of the parent when it was refused: a new spec is worth a new try
    until: float  # monotonic


class Failures:
    """Per key: the last refusal of each verb and kind, held back with a doubling pause.

    A refused pod create holds back all pod creates of the same revision (the next name would meet the same quota or policy), but
    not another revision's: what is refused may be the template, and what comes to mend it must not wait behind it. Other kinds are
    held by name. A held write is not sent, however many events ask for it.
    """

    def __init__(
        self,
        pause: tuple[float, float],
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._pause = pause
        self._clock = clock
        self._monotonic = monotonic
        self._rng = rng
        self._held: dict[Key, dict[Intent, _Held]] = {}  # without a name where it holds for all names

    def of(self, key: Key) -> tuple[Failure, ...]:
        """For the next observe, in a stable order."""
        held = self._held.get(key)
        return tuple(held[slot].failure for slot in sorted(held)) if held else ()

    def holds(self, key: Key, intent: Intent, generation: int) -> bool:
        """Whether this write must wait."""
        held = self._held.get(key)
        if not held:
            return False
        now = self._monotonic() + RESOLUTION
        return any(
            entry is not None and entry.generation == generation and now < entry.until
            for entry in (held.get(_of_all(intent)), held.get(intent))
        )

    def record(self, key: Key, intent: Intent, code: int, reason: str, message: str, generation: int) -> None:
        verb, kind, alike, name = intent
        alone = kind not in CROWDS or reason in _OF_A_NAME or (kind, code) == (_RESIZE, _INVALID)
        slot = intent if alone else _of_all(intent)
        entries = self._held.setdefault(key, {})
        before = entries.get(slot)
        same = before is not None and before.failure.reason == reason and before.failure.code == code
        count = before.failure.count + 1 if before is not None and same else 1
        since = before.failure.since if before is not None and same else self._clock()
        tries = count if before is not None and before.generation == generation else 1
        failure = Failure(verb, kind, name, code, reason, message, since, count, alone, alike)
        entries[slot] = _Held(failure, generation, self._monotonic() + backoff(tries, *self._pause, self._rng))

    def succeeded(self, key: Key, intent: Intent) -> None:
        entries = self._held.get(key)
        if entries:
            entries.pop(_of_all(intent), None)
            entries.pop(intent, None)
            self._tidy(key)

    def unwanted(self, key: Key, wanted: Iterable[Intent], generation: int) -> None:
        """The plan does not ask for these writes any more: drop their refusals, but not before their pause is over or
        the spec has changed, so that a plan that reacts to a refusal by waiting does wait."""
        entries = self._held.get(key)
        if not entries:
            return
        still = {intent.crowd for intent in wanted}
        now = self._monotonic() + RESOLUTION  # as `wait`, or nobody would come back for it
        for slot, held in list(entries.items()):
            if slot.crowd not in still and (now >= held.until or held.generation != generation):
                del entries[slot]
        self._tidy(key)

    def wait(self, key: Key, since: float | None = None) -> float | None:
        """Seconds until the next held write may be tried again; None when none is held. `since`: when the pass began
        that asks (now, unless said). A pause that ended during the pass counts, for the write may have been held back
        before that, while the status was written for longer than the pause had left; nobody else would come back for
        it. (A write whose pause was over by then, and that was still not tried, waits for something else, such as a
        Revision for its pods.)"""
        now = self._monotonic()
        began = (now if since is None else since) + RESOLUTION
        times = [max(0.0, entry.until - now) for entry in self._held.get(key, {}).values() if entry.until > began]
        return min(times) if times else None

    def forget(self, key: Key) -> None:
        self._held.pop(key, None)

    def _tidy(self, key: Key) -> None:
        if not self._held.get(key):
            self._held.pop(key, None)


def _of_all(intent: Intent) -> Intent:
    return intent._replace(name="")
