"""The CLI against an API server on a loopback socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fairlead.cli.main import run
from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS, PODS, REVISIONS
from unit.cli import objects
from unit.cli.served import ServedCluster

# As in tests/unit/engine: keeps pytest-asyncio from making a loop that nobody closes.
asyncio.set_event_loop(None)


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own configuration reaches a test."""
    for name in ("KUBECONFIG", "NO_COLOR", "FORCE_COLOR", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedCluster]:
    with ServedCluster() as served:
        monkeypatch.setenv("KUBECONFIG", str(served.kubeconfig(tmp_path / "kubeconfig")))
        yield served


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """`cli("status", "shop")`: the whole program, as if typed."""

    def call(*arguments: str, name: str = "fairlead") -> Result:
        capsys.readouterr()
        code = run(list(arguments), name)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


class Shop(NamedTuple):
    """An App called shop on the server, with its uid."""

    server: ServedCluster
    uid: str

    def status(self, status: JSON) -> None:
        self.server.set_status(APPS, "shop", status)

    def revision(self, number: int, hash: str, **status: int | str) -> None:
        self.server.add(REVISIONS, objects.revision(number, hash, uid=self.uid, **status))

    def pod(self, name: str, hash: str, *, ready: bool = True, **status: object) -> None:
        self.server.add(PODS, objects.pod(name, hash, uid=self.uid, ready=ready, **status))


@pytest.fixture
def shop(server: ServedCluster) -> Shop:
    """Done: three pods of its only revision."""
    made = server.add(APPS, objects.app() | {"status": objects.done()})
    found = Shop(server, made["metadata"]["uid"])
    found.revision(1, "v1", replicas=3, readyReplicas=3, availableReplicas=3, phase="Active")
    return found


@pytest.fixture
def rolling(shop: Shop) -> Shop:
    """On its way to a second revision, whose first pod does not get ready."""
    shop.server.change(APPS, "shop", lambda o: o["spec"].update(template=objects.template("registry.example/shop:2")))
    shop.status(objects.moving())
    shop.revision(2, "v2", replicas=1, readyReplicas=0, phase="Progressing")
    return shop
