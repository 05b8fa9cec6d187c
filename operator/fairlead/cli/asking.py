"""Measures for `fairlead gate test`: pods and Services through the API server's proxy, other addresses from here."""

from __future__ import annotations

import time
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from fairlead.cli.session import Session
from fairlead.core.podstate import Pod, project_pod
from fairlead.gates.model import Answer, AskHttp, AskPods, HttpAnswer, PodsAnswer, Probe, Subject
from fairlead.gates.probe import BODY_LIMIT
from fairlead.kube.errors import ApiError
from fairlead.kube.resources import PODS


class Asker:
    """Carries out what checks ask for, with the rights of whoever called. `url`: asked instead of what a check names."""

    def __init__(self, session: Session, subject: Subject, url: str | None) -> None:
        self._session = session
        self._subject = subject
        self._url = url

    def ask(self, ask: Probe) -> Answer:
        if isinstance(ask, AskPods):
            return PodsAnswer(tuple(self._pods()))
        if self._url is not None:
            base = self._url.rstrip("/")
            return (_direct(base + ask.path if ask.form else base, ask),)
        if ask.target == "Pods":
            ready = [pod for pod in self._pods() if pod.ready][: ask.most]
            return tuple(self._proxied("pods", pod.name, ask) for pod in ready)
        if ask.target == "Service":
            return (self._proxied("services", self._subject.app, ask),)
        if not ask.url:
            return (HttpAnswer(ask.default, error="the check names no address: say it with --url"),)
        return (_direct(ask.url, ask),)

    def _pods(self) -> list[Pod]:
        pages = self._session.cluster.raw_pages(PODS, labels=self._subject.selector)
        found = (project_pod(raw) for page in pages for raw in page)
        return sorted((pod for pod in found if pod is not None and pod.active), key=lambda pod: pod.name)

    def _proxied(self, kind: str, name: str, ask: AskHttp) -> HttpAnswer:
        path, _, query = ask.path.partition("?")
        where = f"/api/v1/namespaces/{self._subject.namespace}/{kind}/{ask.scheme}:{name}:{ask.port}/proxy{quote(path)}"
        began = time.monotonic()
        try:
            body = self._session.cluster.through(where + (f"?{query}" if query else ""), timeout=ask.timeout)
        except ApiError as error:
            if error.code >= 400 and error.reason not in ("ServiceUnavailable", "Forbidden", "NotFound"):
                return HttpAnswer(name, error.code, b"", time.monotonic() - began)
            return HttpAnswer(name, error=error.message or str(error))
        return HttpAnswer(name, 200, body[:BODY_LIMIT], time.monotonic() - began)


def _direct(url: str, ask: AskHttp) -> HttpAnswer:
    where, began = urlsplit(url).netloc, time.monotonic()
    try:
        with urllib3.PoolManager(timeout=ask.timeout, retries=False) as pool:
            fields = urlencode(ask.form) if ask.form else None
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if fields else {}
            answer = pool.request(
                "POST" if fields else "GET", url, body=fields, headers=headers, redirect=False, preload_content=False
            )
            body = answer.read(BODY_LIMIT + 1, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        return HttpAnswer(where, error=f"it cannot be asked: {error}"[:200])
    if len(body) > BODY_LIMIT:
        return HttpAnswer(where, error=f"the answer is larger than {BODY_LIMIT // 1024} KiB")
    return HttpAnswer(where, answer.status, body, time.monotonic() - began)
