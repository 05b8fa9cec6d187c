"""Probes and metrics, over HTTP."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from fairlead.engine.health import Health, LoopLag
from fairlead.metrics.collect import Metrics
from fairlead.metrics.series import TABLE


class Engine:
    ready = False
    doing = "standing by"
    waiting: tuple[str, ...] = ("pods",)
    wrong: dict[str, str] = {}

    def problems(self) -> dict[str, str]:
        return self.wrong

    def unsynced(self) -> list[str]:
        return list(self.waiting)


async def ask(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def test_alive_at_once_and_ready_when_synced_leading_or_not() -> None:
    engine, metrics = Engine(), Metrics()
    health = Health(engine, metrics)
    await health.start("127.0.0.1:0", "")
    (port,) = health.ports
    assert await ask(port, "/healthz") == (200, "ok\nstanding by\n")
    assert await ask(port, "/readyz") == (503, "not ready: pods not listed yet\nstanding by\n")
    engine.ready = True
    assert await ask(port, "/readyz") == (200, "ok\nstanding by\n")
    engine.doing = "leading"
    engine.wrong = {"pods": "Forbidden: no"}
    assert await ask(port, "/readyz") == (200, "ok\nleading\ncannot list or watch pods: Forbidden: no\n")
    assert (await ask(port, "/metrics"))[0] == 404, "metrics have an address of their own"
    await health.stop()


async def test_one_that_goes_says_so_and_not_that_it_waits_for_nothing() -> None:
    engine = Engine()
    engine.waiting, engine.doing = (), "going, 3 connections held"
    health = Health(engine, Metrics())
    await health.start("127.0.0.1:0", "")
    assert await ask(health.ports[0], "/readyz") == (503, "not ready\ngoing, 3 connections held\n")
    await health.stop()


async def test_metrics_are_served_on_their_own_address() -> None:
    metrics = Metrics()
    health = Health(Engine(), metrics)
    await health.start("127.0.0.1:0", "[::1]:0")
    metrics.build_info.labels("1.2.3").set(1)
    _, port = health.ports
    async with aiohttp.ClientSession() as session, session.get(f"http://[::1]:{port}/metrics") as response:
        text = await response.text()
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'fairlead_build_info{version="1.2.3"} 1.0' in text
    assert "fairlead_loop_lag_seconds" in text
    await health.stop()


def test_every_series_is_registered_under_the_name_it_is_documented_with() -> None:
    text = Metrics().exposition().decode()
    for series in TABLE:
        assert f"# TYPE {series.name} {series.type}" in text
        assert f"# HELP {series.name} {series.help}" in text


async def test_two_engines_in_one_process_do_not_share_metrics() -> None:
    one, two = Metrics(), Metrics()
    one.leader.set(1)
    assert b"fairlead_leader 0.0" in two.exposition()


@pytest.mark.looptime
async def test_lag_is_how_late_a_timer_runs() -> None:
    lag = LoopLag(Metrics())
    running = asyncio.create_task(lag.run())
    await asyncio.sleep(1)
    assert lag.worst() == pytest.approx(0, abs=1e-3)
    running.cancel()
