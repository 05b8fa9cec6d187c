"""Ways to reach an App."""

import json

from e2e.dsl import Given, Scene, Then, When, apps
from support.watch import Objects

PORTS = [{"name": "http", "port": 80, "targetPort": "http"}]

# Asked anew until the node's proxy has heard of the Service: before that a connection to its address goes astray, and stays
# astray, for the kernel decides on a connection's first packet where all of it goes.
_ASK = """
import json, socket, sys, time, urllib.request
out = {}
latest = time.monotonic() + 45
def answer(url):
    while True:
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > latest:
                raise
            time.sleep(0.2)
for name in sys.argv[1:]:
    if name.startswith("http"):
        out[name] = answer(name)
    else:
        out[name] = sorted({entry[4][0] for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
print(json.dumps(out))
"""

_CURL = ("curl", "-sS", "-m", "3", "--retry", "15", "--retry-all-errors")


def ask(scene: Scene, *names: str) -> dict[str, str | list[str]]:
    """From a pod: what URLs answer, and what addresses names have."""
    command = ["--command", "--", "python3", "-c", _ASK, *names]
    scene.kubectl("run", "ask", f"--image={scene.image}", "--restart=Never", *command)
    scene.cluster.until("pods", _ended, 180, namespace=scene.namespace, name="ask")
    said = scene.kubectl("logs", "ask")
    assert scene.get("pod", "ask")["status"]["phase"] == "Succeeded", said
    answers: dict[str, str | list[str]] = json.loads(said.splitlines()[-1])
    return answers


def _ended(pods: Objects) -> bool:
    return bool(pods) and pods[0]["status"].get("phase") in ("Succeeded", "Failed")


def test_a_dual_stack_app_answers_over_both_families(given: Given, then: Then, scene: Scene) -> None:
    given.a_ready_app(apps.web(replicas=2, expose={"ports": PORTS, "ipFamilyPolicy": "PreferDualStack"}))

    spec = scene.get("service", "shop")["spec"]
    assert sorted(spec["ipFamilies"]) == ["IPv4", "IPv6"]
    four, six = sorted(spec["clusterIPs"], key=lambda address: ":" in address)
    answers = ask(scene, f"http://{four}/hostname", f"http://[{six}]/hostname", "shop")

    pods = {pod["metadata"]["name"] for pod in scene.pods()}
    assert answers[f"http://{four}/hostname"] in pods
    assert answers[f"http://[{six}]/hostname"] in pods
    assert set(answers["shop"]) == {four, six}


def test_every_replica_serves_by_its_own_name(given: Given, scene: Scene) -> None:
    """Upstream's "should serve a basic image on each replica with a public image"."""
    given.a_ready_app(apps.web(replicas=3))

    names = {f"http://{pod['status']['podIP']}:8080/hostname": pod["metadata"]["name"] for pod in scene.pods()}

    assert len(names) == 3
    assert ask(scene, *names) == names


def test_a_node_port_answers_on_every_node(given: Given, scene: Scene) -> None:
    given.a_ready_app(apps.web(replicas=1, expose={"type": "NodePort", "ports": PORTS}))

    port = scene.get("service", "shop")["spec"]["ports"][0]["nodePort"]
    pod = scene.pods()[0]["metadata"]["name"]
    nodes = {node["metadata"]["name"]: node for node in scene.cluster.get("nodes")["items"]}
    for node in nodes.values():
        address = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
        asking = next(name for name in nodes if name != node["metadata"]["name"])
        assert scene.cluster.on_node(asking, *_CURL, f"http://{address}:{port}/hostname") == pod


def test_the_name_of_a_headless_app_is_the_addresses_of_its_pods(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.web(replicas=3, expose={"type": "Headless", "ports": PORTS}))

    pods = scene.pods()
    addresses = {pod["status"]["podIP"] for pod in pods}
    then.served(*(pod["metadata"]["name"] for pod in pods))  # what the name stands for

    assert set(ask(scene, "shop")["shop"]) == addresses


def test_exposure_changes_and_goes_without_a_pod_being_touched(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(apps.web(replicas=1))
    pods = {pod["metadata"]["uid"] for pod in scene.pods()}

    when.applied(apps.web(replicas=1, expose={"type": "Headless", "ports": PORTS}))
    scene.cluster.until(
        "services",
        lambda found: [one for one in found if one["spec"]["clusterIP"] == "None"],
        60,
        namespace=scene.namespace,
    )
    then.ready()
    scene.kubectl("patch", "fapp", "shop", "--type=json", "-p", '[{"op": "remove", "path": "/spec/expose"}]')
    scene.kubectl("wait", "--for=delete", "service/shop", "--timeout=60s")

    assert {pod["metadata"]["uid"] for pod in scene.pods()} == pods
