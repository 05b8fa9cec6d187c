"""Gates on the command line: seen in status and why, approved, and tried from a file."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS
from unit.cli import objects
from unit.cli.conftest import Cli, Shop

ERRORS: JSON = {
    "name": "errors",
    "moment": "Step2",
    "phase": "Running",
    "message": "0.004 is at most 0.01",
    "value": "0.004",
    "measured": 2,
    "measuredAt": "2026-11-21T10:00:00Z",
    "since": "2026-11-21T09:59:00Z",
}
SIGN_OFF: JSON = {"name": "sign-off", "moment": "Step2", "phase": "Waiting", "message": "waits for to be approved"}


def judged(shop: Shop, *gates: JSON) -> None:
    shop.status(objects.moving() | {"gates": list(gates)})


def annotations(shop: Shop) -> JSON:
    found: JSON = shop.server.get(APPS, "shop")["metadata"].get("annotations") or {}
    return found


def test_status_shows_each_gate_with_its_value(rolling: Shop, cli: Cli) -> None:
    judged(rolling, ERRORS, SIGN_OFF)
    out = cli("status", "shop").out

    assert "● gate errors  Running  0.004, measured 2 times" in out
    assert "‖ gate sign-off  Waiting" in out


def test_why_names_the_gate_and_the_ways_on(rolling: Shop, cli: Cli) -> None:
    judged(rolling, ERRORS | {"phase": "Inconclusive", "message": "0.03 meets neither success nor failure"})
    out = cli("why", "shop").out

    assert "0.03 meets neither success nor failure" in out
    assert "fairlead approve shop errors" in out
    assert "fairlead abort shop" in out


def test_status_for_programs_has_the_gates(rolling: Shop, cli: Cli) -> None:
    judged(rolling, ERRORS)

    assert json.loads(cli("status", "shop", "-o", "json").out)["gates"][0]["value"] == "0.004"


def test_the_one_gate_that_waits_needs_no_name(rolling: Shop, cli: Cli) -> None:
    judged(rolling, ERRORS, SIGN_OFF)

    assert cli("approve", "shop").out == "app.fairlead.dev/shop revision 2 passes gate sign-off\n"
    assert annotations(rolling) == {"fairlead.dev/approve": "2/sign-off"}


def test_a_second_approval_keeps_the_first_and_drops_those_of_other_releases(rolling: Shop, cli: Cli) -> None:
    judged(rolling, ERRORS, SIGN_OFF)
    rolling.server.change(
        APPS, "shop", lambda o: o["metadata"].update(annotations={"fairlead.dev/approve": "1/old,2/load"})
    )

    assert cli("approve", "shop", "errors").code == 0
    assert annotations(rolling) == {"fairlead.dev/approve": "2/load,2/errors"}


@pytest.mark.parametrize(
    ("gates", "arguments", "words"),
    [
        ((ERRORS,), (), "none of its gates waits for anybody"),
        ((SIGN_OFF, SIGN_OFF | {"name": "legal"}), (), "these gates wait: sign-off, legal; name one"),
        ((ERRORS,), ("typo",), "no gate typo is judged now (judged: errors)"),
    ],
)
def test_what_cannot_be_approved_is_told(
    rolling: Shop, cli: Cli, gates: tuple[JSON, ...], arguments: tuple[str, ...], words: str
) -> None:
    judged(rolling, *gates)
    result = cli("approve", "shop", *arguments)

    assert result.code == 1
    assert words in result.err
    assert not rolling.server.made("PATCH")


# ---------------------------------------------------------------- gate test


GATE = """
apiVersion: fairlead.dev/v1alpha1
kind: Gate
metadata: {name: errors}
spec:
  checks:
  - pods: {}
  - prometheus: {query: 'errors{revision="$(revision)"}', success: {max: 0.01}}
"""


@pytest.fixture
def prometheus() -> Iterator[tuple[str, list[str]]]:
    """A server that answers 0.07 to every query, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            series = [{"metric": {}, "value": [1, "0.07"]}]
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_a_gate_is_measured_once_and_says_what_it_found(
    shop: Shop, cli: Cli, tmp_path: Path, prometheus: tuple[str, list[str]]
) -> None:
    address, asked = prometheus
    shop.pod("shop-v1-a", "v1")
    file = tmp_path / "gate.yaml"
    file.write_text(GATE)
    result = cli("gate", "test", "-f", str(file), "--app", "shop", "--url", address)

    assert result.lines == [
        "gate errors",
        "  Passed  pods: 1 of 1 pods are ready",
        "  Failed  prometheus: 0.07 is above 0.01",
    ]
    assert result.code == 2
    assert "errors%7Brevision%3D%22v1%22%7D" in asked[0]


def test_a_backend_that_is_not_there_is_an_error_and_no_failure(shop: Shop, cli: Cli, tmp_path: Path) -> None:
    shop.pod("shop-v1-a", "v1")
    file = tmp_path / "gate.yaml"
    file.write_text(GATE)
    result = cli("gate", "test", "-f", str(file), "--app", "shop", "--url", "http://127.0.0.1:1")

    assert result.code == 1
    assert "Error  prometheus: 127.0.0.1:1: it cannot be asked" in result.out


def test_a_file_without_gates_is_told(shop: Shop, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text("kind: Service\n")

    assert "there is no gate in it that has checks" in cli("gate", "test", "-f", str(file)).err


def test_what_a_check_would_run_is_told_and_not_run(shop: Shop, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text("""
kind: Gate
metadata: {name: smoke}
spec: {checks: [{run: {command: [smoke, --all], timeoutSeconds: 60}}]}
""")
    result = cli("gate", "test", "-f", str(file), "--app", "shop")

    what = "a pod of registry.example/shop:1 with the command smoke --all, as user 65534, for 60 s at most"
    assert result.lines == ["gate smoke", f"  Inconclusive  run: a release would run {what}; nothing is run from here"]
    assert result.code == 2
    assert {request.method for request in shop.server.requests} == {"GET"}
