"""The whole process, as the container starts it, against an API server on a socket: kopf owns it, kopf watches nothing."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import msgspec
import pytest
from aiohttp import web

from fairlead.core.conditions import find
from fairlead.core.meta import API_VERSION, JSON
from fairlead.kube.errors import Forbidden
from fairlead.kube.fake import FakeCluster
from fairlead.kube.fake.records import Admission
from fairlead.kube.resources import (
    APPS,
    ENCRYPTED_SECRETS,
    EVENTS,
    LEASES,
    NAMESPACES,
    PODS,
    SEALING_KEYS,
    SECRETS,
)
from fairlead.secrets.envelope import Place, Scope
from fairlead.secrets.sealing import seal
from fairlead.secrets.suites import PublicKey
from support.front import Front

OPERATOR = Path(__file__).parents[3] / "operator"
PROGRAM = "import sys; from fairlead.main import run_workloads; sys.exit(run_workloads())"
SECRETS_PROGRAM = "import sys; from fairlead.main import run_secrets; sys.exit(run_secrets())"
LEASE = "fairlead-workloads"


class Process:
    def __init__(self, process: asyncio.subprocess.Process, front: Front) -> None:
        self._process = process
        self.front = front
        self.cluster = front.client.cluster

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def ends(self, within: float = 60) -> int:
        async with asyncio.timeout(within):
            return await self._process.wait()

    async def until(self, condition: Callable[[], bool], within: float = 60) -> None:
        async with asyncio.timeout(within):
            while not condition():
                assert self._process.returncode is None, "the process has ended"
                await asyncio.sleep(0.02)

    def watches(self) -> list[web.BaseRequest]:
        return [request for request in self.front.requests if request.query.get("watch")]

    def leads(self) -> bool:
        lease = self.cluster.find(LEASES, "default", LEASE)
        return lease is not None and lease.object["spec"]["holderIdentity"] == "one"


def dumps_allowed() -> None:
    """As on a machine where somebody looks into crashes: core files of any size."""
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


@asynccontextmanager
async def process(
    folder: Path, front: Front, program: str = PROGRAM, log: IO[bytes] | None = None, **environ: str
) -> AsyncIterator[Process]:
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(OPERATOR),
        "PYTHONWARNINGS": "error",
        "FAIRLEAD_KUBECONFIG": str(front.kubeconfig(folder / "kubeconfig", token="secret")),
        "FAIRLEAD_IDENTITY": "one",
        "FAIRLEAD_HEALTH_ADDRESS": "127.0.0.1:0",
        "FAIRLEAD_METRICS_ADDRESS": "",
        **environ,
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=variables, stdout=log, stderr=log, cwd=folder, preexec_fn=dumps_allowed
    )
    try:
        yield Process(started, front)
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with Front(FakeCluster(time.time)) as front:
        front.token = "secret"
        yield front


def app(name: str) -> dict[str, object]:
    container = {"name": "main", "image": "shop:1"}
    return {
        "apiVersion": API_VERSION,
        "kind": "App",
        "metadata": {"name": name},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
    }


async def test_it_runs_apps_and_ends_cleanly_on_sigterm(tmp_path: Path, front: Front) -> None:
    async with process(tmp_path, front) as p:
        p.cluster.create(APPS, "default", app("web"))
        await p.until(lambda: len(p.cluster.all(PODS, "default")) == 2)
        await p.until(p.leads)
        wanted = {
            "/apis/fairlead.dev/v1alpha1/apps",
            "/apis/fairlead.dev/v1alpha1/revisions",
            "/api/v1/pods",
            "/api/v1/services",
            "/apis/policy/v1/poddisruptionbudgets",
            "/api/v1/configmaps",
            "/apis/fairlead.dev/v1alpha1/gates",
            "/apis/fairlead.dev/v1alpha1/encryptedsecrets",
            "/apis/gateway.networking.k8s.io/v1/httproutes",
            "/apis/discovery.k8s.io/v1/endpointslices",
        }
        await p.until(lambda: {request.path for request in p.watches()} >= wanted)
        assert {request.path for request in p.watches()} == wanted
        kopfs = {request.path for request in front.requests if "fairlead" not in request.headers["User-Agent"]}
        assert kopfs <= {"/api", "/apis", "/api/v1"}, "kopf looks which kinds there are, and at nothing else"
        p.signal(signal.SIGTERM)
        assert await p.ends() == 0
        assert p.cluster.get(LEASES, "default", LEASE).object["spec"]["holderIdentity"] == ""
        finalizers = [stored.meta.get("finalizers") for stored in p.cluster.all(APPS)]
        assert finalizers == [None]
        assert not any("annotations" in stored.meta for stored in p.cluster.all(APPS)), (
            "kopf keeps its notes off our objects"
        )


async def test_it_ends_with_an_error_when_the_engine_does(tmp_path: Path, front: Front) -> None:
    async with process(tmp_path, front) as p:
        await p.until(p.leads)
        p.cluster.edit(LEASES, "default", LEASE, lambda lease: lease["spec"].update(holderIdentity="two"))
        assert await p.ends() == 1
        assert p.cluster.get(LEASES, "default", LEASE).object["spec"]["holderIdentity"] == "two"


async def test_an_api_server_that_is_not_up_yet_is_waited_for(tmp_path: Path, front: Front) -> None:
    front.answer = web.Response(status=503, body=b"starting")
    async with process(tmp_path, front) as p:
        await p.until(lambda: len(front.requests) > 20)
        front.answer = None
        await p.until(p.leads)
        p.signal(signal.SIGTERM)
        assert await p.ends() == 0


async def test_an_address_that_is_taken_ends_it_at_once(tmp_path: Path, front: Front) -> None:
    """kopf would try again after a minute, alive and doing nothing."""
    async with process(tmp_path, front, FAIRLEAD_HEALTH_ADDRESS=front.url.removeprefix("http://")) as p:
        assert await p.ends(within=45) == 1


async def test_a_setting_that_makes_no_sense_is_said_and_nothing_starts(tmp_path: Path, front: Front) -> None:
    async with process(tmp_path, front, FAIRLEAD_WORKERS="many") as p:
        assert await p.ends() == 2
    assert front.requests == []


async def test_a_kubeconfig_that_is_not_there_is_said(tmp_path: Path, front: Front) -> None:
    async with process(tmp_path, front, FAIRLEAD_KUBECONFIG=str(tmp_path / "nowhere")) as p:
        assert await p.ends() == 2


# ---------------------------------------------------------------- secrets

CANARY = "c4n4ry-hunter2"


def sealed(cluster: FakeCluster, *names: str) -> list[JSON]:
    """EncryptedSecrets for the key that the process published."""
    spec = cluster.all(SEALING_KEYS)[0].object["spec"]
    public = PublicKey.decode(spec["suite"], spec["publicKey"])
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "EncryptedSecret",
            "metadata": {"name": name},
            "spec": {
                "values": {"password": seal(public, Place(Scope.STRICT, "shop", name, "password"), CANARY.encode(), 0)}
            },
        }
        for name in names
    ]


def ready(cluster: FakeCluster, name: str) -> JSON:
    status = cluster.get(ENCRYPTED_SECRETS, "shop", name).object.get("status") or {}
    return find(status.get("conditions") or (), "Ready") or {}


def refuse_with_an_echo(admission: Admission) -> None:
    """A webhook that puts the object it refuses into its words, as it is and decoded."""
    data = admission.object.get("data") or {}
    if admission.resource == SECRETS and "password" in data:
        raise Forbidden(403, "Forbidden", f'admission webhook "w" denied the request: {CANARY} {data["password"]}')


async def test_no_value_is_in_a_log_an_event_a_status_or_an_annotation_whatever_the_api_server_says(
    tmp_path: Path, front: Front
) -> None:
    cluster = front.client.cluster
    cluster.create(NAMESPACES, None, {"metadata": {"name": "shop"}})
    log = tmp_path / "log"
    with log.open("wb") as file:
        async with process(tmp_path, front, SECRETS_PROGRAM, file, FAIRLEAD_LOG_LEVEL="debug") as p:
            await p.until(lambda: bool(cluster.all(SEALING_KEYS)))
            cluster.admission.append(refuse_with_an_echo)
            (body,) = sealed(cluster, "db")
            cluster.create(ENCRYPTED_SECRETS, "shop", body)
            await p.until(lambda: ready(cluster, "db").get("reason") == "WriteRefused")
            assert "words are withheld" in ready(cluster, "db")["message"]
            cluster.admission.clear()
            cluster.edit(ENCRYPTED_SECRETS, "shop", "db", lambda one: one["spec"].update(adopt=True))
            await p.until(lambda: ready(cluster, "db").get("status") == "True")
            await p.until(lambda: bool(cluster.all(EVENTS, "shop")))
            p.signal(signal.SIGTERM)
            assert await p.ends() == 0
    secret = cluster.get(SECRETS, "shop", "db").object
    assert base64.b64decode(secret["data"]["password"]).decode() == CANARY
    private = base64.b64decode(cluster.all(SECRETS, "default")[0].object["data"]["private-key"]).decode()
    tales = [CANARY, base64.b64encode(CANARY.encode()).decode(), private, private.partition(":")[2]]
    others = [one.object for kind in sorted(cluster.kinds) if kind != SECRETS for one in cluster.all(kind)]
    marks = [one.object["metadata"] for one in cluster.all(SECRETS)]
    told = log.read_text() + msgspec.json.encode([others, marks]).decode()
    assert "WriteRefused" in told and "fairlead" in log.read_text()
    assert not [tale for tale in tales if tale in told]


async def test_a_crash_leaves_no_value_and_no_key_behind(tmp_path: Path, front: Front) -> None:
    """Not in a core file, and not in what is told of the crash."""
    cluster, log = front.client.cluster, tmp_path / "log"
    cluster.create(NAMESPACES, None, {"metadata": {"name": "shop"}})
    with log.open("wb") as file:
        async with process(tmp_path, front, SECRETS_PROGRAM, file, PYTHONFAULTHANDLER="1") as p:
            await p.until(lambda: bool(cluster.all(SEALING_KEYS)))
            (body,) = sealed(cluster, "db")
            cluster.create(ENCRYPTED_SECRETS, "shop", body)
            await p.until(lambda: ready(cluster, "db").get("status") == "True")
            p.signal(signal.SIGABRT)
            assert await p.ends() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in log.read_text()
    private = base64.b64decode(cluster.all(SECRETS, "default")[0].object["data"]["private-key"]).decode()
    tales = [CANARY, base64.b64encode(CANARY.encode()).decode(), private]
    left = contents(tmp_path)
    assert left.keys() == {"kubeconfig", "log"}
    assert not [name for name, content in left.items() if any(tale.encode() in content for tale in tales)]


def contents(folder: Path) -> dict[str, bytes]:
    """Of the files in it, by their names."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def test_without_ml_kem_it_says_so_at_its_start_and_mints_a_key_of_the_compact_suite(
    tmp_path: Path, front: Front
) -> None:
    """As with a library that a distribution has built with an older OpenSSL."""
    lacking = (
        "from cryptography.hazmat.backends.openssl.backend import Backend; Backend.mlkem_supported = lambda _: False"
    )
    log = tmp_path / "log"
    with log.open("wb") as file:
        async with process(tmp_path, front, f"{lacking}; {SECRETS_PROGRAM}", file) as p:
            await p.until(lambda: bool(p.cluster.all(SEALING_KEYS)))
            assert p.cluster.all(SEALING_KEYS)[0].object["spec"]["suite"] == "x"
            p.signal(signal.SIGTERM)
            assert await p.ends() == 0
    assert "has no ML-KEM, so values are sealed with X25519 alone" in log.read_text()


async def test_it_watches_secrets_only_where_they_carry_its_label(tmp_path: Path, front: Front) -> None:
    async with process(tmp_path, front, SECRETS_PROGRAM) as p:
        await p.until(lambda: bool(p.cluster.all(SEALING_KEYS)))
        lease = p.cluster.find(LEASES, "default", "fairlead-secrets")
        assert lease is not None and lease.object["spec"]["holderIdentity"] == "one"
        wanted = {
            "/apis/fairlead.dev/v1alpha1/encryptedsecrets",
            "/apis/fairlead.dev/v1alpha1/sealingkeys",
            "/apis/fairlead.dev/v1alpha1/revisions",
            "/api/v1/secrets",
        }
        await p.until(lambda: {request.path for request in p.watches()} >= wanted)
        assert {request.path for request in p.watches()} == wanted
        asked = [request for request in front.requests if request.path == "/api/v1/secrets"]
        assert {request.query["labelSelector"] for request in asked} == {"fairlead.dev/secret"}
        p.signal(signal.SIGTERM)
        assert await p.ends() == 0
