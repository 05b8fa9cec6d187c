"""Releases judged by a real Prometheus, under traffic."""

from typing import Any

import pytest

from e2e.dsl import Cluster, Given, Scene, Then, When, apps, prometheus

JSON = dict[str, Any]

# Answers every request, and counts those it got wrong: all of them from version 2.
_SERVER = """
import http.server, os, signal, socket, threading
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
wrong, lock, counts = os.environ["VERSION"] == "2", threading.Lock(), {"requests_total": 0, "wrong_total": 0}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/metrics":
            body = "".join(f"shop_{name} {value}\\n" for name, value in counts.items())
        else:
            body = socket.gethostname()
            with lock:
                counts["requests_total"] += self.path == "/hostname"
                counts["wrong_total"] += wrong and self.path == "/hostname"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
_RATE = 'sum(rate(shop_wrong_total{revision="$(revision)"}[5s])) / sum(rate(shop_requests_total{revision="$(revision)"}[5s]))'


@pytest.fixture(scope="module")
def _image(cluster: Cluster) -> None:
    prometheus.load(cluster)


@pytest.fixture
def address(scene: Scene, _image: None) -> str:
    return prometheus.start(scene.cluster, scene.namespace)


def shop(scene: Scene, address: str) -> JSON:
    made = apps.web(
        replicas=4,
        rollout={
            "strategy": "Canary",
            "maxSurge": 1,
            "maxUnavailable": 0,
            "steps": [{"weight": 25}, {"gate": "wrong-answers"}, {"weight": 50}],
            "gates": [
                {
                    "name": "wrong-answers",
                    "intervalSeconds": 2,
                    "count": 3,
                    "errorLimit": 30,
                    "checks": [{"prometheus": {"address": address, "query": _RATE, "success": {"max": 0.05}}}],
                }
            ],
        },
    )
    apps.container(made).update(image=scene.image, imagePullPolicy="Never", command=["python3", "-c", _SERVER], args=[])
    return made


def test_a_canary_whose_answers_prometheus_finds_wrong_takes_itself_back_and_a_good_one_goes_through(
    given: Given, when: When, then: Then, scene: Scene, address: str
) -> None:
    given.a_ready_app(shop(scene, address))
    before = {pod["metadata"]["uid"] for pod in scene.pods()}

    with then.history() as history, when.requested(rate=40) as reports:
        when.released(2)
        back = then.condition("RolledBack", "True", "ReleaseFailed")
        after = {pod["metadata"]["uid"] for pod in then.pods_ready(4)}
        watched = when.fairlead("status", "shop", "--watch", "--timeout=30s")
        when.released(3)
        then.ready()
        then.pods_ready(4)

    assert "gate wrong-answers failed: 1 is above 0.05 (1 of" in back["message"], back
    assert len(before & after) >= 3, "what served went on"
    assert watched.returncode == 2, watched.stdout + watched.stderr
    assert history.fewest_ready >= 4
    assert reports[0].lost == 0, reports[0]
    versions = {apps.container({"spec": {"template": pod}})["env"][0]["value"] for pod in scene.pods()}
    assert versions == {"3"}
    revision = scene.get("frev", scene.app()["status"]["activeRevision"])
    (run,) = revision["status"]["gates"]
    assert (run["phase"], run["passes"]) == ("Passed", 3)


_ASKS = """
import os, sys, urllib.request
with urllib.request.urlopen(f"http://{os.environ['FAIRLEAD_APP']}/hostname", timeout=30) as answer:
    print(answer.read().decode())
code = int(sys.argv[2])
print(sys.argv[1], file=sys.stdout if code else open("/dev/termination-log", "w"))
sys.exit(code)
"""


def judged_by_a_program(scene: Scene, last: str, code: int) -> JSON:
    """Judged by a program that asks the App itself, says something, and ends."""
    run = {"image": scene.image, "command": ["python3", "-c", _ASKS, last, str(code)]}
    rollout = {
        "strategy": "Canary",
        "steps": [{"weight": 50}, {"gate": "smoke"}],
        "gates": [{"name": "smoke", "checks": [{"run": run}]}],
    }
    return apps.web(replicas=2, rollout=rollout)


def test_a_program_takes_a_release_back_by_its_exit_code_and_lets_the_next_one_go_on(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(judged_by_a_program(scene, "no basket", 3))

    when.released(2)
    back = then.condition("RolledBack", "True", "ReleaseFailed")
    (judge,) = scene.get("pods", "-l", "fairlead.dev/judges=shop")["items"]
    words = scene.kubectl("logs", judge["metadata"]["name"]).splitlines()
    when.applied(apps.version(judged_by_a_program(scene, "12 of 12 pages", 0), 3))
    then.ready()

    assert "ended with exit code 3: no basket" in back["message"], back
    assert words[0].startswith("shop-") and words[-1] == "no basket", words
    revision = scene.get("frev", scene.app()["status"]["activeRevision"])
    (run,) = revision["status"]["gates"]
    assert run["measurements"][-1]["message"].endswith("ended with exit code 0: 12 of 12 pages"), run
