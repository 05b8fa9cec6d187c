"""Manifests of Apps, as their users write them."""

import copy
from typing import Any

JSON = dict[str, Any]

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"
BUSYBOX = "docker.io/library/busybox:1.36"
# Nothing listens there, so that a pull fails at once, with or without a network.
NOWHERE = "localhost:1/shop:typo"


def web(name: str = "shop", **spec: Any) -> JSON:
    """A web server behind a Service, which answers with its pod's name on /hostname. `spec` is laid over it."""
    container = {
        "name": "web",
        "image": AGNHOST,
        "args": ["netexec", "--http-port=8080"],
        "env": [{"name": "VERSION", "value": "1"}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
        # Who requests no cpu has a hundredth of the weight of those who do: beside a test that keeps it busy such pods starve.
        "resources": {"requests": {"cpu": "100m"}},
    }
    body = {
        "template": {"spec": {"containers": [container]}},
        "expose": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        **spec,
    }
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "metadata": {"name": name}, "spec": body}


def idle(name: str = "shop", **spec: Any) -> JSON:
    """Pods that do nothing, behind nothing: the quickest to start and to end."""
    container = {"name": "web", "image": AGNHOST, "args": ["pause"], "env": [{"name": "VERSION", "value": "1"}]}
    body = {"template": {"spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}, **spec}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "metadata": {"name": name}, "spec": body}


def version(app: JSON, number: int | str) -> JSON:
    """The same App with another setting in its template: a new revision."""
    changed = copy.deepcopy(app)
    container(changed)["env"] = [{"name": "VERSION", "value": str(number)}]
    return changed


def image(app: JSON, name: str) -> JSON:
    changed = copy.deepcopy(app)
    container(changed)["image"] = name
    return changed


def script(app: JSON, text: str) -> JSON:
    """The same App running a shell script."""
    changed = copy.deepcopy(app)
    container(changed).update(image=BUSYBOX, command=["sh", "-c", text], args=[])
    return changed


def leaving_lost_nodes(seconds: int) -> list[JSON]:
    """Tolerations of pods that give up a node which does not answer after this long, not after five minutes."""
    states = ("not-ready", "unreachable")
    wait = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
    return [{"key": f"node.kubernetes.io/{state}", **wait} for state in states]


def container(app: JSON) -> JSON:
    first: JSON = app["spec"]["template"]["spec"]["containers"][0]
    return first
