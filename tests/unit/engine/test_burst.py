"""Writes side by side: as many as were seen to succeed allow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from fairlead.core.actions import Action, Create, Delete
from fairlead.core.meta import Key
from fairlead.engine.burst import HEAD, Answer, Burst, Trust

pytestmark = pytest.mark.looptime

KEY = Key("default", "web")


def deletes(count: int) -> list[Action]:
    return [Delete("Pod", "default", f"web-{number}", str(number)) for number in range(count)]


class Server:
    """Answers after a tenth of a second; knows how many were under way at most, and when each began."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.running = self.most = 0
        self.refuses: Callable[[Action], bool] = lambda action: False
        self.no: Answer = "refused"
        self.made: list[str] = []

    async def write(self, action: Action) -> Answer:
        self.begun.append(round(asyncio.get_running_loop().time(), 3))
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.1)
        self.running -= 1
        if self.refuses(action):
            return self.no
        self.made.append(action.name)
        return "done"


async def send(server: Server, actions: Sequence[Action], *, share: int = 50, allowed: Callable[[int], int]) -> None:
    async with asyncio.TaskGroup() as group:
        Burst(group, actions, server.write, share=lambda: share, allowed=allowed, interrupted=lambda: False).launch()


async def test_a_slow_start_grows_with_what_succeeds() -> None:
    server = Server()
    await send(server, deletes(100), allowed=lambda succeeded: 1 + 2 * succeeded)
    starts = [server.begun.count(at) for at in sorted(set(server.begun))]
    assert starts[:5] == [1, 2, 4, 8, 16]
    assert len(server.begun) == 100


async def test_no_more_than_the_share_is_under_way() -> None:
    server = Server()
    await send(server, deletes(100), share=7, allowed=lambda succeeded: 1000)
    assert (server.most, len(server.begun)) == (7, 100)


@pytest.mark.parametrize("no", ["refused", "unknown"])
async def test_the_first_failure_ends_it(no: Answer) -> None:
    server = Server()
    server.refuses, server.no = (lambda action: action.name == "web-0"), no
    await send(server, deletes(100), share=7, allowed=lambda succeeded: 1000)
    assert len(server.begun) == 7


def pods(count: int, revision: str) -> list[Action]:
    return [Create("Pod", "default", f"web-{revision}-{at}", b"{}", alike=revision) for at in range(count)]


async def test_pods_of_a_revision_that_is_refused_do_not_stand_before_those_of_another() -> None:
    server = Server()
    server.refuses = lambda action: action.name.startswith("web-v1")
    await send(server, [*pods(3, "v1"), *pods(2, "v2")], allowed=lambda succeeded: 1 + 2 * succeeded)
    assert server.made == ["web-v2-0", "web-v2-1"]
    assert len(server.begun) == 3, "one refusal speaks for its revision"


async def test_where_nobody_knows_what_became_of_one_nothing_takes_its_place() -> None:
    """It may have been made: another in its room would be one too many."""
    server = Server()
    server.refuses, server.no = (lambda action: action.name.startswith("web-v1")), "unknown"
    await send(server, [*pods(3, "v1"), *pods(2, "v2")], allowed=lambda succeeded: 1 + 2 * succeeded)
    assert server.made == []


async def test_one_burst_makes_room_for_another_while_it_runs() -> None:
    server, room = Server(), 0
    async with asyncio.TaskGroup() as group:

        def made_room() -> None:
            nonlocal room
            room += 1
            later.launch()

        def burst(actions: Sequence[Action], allowed: Callable[[int], int], succeeded: Callable[[], None]) -> Burst:
            return Burst(
                group,
                actions,
                server.write,
                share=lambda: 2,
                allowed=allowed,
                interrupted=lambda: False,
                succeeded=succeeded,
            )

        later = burst(deletes(4), lambda succeeded: room, lambda: None)
        later.launch()
        assert server.begun == []
        burst(deletes(4), lambda succeeded: 1000, made_room).launch()
    assert server.begun == [0.0, 0.0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2]


async def test_who_was_refused_starts_slowly_again() -> None:
    trust = Trust(5.0, asyncio.get_running_loop().time)
    trust.earned(KEY)
    assert trust.head(KEY) == HEAD
    trust.lost(KEY)
    assert trust.head(KEY) == 1
