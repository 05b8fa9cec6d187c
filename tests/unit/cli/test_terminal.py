"""What reaches the terminal: no one else's control codes, colours only where they belong, and a quiet Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS, EVENTS
from unit.cli import objects
from unit.cli.conftest import Cli, Shop

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\x08\r"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
VERBS = [
    ["status"],
    ["status", "shop"],
    ["status", "shop", "-w"],
    ["tree", "shop"],
    ["history", "shop"],
    ["why", "shop"],
]


@pytest.fixture
def evil(rolling: Shop) -> Shop:
    """Escape sequences wherever the cluster keeps free text."""
    rolling.server.change(APPS, "shop", lambda o: o["spec"]["template"]["spec"]["containers"][0].update(image=EVIL))
    status = objects.stuck(summary=f"Stuck{EVIL}", observedGeneration=3)
    problem = status["problems"][0]
    status["problems"] = [problem | {"message": EVIL, "reason": f"Evil{EVIL}", "samplePod": f"p{EVIL}"}]
    status["rollout"] = {"waitingFor": f"godot{EVIL}"}
    status["conditions"].append(objects.condition("Exposed", "False", f"Bad{EVIL}", EVIL))
    rolling.status(status)
    waiting = {"name": f"web{EVIL}", "state": {"waiting": {"reason": f"Odd{EVIL}", "message": EVIL}}}
    rolling.pod("shop-v2-aaaaa", "v2", ready=False, containerStatuses=[waiting])
    crashed: JSON = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"terminated": {"exitCode": 1, "message": EVIL}}
    rolling.pod(
        "shop-v2-bbbbb", "v2", ready=False, containerStatuses=[{"name": "web", "state": crashed, "lastState": ended}]
    )
    rolling.server.logs["shop-v2-bbbbb", "web", True] = f"last {EVIL}words\n"
    event = {"metadata": {"name": "e"}, "reason": f"R{EVIL}", "message": EVIL, "involvedObject": {"uid": rolling.uid}}
    rolling.server.add(EVENTS, event)
    return rolling


@pytest.mark.parametrize("arguments", VERBS, ids=" ".join)
def test_trust_22_nothing_from_the_cluster_steers_the_terminal(evil: Shop, cli: Cli, arguments: list[str]) -> None:
    result = cli(*arguments)
    assert result.out and not CONTROL.search(result.out), CONTROL.search(result.out)
    assert not CONTROL.search(result.err)
    assert "owned" not in result.out, "an escape sequence goes as a whole, not only its first character"


@pytest.mark.parametrize("format", ["json", "yaml"])
def test_trust_22_machine_formats_escape_what_they_keep(evil: Shop, cli: Cli, format: str) -> None:
    result = cli("pause", "shop", "--dry-run=client", "-o", format)
    assert result.code == 0 and not CONTROL.search(result.out)


def test_trust_73_markup_of_the_terminal_library_is_only_text(rolling: Shop, cli: Cli) -> None:
    status = objects.moving()
    rolling.status(status | {"summary": "[red]x[/red] :smile: [link=http://evil]y[/link]"})
    assert "[red]x[/red] :smile: [link=http://evil]y[/link]" in cli("status", "shop").out


# ---------------------------------------------------------------- as a process of its own


def process(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fairlead", *arguments],
        env={**os.environ, "PYTHONPATH": "operator", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def on_terminal(*arguments: str, **environment: str) -> str:
    """The output of the program with a terminal as stdout."""
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": "operator", **environment}
    with subprocess.Popen([sys.executable, "-m", "fairlead", *arguments], env=env, stdout=follower, stderr=follower):
        os.close(follower)
        chunks = []
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:
                break
            chunks.append(chunk)
    os.close(leader)
    return b"".join(chunks).decode()


def test_a_terminal_gets_colours_and_no_color_is_honoured(shop: Shop) -> None:
    assert "\x1b[32m" in on_terminal("status", "shop")
    plain = on_terminal("status", "shop", NO_COLOR="1")
    assert "\x1b[3" not in plain and "3/3 ready" in plain


def test_a_dumb_terminal_gets_plain_lines_when_following(shop: Shop) -> None:
    text = on_terminal("status", "shop", "--watch", TERM="dumb")
    assert "\x1b" not in text and re.search(r"^\+\d+s  Ready", text)


def test_following_on_a_terminal_leaves_the_last_picture_and_the_cursor(shop: Shop) -> None:
    text = on_terminal("status", "shop", "--watch")
    assert "3/3 ready" in text
    assert text.rstrip().endswith("\x1b[?25h"), "the cursor is shown again"


def test_a_terminal_without_unicode_gets_ascii(shop: Shop) -> None:
    text = on_terminal("status", "shop", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert "======" in text and text.isascii()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell's background job is started with SIGINT ignored, and hands that on; a handler of one's own is not handed on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_trust_75_ctrl_c_ends_quietly_with_130(rolling: Shop, interruptible: None) -> None:
    running = process("status", "shop", "--watch")
    assert running.stdout is not None
    assert b"Rolling 1/3" in running.stdout.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=90)
    assert (running.returncode, out, err) == (130, b"", b"")


def test_a_reader_that_goes_away_is_no_error(shop: Shop) -> None:
    for index in range(50):
        shop.pod(f"shop-v1-{index:05}", "v1")
    running = process("tree", "shop", "--all-pods")
    assert running.stdout is not None
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait(timeout=90) == 141


# ---------------------------------------------------------------- start-up


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], {"rich", "urllib3", "kubernetes", "aiohttp", "kopf", "jsonschema", "msgspec", "yaml", "asyncio"}),
        (["status", "--help"], {"kubernetes", "aiohttp", "kopf", "jsonschema", "asyncio"}),
        (["version", "--client"], {"kubernetes", "aiohttp", "kopf", "jsonschema", "asyncio"}),
        (["lint", "-f", "examples/minimal.yaml"], {"kubernetes", "aiohttp", "kopf", "urllib3", "asyncio"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_verb_imports_only_what_it_needs(arguments: list[str], unwanted: set[str]) -> None:
    code = "import sys; from fairlead.cli.main import run; run(sys.argv[1:], 'fairlead'); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": "operator"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not unwanted & set(done.stderr.split())
