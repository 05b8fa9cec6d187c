"""What the operator says of itself to servers that gates ask: to whom, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from fairlead.core.meta import JSON
from fairlead.gates.checks.http import HttpCheck
from fairlead.gates.checks.prometheus import PrometheusCheck
from fairlead.gates.credentials import LEAST_BYTES, MOST_BYTES, Credentials, hidden, parse, secret_of
from fairlead.gates.guard import Guard
from fairlead.gates.guard import parse as guard
from fairlead.gates.model import AskHttp, HttpAnswer
from fairlead.gates.probe import NetworkProber
from unit.gates.test_probe import SUBJECT, cluster, server

TOKEN = "s3cret-t0ken"
LOOPBACK = guard(["127.0.0.0/8", "localhost"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "token"
    made.write_text(TOKEN + "\n")
    return made


def put(file: Path, content: bytes | None) -> None:
    """As a kubelet renews it, or (None) where there is no Secret."""
    file.unlink()
    if content is not None:
        file.write_bytes(content)


async def ask(url: str, credentials: Credentials, allowed: Guard = LOOPBACK, prometheus: str = "") -> HttpAnswer:
    wanted = AskHttp("Url", 5.0, url=url, default="prometheus", path="/echo")
    found = await NetworkProber(allowed, prometheus, credentials).ask(wanted, SUBJECT, cluster())
    assert isinstance(found, tuple)
    return found[0]


def heard(answer: HttpAnswer) -> str | None:
    assert not answer.error, answer.error
    said: JSON = msgspec.json.decode(answer.body)
    return said["authorization"]  # type: ignore[no-any-return]


async def test_a_token_goes_to_its_origin_and_is_hidden_in_an_answer_that_repeats_it(file: Path) -> None:
    async with server() as port:
        answer = await ask(f"http://127.0.0.1:{port}/", parse([f"http://127.0.0.1:{port}={file}"]))

    assert heard(answer) == "Bearer (hidden)", "it was sent, and is not shown"


async def test_the_operators_own_prometheus_gets_its_token_too(file: Path) -> None:
    async with server() as port:
        own = f"http://127.0.0.1:{port}"
        assert heard(await ask("", parse([f"{own}={file}"]), prometheus=own)) == "Bearer (hidden)"


@pytest.mark.parametrize("origin", ["https://127.0.0.1:{port}", "http://localhost:{port}", "http://127.0.0.1:1"])
async def test_trust_16_another_scheme_host_or_port_gets_no_token(file: Path, origin: str) -> None:
    async with server() as port:
        known = parse([f"{origin.format(port=port)}={file}"])
        assert heard(await ask(f"http://127.0.0.1:{port}/", known)) is None


async def test_trust_16_a_redirect_does_not_carry_the_token_on(file: Path) -> None:
    async with server() as port:
        answer = await ask(f"http://127.0.0.1:{port}/elsewhere", parse([f"http://127.0.0.1:{port}={file}"]))

    assert answer.status == 302


async def test_trust_16_a_credential_opens_no_address_that_the_guard_refuses(file: Path) -> None:
    async with server() as port:
        answer = await ask(f"http://127.0.0.1:{port}/", parse([f"http://127.0.0.1:{port}={file}"]), Guard())

    assert "is not a host gates may ask" in answer.error


async def test_a_renewed_token_is_used_at_once(file: Path) -> None:
    seen: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return web.Response()

    async with server(note) as port:
        known = parse([f"http://127.0.0.1:{port}={file}"])
        await ask(f"http://127.0.0.1:{port}/", known)
        put(file, b"another-token")
        await ask(f"http://127.0.0.1:{port}/", known)

    assert seen == [f"Bearer {TOKEN}", "Bearer another-token"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "it has 0 bytes"),
        (b"short", "it has 5 bytes"),
        (b"x" * (MOST_BYTES + 1), f"{LEAST_BYTES} to {MOST_BYTES} are wanted"),
        (b"s3cret\r\nX-Evil: yes", "characters that no header can hold"),
        ("s3cret-tökèn".encode(), "characters that no header can hold"),
    ],
)
async def test_trust_17_a_credential_that_cannot_be_sent_is_an_error_that_shows_nothing_of_it(
    file: Path, content: bytes | None, words: str
) -> None:
    put(file, content)
    answer = await ask("http://127.0.0.1:9/", parse([f"http://127.0.0.1:9={file}"]))
    result = HttpCheck().judge({}, (answer,))

    assert result.outcome == "Error" and words in result.message
    assert "s3cret" not in result.message and str(file) not in result.message


async def test_nobody_at_the_other_end_shows_nothing_of_it(file: Path) -> None:
    answer = await ask("http://127.0.0.1:1/", parse([f"http://127.0.0.1:1={file}"]))
    assert answer.error and TOKEN not in answer.error


def test_a_header_of_its_own_has_the_content_as_it_is() -> None:
    found = parse(["https://metrics.example=X-Scope-OrgID:/run/tenant"]).of("https://metrics.example/api")
    assert found is not None and found.sent(b"tenant-one\n") == ("X-Scope-OrgID", "tenant-one")


@pytest.mark.parametrize(
    "entry",
    [
        "https://prom.example",
        "https://prom.example=token",
        "prom.example=/run/token",
        "ftp://prom.example=/run/token",
        "https://prom.example/api=/run/token",
        "https://me@prom.example=/run/token",
        "https://*.example=Host:/run/token",
        "https://prom.example=Host:/run/token",
        "https://prom.example=Bad Header:/run/token",
        "https://prom.example:99999=/run/token",
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(entry: str) -> None:
    with pytest.raises(ValueError):
        parse([entry])


def test_a_server_is_told_one_credential() -> None:
    with pytest.raises(ValueError, match=r"there is another one for https://prom\.example:443"):
        parse(["https://prom.example=/a", "https://PROM.example:443=/b"])


def test_every_place_of_an_answer_that_repeats_it_is_cut_out() -> None:
    body = hidden(f"{TOKEN} {TOKEN[::-1]} x{TOKEN}x".encode(), f" {TOKEN}\n".encode())
    assert secret_of(TOKEN.encode()) not in body and TOKEN[::-1].encode() in body


@pytest.mark.parametrize("status", [401, 403])
def test_a_prometheus_that_wants_a_token_says_so(status: int) -> None:
    found = PrometheusCheck().judge({"query": "up", "success": {"max": 1}}, (HttpAnswer("prom:9090", status, b"no"),))
    assert (found.outcome, found.reason) == ("Error", "NotAllowed")
    assert "chart value gates.credentials" in found.message
