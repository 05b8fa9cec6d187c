"""The one place that measures, against a server on a loopback socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from fairlead.core.gated import Gated
from fairlead.core.meta import API_VERSION, JSON
from fairlead.gates.guard import Guard, parse
from fairlead.gates.model import AskHttp, AskPods, HttpAnswer, PodsAnswer, Subject
from fairlead.gates.probe import BODY_LIMIT, NetworkProber, api_servers
from fairlead.kube.fake import FakeClient, FakeCluster
from fairlead.kube.resources import NAMESPACES
from fairlead.rollout.testing import make_pods

SUBJECT = Subject("shop", "web", "app-uid", "v2", 2)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = parse(["127.0.0.0/8"])


async def answer(request: web.Request) -> web.StreamResponse:
    match request.path:
        case "/slow":
            await asyncio.sleep(30)
        case "/large":
            return web.Response(body=b"x" * (BODY_LIMIT + 1))
        case "/elsewhere":
            raise web.HTTPFound("http://169.254.169.254/latest/meta-data/")
        case "/api/v1/query":
            form = await request.post()
            return web.json_response({"query": form["query"], "cookies": len(request.cookies)})
        case "/zipped":
            return web.Response(body=b"\x1f\x8b bomb", headers={"Content-Encoding": "gzip"})
    return web.json_response({"host": request.headers["Host"], "authorization": request.headers.get("Authorization")})


@asynccontextmanager
async def server(answers: Handler = answer) -> AsyncIterator[int]:
    runner = web.AppRunner(_app(answers), shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    try:
        yield listening.getsockname()[1]
    finally:
        await runner.cleanup()


def _app(answers: Handler) -> web.Application:
    made = web.Application()
    made.router.add_route("*", "/{path:.*}", answers)
    return made


def cluster() -> FakeClient:
    made = FakeCluster(lambda: 0.0)
    made.create(NAMESPACES, None, {"metadata": {"name": "shop"}})
    return FakeClient(made, "operator")


async def ask(url: str, guard: Guard = LOOPBACK, timeout: float = 60.0, **fields: Any) -> HttpAnswer:
    wanted = AskHttp("Url", timeout, url=url, **fields)
    found = await NetworkProber(guard).ask(wanted, SUBJECT, cluster())
    assert isinstance(found, tuple)
    return found[0]


async def test_an_allowed_address_is_asked_and_sent_no_credentials() -> None:
    async with server() as port:
        found = await ask(f"http://127.0.0.1:{port}/")

    assert (found.status, found.error) == (200, "")
    assert msgspec.json.decode(found.body) == {"host": f"127.0.0.1:{port}", "authorization": None}


async def test_a_query_is_posted_as_a_form() -> None:
    async with server() as port:
        found = await ask(f"http://127.0.0.1:{port}/api/v1/query", form=(("query", "up"),))

    assert msgspec.json.decode(found.body) == {"query": "up", "cookies": 0}


async def test_trust_16_a_redirect_is_an_answer_and_not_followed() -> None:
    async with server() as port:
        found = await ask(f"http://127.0.0.1:{port}/elsewhere")

    assert found.status == 302


async def test_trust_17_an_endless_answer_is_cut_by_time() -> None:
    async with server() as port:
        found = await ask(f"http://127.0.0.1:{port}/slow", timeout=0.2)

    assert found.error == "no answer within 0.2 s"


async def test_trust_17_a_large_answer_is_cut_by_size() -> None:
    async with server() as port:
        found = await ask(f"http://127.0.0.1:{port}/large")

    assert "larger than 256 KiB" in found.error


async def test_trust_17_a_compressed_answer_is_not_unpacked() -> None:
    async with server() as port:
        found = await ask(f"http://127.0.0.1:{port}/zipped")

    assert found.body == b"\x1f\x8b bomb"


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))

        assert "it cannot be reached" in (await ask(f"http://127.0.0.1:{bound.getsockname()[1]}/")).error


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:8080/",
        "http://10.0.0.7/",
        "http://kubernetes.default.svc/",
        "http://web.other.svc/",
        "http://0x7f.1/",
        "file:///etc/passwd",
        "http://user:secret@prometheus/",
    ],
)
async def test_trust_16_what_nobody_allowed_is_not_asked(url: str) -> None:
    found = await ask(url, Guard())

    assert found.error
    assert not found.status


async def test_trust_16_a_name_that_is_allowed_and_leads_to_the_machine_itself_is_not_connected_to() -> None:
    async with server() as port:
        found = await ask(f"http://localhost:{port}/", parse(["localhost"]))

    assert "leads to" in found.error
    assert "loopback" in found.error


def service(uid: str = "app-uid", **spec: Any) -> JSON:
    owner = {"apiVersion": API_VERSION, "kind": "App", "name": "web", "uid": uid, "controller": True}
    return {
        "metadata": {"name": "web", "namespace": "shop", "ownerReferences": [owner]},
        "spec": {"clusterIP": "127.0.0.1", "ports": [{"name": "http", "port": 80}], **spec},
    }


async def test_the_apps_own_service_is_asked_at_its_cluster_address_whatever_the_names_say() -> None:
    client = Answers({"services/web": service()})
    async with server() as port:
        client.objects["services/web"] = service(ports=[{"name": "http", "port": port}])
        wanted = AskHttp("Service", 60.0, port="http", path="/x")
        (found,) = await NetworkProber(LOOPBACK).ask(wanted, SUBJECT, client)  # type: ignore[misc,arg-type]

    assert msgspec.json.decode(found.body)["host"] == "web.shop.svc"


async def test_trust_16_a_service_of_somebody_else_is_not_asked() -> None:
    client = Answers({"services/web": service(uid="another")})
    wanted = AskHttp("Service", 60.0, port=80)
    (found,) = await NetworkProber(Guard()).ask(wanted, SUBJECT, client)  # type: ignore[misc,arg-type]

    assert found.error == "the Service web is not one of App web; only the App's own may be asked"


def pod(name: str, uid: str = "app-uid", **spec: Any) -> JSON:
    owner = {"apiVersion": API_VERSION, "kind": "App", "name": "web", "uid": uid, "controller": True}
    labels = {"fairlead.dev/app": "web", "fairlead.dev/revision": "v2"}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T10:00:00Z"}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": name,
            "resourceVersion": "1",
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {"containers": [{"name": "web", "ports": [{"name": "http", "containerPort": 80}]}], **spec},
        "status": {"phase": "Running", "podIP": "127.0.0.1", "conditions": [ready]},
    }


async def test_pods_are_asked_each_at_its_own_address_and_those_of_others_and_of_the_node_are_not() -> None:
    async with server() as port:
        client = Answers({"pods": [pod("web-1"), pod("web-2", uid="another"), pod("web-3", hostNetwork=True)]})
        wanted = AskHttp("Pods", 60.0, port=port)
        found = await NetworkProber(LOOPBACK).ask(wanted, SUBJECT, client)  # type: ignore[arg-type]

    assert isinstance(found, tuple)
    assert [(one.where, one.status) for one in found] == [("web-1", 200), ("web-3", 0)]
    assert "hostNetwork" in found[1].error


async def test_the_pods_of_the_revision_are_looked_at_live() -> None:
    client = Answers({"pods": [pod("web-1")]})
    found = await NetworkProber(Guard()).ask(AskPods(), SUBJECT, client)  # type: ignore[arg-type]

    assert isinstance(found, PodsAnswer)
    assert [one.name for one in found.pods] == ["web-1"]
    assert client.asked == ["fairlead.dev/app=web,fairlead.dev/revision=v2"]


async def test_without_an_address_anywhere_it_says_where_to_set_one() -> None:
    (found,) = await NetworkProber(Guard()).ask(AskHttp("Url", 5.0, default="prometheus"), SUBJECT, cluster())  # type: ignore[misc]

    assert "gates.prometheus" in found.error


def test_the_api_server_is_known_by_what_it_is_called_here() -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}

    assert api_servers("https://127.0.0.1:6443", environ) == [("10.96.0.1", 443), ("127.0.0.1", 6443)]


class Answers:
    """An API server that has these objects."""

    def __init__(self, objects: JSON) -> None:
        self.objects = objects
        self.asked: list[str] = []

    async def get(self, resource: Any, namespace: str, name: str) -> bytes:
        return msgspec.json.encode(self.objects[f"{resource.plural}/{name}"])

    async def list(self, resource: Any, namespace: str, *, label_selector: str, limit: int) -> bytes:
        self.asked.append(label_selector)
        return msgspec.json.encode({"items": self.objects[resource.plural]})


# ---------------------------------------------------------------- one pod alone (health gates)


def at(address: str, **fields: Any) -> Subject:
    ports = fields.pop("ports", {"http": 8080})
    (pod,) = make_pods(1, gated=Gated({}, True, address, ports=ports, **fields))
    return msgspec.structs.replace(SUBJECT, pod=pod)


async def ask_pod(subject: Subject, port: int | str = "http", guard: Guard = LOOPBACK) -> HttpAnswer:
    wanted = AskHttp("Pods", 60.0, port=port, path="/warm")
    found = await NetworkProber(guard).ask(wanted, subject, cluster())
    assert isinstance(found, tuple)
    (answer,) = found
    return answer


async def test_one_pod_is_asked_at_its_own_address_without_looking_at_the_others() -> None:
    async with server() as port:
        found = await ask_pod(at("127.0.0.1", ports={"http": port}))

    assert (found.where, found.status) == ("/warm", 200)


@pytest.mark.parametrize(
    ("subject", "port", "words"),
    [
        (at(""), "http", "it has no address yet"),
        (at("127.0.0.1", host_network=True), "http", "on its node's network"),
        (at("127.0.0.1"), "grpc", "none of its containers has a port 'grpc'"),
        (at("169.254.169.254"), "http", "is an address of cloud metadata"),
    ],
)
async def test_a_pod_that_cannot_or_may_not_be_asked_is_an_error(subject: Subject, port: str, words: str) -> None:
    assert words in (await ask_pod(subject, port)).error


async def test_a_pod_on_loopback_is_not_asked_unless_the_owner_allows_it() -> None:
    assert "is a loopback address" in (await ask_pod(at("127.0.0.1"), guard=Guard())).error
