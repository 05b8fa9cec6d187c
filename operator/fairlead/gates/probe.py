"""The one place where gates measure: reads pods and Services from the API server, and asks over HTTP what the guard allows.

Nothing is sent but the request itself, no cookies, and a credential only to the origin the operator's owner gave it for.
Redirects are answers. Time and size are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from fairlead import __version__
from fairlead.core.podstate import Pod, project_pod
from fairlead.gates.credentials import MOST_BYTES, SETTING, Credential, Credentials, hidden
from fairlead.gates.guard import Guard, as_address
from fairlead.gates.model import (
    Answer,
    AskHttp,
    AskPods,
    HttpAnswer,
    PodsAnswer,
    Probe,
    Ran,
    RunAnswer,
    Subject,
)
from fairlead.gates.runs import NOT_ENDED, answer_of
from fairlead.kube.client import Client
from fairlead.kube.errors import NotFound
from fairlead.kube.resources import PODS, SERVICES

BODY_LIMIT = 256 * 1024  # bytes of an answer
PODS_LIMIT = 500  # pods of one page; more of one revision are not looked at
_DOMAIN = ".svc.cluster.local"


class Prober(Protocol):
    """Who carries out what checks ask for."""

    async def ask(self, ask: Probe, subject: Subject, client: Client) -> Answer:
        """The answer; what cannot be had is told in it. ApiError where the API server does not answer."""
        ...


class NetworkProber:
    """The real one. `prometheus`: the operator's own address of it, "" for none. `credentials`: what it says of itself."""

    def __init__(self, guard: Guard, prometheus: str = "", credentials: Credentials = Credentials()) -> None:
        self._guard = guard
        self._credentials = credentials
        self._settings = {"prometheus": prometheus.rstrip("/")}

    async def ask(self, ask: Probe, subject: Subject, client: Client) -> Answer:
        if isinstance(ask, AskPods):
            return PodsAnswer(tuple(pod for pod, _ in await read_pods(subject, client)))
        try:
            targets = await self._targets(ask, subject, client)
        except _Refused as refused:
            return (HttpAnswer(refused.where, error=refused.why),)
        return tuple(await asyncio.gather(*(self._fetch(ask, target) for target in targets)))

    # ------------------------------------------------------------ who is asked

    async def _targets(self, ask: AskHttp, subject: Subject, client: Client) -> list[_Target]:
        if subject.pod is not None and ask.target == "Pods":
            return [_place_target(ask, ask.path, _place_of(subject.pod))]
        if ask.target == "Pods":
            pods = await read_pods(subject, client)
            ready = [(pod, raw) for pod, raw in pods if pod.ready][: ask.most]
            return [_place_target(ask, pod.name, _place_in(msgspec.json.decode(raw))) for pod, raw in ready]
        if ask.target == "Service":
            return [await _own_service(ask, subject.app, ask.port, ask.path, subject, client)]
        return [await self._url_target(ask, subject, client)]

    async def _url_target(self, ask: AskHttp, subject: Subject, client: Client) -> _Target:
        trusted = not ask.url and bool(ask.default)
        url = ask.url or (self._settings.get(ask.default, "") + ask.path if self._settings.get(ask.default) else "")
        if not url:
            why = f"the check names no address, and the operator has none either: set it, or chart value gates.{ask.default}"
            raise _Refused(ask.default, why)
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise _Refused(url, "its port is no number between 1 and 65535") from None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise _Refused(url, "it is no http or https URL without a user name")
        own = _service_name(host, subject.namespace)
        if own and not trusted and self._guard.refuses_name(host, port):
            rest = parts.path + (f"?{parts.query}" if parts.query else "")
            return await _own_service(ask, own, port, rest or "/", subject, client, scheme=parts.scheme)
        if not trusted and (why := self._guard.refuses_name(host, port)):
            raise _Refused(host, why)
        return _Target(f"{host}:{port}", url, host, port, credential=self._credentials.of(url))

    # ------------------------------------------------------------ asking

    async def _fetch(self, ask: AskHttp, target: _Target) -> HttpAnswer:
        loop = asyncio.get_running_loop()
        literal = as_address(target.host)
        if target.why or (literal is not None and (target := self._checked(target, literal)).why):
            return HttpAnswer(target.where, error=target.why)
        try:
            content = _content_of(target.credential)
            sent = dict([target.credential.sent(content)]) if target.credential else {}
        except (OSError, ValueError) as error:
            return HttpAnswer(target.where, error=_unusable(error))
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._guard), use_dns_cache=False, force_close=True, ssl=target.verify
        )
        began = loop.time()
        try:
            async with aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": f"fairlead/{__version__}", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=ask.timeout),
            ) as session:
                async with session.request(
                    "POST" if ask.form else "GET",
                    target.url,
                    data=dict(ask.form) if ask.form else None,
                    headers=sent | ({"Host": target.name} if target.name else {}),
                    allow_redirects=False,
                ) as response:
                    body = await _bounded(response)
                    body = hidden(body, content) if target.credential else body
                    return HttpAnswer(target.where, response.status, body, loop.time() - began)
        except TimeoutError:
            return HttpAnswer(target.where, error=f"no answer within {ask.timeout:g} s")
        except _Refused as refused:
            return HttpAnswer(target.where, error=refused.why)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return HttpAnswer(target.where, error=_in_words(error))

    def _checked(self, target: _Target, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> _Target:
        return msgspec.structs.replace(target, why=self._guard.refuses_address(address, target.port))


async def read_pods(subject: Subject, client: Client) -> list[tuple[Pod, msgspec.Raw]]:
    """The revision's active pods that are this App's own, by name, each with what the API server said of it."""
    page = await client.list(PODS, subject.namespace, label_selector=subject.selector, limit=PODS_LIMIT)
    found = []
    for raw in _items.decode(page).items:
        pod = project_pod(bytes(raw))
        if pod is not None and pod.active and pod.owner_uid == subject.app_uid:
            found.append((pod, raw))
    return sorted(found, key=lambda pair: pair[0].name)


async def read_run(ran: Ran, namespace: str, client: Client) -> RunAnswer:
    """How a pod that was run has ended, as the API server has it. Also one that is called overdue, or was refused: it may have
    ended, or been made, where the watch does not show it yet."""
    try:
        answer = answer_of(msgspec.json.decode(await client.get(PODS, namespace, ran.pod)))
    except NotFound:
        return RunAnswer(ran.pod, error=ran.error or "it was deleted before it could be read")
    return RunAnswer(ran.pod, error=ran.error) if ran.error and answer.error == NOT_ENDED else answer


def api_servers(server: str, environ: Mapping[str, str]) -> list[tuple[str, int]]:
    """The addresses and ports the API server is known by here: the one that is used, and what the cluster tells its pods."""
    parts = urlsplit(server)
    known = {(parts.hostname or "", parts.port or 443)}
    if host := environ.get("KUBERNETES_SERVICE_HOST"):
        known.add((host, int(environ.get("KUBERNETES_SERVICE_PORT") or 443)))
    found = set()
    for host, port in known:
        try:
            found |= {(str(place[0]), port) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except OSError:
            continue  # then nobody reaches it by that name from here
    return sorted(found)


class _Target(msgspec.Struct, frozen=True):
    """One server to ask. `why`: it may not be asked, for this reason; `name`: the Host header, where the URL has an address."""

    where: str
    url: str
    host: str
    port: int
    name: str = ""
    verify: bool = True
    why: str = ""
    credential: Credential | None = None


class _Refused(Exception):
    def __init__(self, where: str, why: str) -> None:
        super().__init__(why)
        self.where, self.why = where, why


class _Resolver(AbstractResolver):
    """Resolves, and hands out only what may be connected to: the addresses that were looked at are those that are used."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        for _, _, _, _, place in found:
            if why := self._guard.refuses_address(ipaddress.ip_address(str(place[0]).partition("%")[0]), port):
                raise _Refused(host, f"{host} leads to {why}")
        return [
            ResolveResult(
                hostname=host, host=str(place[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, place in found
        ]

    async def close(self) -> None:
        pass


class _Items(msgspec.Struct):
    items: list[msgspec.Raw] = []


_items = msgspec.json.Decoder(_Items)


class _Place(msgspec.Struct, frozen=True):
    """Where a pod listens."""

    address: str
    host_network: bool
    ports: Mapping[str, int]


def _place_in(raw: dict[str, Any]) -> _Place:
    spec = raw.get("spec") or {}
    ports = [port for container in spec.get("containers") or () for port in container.get("ports") or ()]
    # The first of a name counts.
    named = {port["name"]: port["containerPort"] for port in reversed(ports) if port.get("name")}
    return _Place((raw.get("status") or {}).get("podIP") or "", bool(spec.get("hostNetwork")), named)


def _place_of(pod: Pod) -> _Place:
    return _Place(pod.gated.address, pod.gated.host_network, pod.gated.ports) if pod.gated else _Place("", False, {})


def _place_target(ask: AskHttp, where: str, place: _Place) -> _Target:
    """A pod's own address. One on its node's network has the node's, with all that listens there: it is not asked."""
    if place.host_network:
        return _Target(where, "", "", 0, why="it is on its node's network (hostNetwork), which gates do not ask")
    port = ask.port if isinstance(ask.port, int) else place.ports.get(ask.port)
    if not place.address or port is None:
        why = "it has no address yet" if not place.address else f"none of its containers has a port {ask.port!r}"
        return _Target(where, "", "", 0, why=why)
    host = f"[{place.address}]" if ":" in place.address else place.address
    return _Target(where, f"{ask.scheme}://{host}:{port}{ask.path}", place.address, port, verify=False)


async def _own_service(
    ask: AskHttp, name: str, port: int | str, path: str, subject: Subject, client: Client, scheme: str = ""
) -> _Target:
    """A Service that this App controls, by its cluster IP: who can write DNS cannot lead it elsewhere."""
    try:
        raw = msgspec.json.decode(await client.get(SERVICES, subject.namespace, name))
    except NotFound:
        raise _Refused(name, f"there is no Service {name} in namespace {subject.namespace}") from None
    owners = (raw.get("metadata") or {}).get("ownerReferences") or ()
    if not any(owner.get("controller") and owner.get("uid") == subject.app_uid for owner in owners):
        raise _Refused(name, f"the Service {name} is not one of App {subject.app}; only the App's own may be asked")
    spec = raw.get("spec") or {}
    address = spec.get("clusterIP") or ""
    if as_address(address) is None:
        raise _Refused(name, "the Service has no cluster IP; ask the pods (target: Pods)")
    if isinstance(port, str):
        known = next((one["port"] for one in spec.get("ports") or () if one.get("name") == port), None)
        if known is None:
            raise _Refused(name, f"the Service has no port {port!r}")
        port = int(known)
    host = f"[{address}]" if ":" in address else address
    dns = f"{name}.{subject.namespace}.svc"
    return _Target(dns, f"{scheme or ask.scheme}://{host}:{port}{path}", address, port, name=dns, verify=False)


def _service_name(host: str, namespace: str) -> str:
    """The Service of this namespace that a host may mean, "" where it means none.

    >>> _service_name("web.shop.svc", "shop"), _service_name("web.other.svc", "shop"), _service_name("example.com", "shop")
    ('web', '', '')
    """
    name, _, rest = host.rstrip(".").removesuffix(_DOMAIN).removesuffix(".svc").partition(".")
    if rest == namespace:
        return name
    return name if not rest and "." not in host else ""


def _content_of(credential: Credential | None) -> bytes:
    """The file as it is now: a kubelet puts a new one there when the Secret changes. It is small, and in memory."""
    if credential is None:
        return b""
    with Path(credential.file).open("rb") as file:
        return file.read(MOST_BYTES + 2)


def _unusable(error: Exception) -> str:
    """Why a credential cannot be sent: never what it is, nor where the operator has it."""
    why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
    return f"the operator's credential for it cannot be used: {why}; see its setting {SETTING}"


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 14):
        body += chunk
        if len(body) > BODY_LIMIT:
            raise ValueError(f"the answer is larger than {BODY_LIMIT // 1024} KiB")
    return bytes(body)


def _in_words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it cannot be reached: {error.os_error.strerror or error.os_error}"
    return f"it cannot be asked: {str(error) or type(error).__name__}"[:200]
