"""The same spec and the same edits, given to a Deployment and to an App side by side: at every moment both keep to the
limits, whenever both are at rest both have the same pods, and both end in the same state.

A sequence is made from a seed. Even ones go step by step: after each edit both come to rest and are compared. Odd ones are
in a hurry: edits come while the last ones are still being carried out, and only the limits and the end are compared.

FAIRLEAD_DIFFERENTIAL=300 runs so many sequences instead of a dozen; FAIRLEAD_SEEDS=12,34 those again.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from fairlead.kube.client import Client
from fairlead.kube.http import HttpClient
from fairlead.kube.resources import APPS, NAMESPACES, PODS, REVISIONS
from parity.ledger import NO_LIMITS
from parity.mirror import Mirror
from parity.sides import BAD, DEPLOYMENTS, NAME, REPLICA_SETS, AsApp, AsDeployment, Side, Standing, Wish, asked
from support.lab import Lab

# Sequences that once ended in a difference: more pods than allowed after a restart and an undo (the first two), and a scale
# in the middle of a roll where rounding leaves one pod to the largest.
# What a Deployment does under a pause and an App does not: with another maxSurge (the next two), with an earlier template (two
# more); what it does with another maxSurge in the middle of a roll, and in a hurry.
KEPT = (519336, 249199, 59840, 663080, 135403, 702886, 482028, 91046, 840221, 714828)

SEQUENCES = int(os.environ.get("FAIRLEAD_DIFFERENTIAL", "12"))
AT_ONCE = 8  # sequences side by side: more only waits for two cores
EDITS = 6
PATIENCE = 240.0  # seconds, for both sides to come to rest: upstream backs off for long on a busy machine
QUIET = 0.5  # seconds in which nothing may change, besides minReadySeconds
BUDGETS = [(1, 0), (0, 1), (2, 1), (3, 2), ("25%", "25%"), ("50%", 0), (0, "50%")]


@dataclass
class Sequence:
    """One pair of sides and what was asked of both."""

    seed: int
    deployment: AsDeployment
    app: AsApp
    mirror: Mirror
    namespace: str
    chance: random.Random = field(init=False)
    wish: Wish = field(init=False)
    images: int = 0
    restarts: int = 0
    rebudgeted: bool = False  # in the middle of the roll there is now
    renumbered: bool = False  # a Deployment has given an earlier template a number while it was paused, used or not
    apart: bool = False  # the App is ahead, as it may be; until both are complete again there is nothing to compare
    ahead: int = 0  # how often that came about
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        surge, unavailable = self.chance.choice(BUDGETS)
        self.wish = Wish(self._next_image(), self.chance.randint(1, 8), surge, unavailable)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.deployment, self.app

    @property
    def hurried(self) -> bool:
        return self.seed % 2 == 1

    async def run(self) -> None:
        self.log.append(f"{self.wish}")
        asked(self.sides, self.wish)
        for side in self.sides:
            await side.create(self.wish)
        await self.complete()
        for _ in range(EDITS):
            await self.edit()
            if self.hurried:
                await asyncio.sleep(self.chance.random())  # a person's pace, not something to wait for
            else:
                await self.rest()
        await self.end()

    # ------------------------------------------------------------ edits

    async def edit(self) -> None:
        """One random edit that both kinds understand."""
        edits = {self.new_image: 5, self.resize: 4, self.rebudget: 2, self.toggle_pause: 3, self.mind: 1, self.kill: 3}
        if not self.wish.paused:  # kubectl refuses both where it is
            edits |= {self.undo: 3, self.restart: 1}
        (chosen,) = self.chance.choices(list(edits), list(edits.values()))
        await chosen()

    async def new_image(self) -> None:
        bad = self.chance.random() < 0.4
        image = self._next_image(self.chance.choice(BAD) if bad else "")
        if self.chance.random() < 0.2 and (earlier := self._earlier()):
            image = self.chance.choice(earlier)
            self.apart |= self.wish.paused  # what is paused stays as it is; a Deployment may let go of the others' pods
            self.renumbered |= self.wish.paused
        self._note(f"image {image}")
        self.wish.image = image
        await asyncio.gather(*(side.image(image) for side in self.sides))

    async def resize(self) -> None:
        """In the middle of a roll sizes are spread by their share, and what rounding leaves goes to the largest, whether its
        pods serve or not: upstream's rule, which may go below the floor where there are to be fewer pods."""
        before, self.wish.replicas = self.wish.replicas, self.chance.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 10])
        self._note(f"replicas {self.wish.replicas}")
        # It shares by the maxSurge that stands in its sets' annotations, which is an old one until their sizes change.
        self.apart |= self.rebudgeted and not self._complete()
        asked(self.sides, self.wish, floor=before <= self.wish.replicas or self._complete())
        await asyncio.gather(*(side.replicas(self.wish.replicas) for side in self.sides))

    async def rebudget(self) -> None:
        self.wish.surge, self.wish.unavailable = self.chance.choice(BUDGETS)
        self._note(f"maxSurge {self.wish.surge} maxUnavailable {self.wish.unavailable}")
        asked(self.sides, self.wish)
        self.rebudgeted = True
        if self.wish.paused:  # a Deployment spreads the room over its revisions at once, and keeps to no limit
            self.deployment.ledger.asked(NO_LIMITS)
            self.apart = True
        await asyncio.gather(*(side.budget(self.wish.surge, self.wish.unavailable) for side in self.sides))

    async def toggle_pause(self) -> None:
        self.wish.paused = not self.wish.paused
        self._note("pause" if self.wish.paused else "resume")
        await asyncio.gather(*(side.pause(self.wish.paused) for side in self.sides))

    async def mind(self) -> None:
        self.wish.min_ready_seconds = 1 - self.wish.min_ready_seconds
        self._note(f"minReadySeconds {self.wish.min_ready_seconds}")
        asked(self.sides, self.wish)
        await asyncio.gather(*(side.min_ready_seconds(self.wish.min_ready_seconds) for side in self.sides))

    async def undo(self) -> None:
        if earlier := self._earlier():
            self.wish.image = self.chance.choice(earlier)
            self._note(f"undo to {self.wish.image}")
            await asyncio.gather(*(side.undo(self.wish.image) for side in self.sides))
            # An App goes back from the template it has when undoTo is first seen; a newer one is to come after that.
            await self.heard()

    async def restart(self) -> None:
        self.restarts += 1
        self._note("restart")
        wish = f"2030-01-01T00:00:{self.restarts:02}Z"
        await asyncio.gather(*(side.restart(wish) for side in self.sides))

    async def kill(self) -> None:
        standing = self.app.standing()
        image = self.chance.choice(sorted(standing.pods)) if standing and standing.pods else self.wish.image
        count = self.chance.randint(1, 4)
        self._note(f"kill {count} of {image}")
        await asyncio.gather(*(side.kill(image, count) for side in self.sides))

    def _next_image(self, bad: str = "") -> str:
        self.images += 1
        return f"shop:{self.images}" + (f"-{bad}" if bad else "")

    def _earlier(self) -> list[str]:
        """Images that both could go back to."""
        known = set(self.deployment.known()) & set(self.app.known())
        return sorted(known - {self.wish.image})

    def _note(self, text: str) -> None:
        self.log.append(text)

    # ------------------------------------------------------------ what must hold

    async def complete(self) -> None:
        """Wait until all is rolled out on both sides."""
        await self._until(self._complete, "complete")
        for side in self.sides:
            side.ledger.settled()
        self.apart = self.rebudgeted = False

    async def rest(self) -> None:
        """Wait until both have come to rest, in the same state but for what is allowed to differ."""
        await self.heard()
        while not self.apart and not self._complete():
            await self._until(lambda: self._complete() or self._alike(), "the same at rest")
            quiet = not await self.mirror.change(self.namespace, QUIET + self.wish.min_ready_seconds)
            if quiet and self._alike():
                break
        if self._complete():
            await self.complete()
        elif not self.apart and self._is_ahead():
            self.apart, self.ahead = True, self.ahead + 1
            self._note(f"ahead: {dict(self.app.standing().pods)} for {dict(self.deployment.standing().pods)}")

    def _complete(self) -> bool:
        return all(side.heard() and side.complete() for side in self.sides)

    def _alike(self) -> bool:
        theirs, ours = self.deployment.standing(), self.app.standing()
        if theirs is None or ours is None or not (theirs.at_rest and ours.at_rest):
            return False
        return ours == theirs or self._is_ahead()

    def _is_ahead(self) -> bool:
        """The one difference there may be at rest."""
        theirs, ours = self.deployment.standing(), self.app.standing()
        if theirs is None or ours is None:
            return False
        expected = without_broken(theirs, self.wish, self.app.stable())
        return ours.pods == expected != theirs.pods and ours.ready == theirs.ready

    async def end(self) -> None:
        """Whatever happened: a good image, not paused, and both come to the same."""
        if self.wish.paused:
            await self.toggle_pause()
            await self.heard()
        self.wish.image = self._next_image()
        self._note(f"at last {self.wish.image}")
        await asyncio.gather(*(side.image(self.wish.image) for side in self.sides))
        await self.complete()
        await self._until(lambda: self.deployment.standing() == self.app.standing() is not None, "the same at the end")
        await self._until(lambda: self.deployment.conditions() == self.app.conditions(), "the same conditions")
        self._expect(self.app.conditions()["Progressing"] == ("True", "NewReplicaSetAvailable"), "rolled out")
        if not self.hurried:
            # A restart is a revision of a Deployment, and none of an App.
            same = self.deployment.revision() == self.app.revision() + self.restarts
            self._expect(same or self.renumbered, "the same revision numbers")
        self._expect(not self.app.breaches(), f"the App: {self.app.breaches()}")
        # In a hurry it acts on sizes that it has changed already and not heard of yet: told, and not held against it.
        self._expect(self.hurried or not self.deployment.breaches(), f"the Deployment: {self.deployment.breaches()}")

    async def heard(self) -> None:
        """Wait until both controllers know of the last edit."""
        await self._until(lambda: all(side.heard() for side in self.sides), "heard")

    async def _until(self, holds: Callable[[], object], what: str) -> None:
        await self.mirror.until(self.namespace, holds, PATIENCE, lambda: f"{what}\n{self.told()}")

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise AssertionError(f"{what}\n{self.told()}")

    def told(self) -> str:
        return "\n".join([f"seed {self.seed}: " + "; ".join(self.log), *(side.told() for side in self.sides)])


def without_broken(theirs: Standing, wish: Wish, stable: str) -> Counter[str]:
    """The one difference there may be at rest: pods that are not ready, of a revision that is not wanted and never was
    complete, cost an App nothing. A Deployment keeps them where its arithmetic leaves no room; an App has replaced them
    by pods of the wanted revision.

    >>> theirs = Standing(Counter({"good": 20, "bad": 8, "worse": 5}), Counter({"good": 20}), False, (33, 20, 20), 5)
    >>> without_broken(theirs, Wish("worse", 30, 3, 2), stable="good")
    Counter({'good': 20, 'worse': 13})
    """
    kept, freed = Counter(theirs.pods), 0
    for image in theirs.pods:
        if image not in (wish.image, stable):
            freed += theirs.pods[image] - theirs.ready[image]
            kept[image] = theirs.ready[image]
    kept[wish.image] = min(wish.replicas, kept[wish.image] + freed)
    return +kept


# ---------------------------------------------------------------- many at once


@asynccontextmanager
async def sequence(client: Client, mirror: Mirror, seed: int) -> AsyncIterator[Sequence]:
    namespace = f"differential-{seed}"
    await client.create(NAMESPACES, None, msgspec.json.encode({"metadata": {"name": namespace}}))
    sides = AsDeployment(client, mirror, namespace), AsApp(client, mirror, namespace)
    try:
        yield Sequence(seed, *sides, mirror=mirror, namespace=namespace)
    finally:
        for resource in (DEPLOYMENTS, APPS):
            await client.delete(resource, namespace, NAME)
        await client.delete(NAMESPACES, None, namespace)


@dataclass(frozen=True, slots=True)
class Outcome:
    wrong: str  # in words, "" where nothing was
    ahead: int  # how often the App was ahead
    crowded: bool  # whether the Deployment had more pods than its limit, if only for a moment
    broke: bool  # whether its sizes came to more, or it took a pod that it needed


async def outcome(client: Client, mirror: Mirror, seed: int, room: asyncio.Semaphore) -> Outcome:
    async with room, sequence(client, mirror, seed) as one:
        try:
            await one.run()
            wrong = ""
        except AssertionError as error:
            wrong = str(error)
        print(f"seed {seed}: {wrong or 'the same'}", flush=True)
        deployment = one.deployment
        return Outcome(wrong, one.ahead, bool(deployment.ledger.crowds), bool(deployment.breaches()))


async def test_a_deployment_and_an_app_go_the_same_way(plane: Lab, client: HttpClient) -> None:
    wanted = [int(seed) for seed in os.environ.get("FAIRLEAD_SEEDS", "").split(",") if seed]
    fresh = random.sample(range(10**6), max(0, SEQUENCES - len(KEPT)))
    seeds = wanted or [*KEPT, *fresh]
    room = asyncio.Semaphore(AT_ONCE)
    async with Mirror(client, PODS, DEPLOYMENTS, REPLICA_SETS, APPS, REVISIONS) as mirror:
        outcomes = await asyncio.gather(*(outcome(client, mirror, seed, room) for seed in seeds))
    wrong = [one.wrong for one in outcomes if one.wrong]
    print(
        f"{len(seeds)} sequences: {sum(one.ahead for one in outcomes)} times the App was ahead, "
        f"{sum(one.crowded for one in outcomes)} Deployments had more pods than allowed for a moment, and "
        f"{sum(one.broke for one in outcomes)} broke a limit by their own sizes"
    )
    if wrong:
        pytest.fail(f"{len(wrong)} of {len(seeds)} differ\n" + "\n\n".join(wrong), pytrace=False)
