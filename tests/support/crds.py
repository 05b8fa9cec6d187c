"""Our kinds on a real API server, and what it says to an App it does not want."""

import copy
import json
import urllib.error
import urllib.request
from itertools import count
from typing import Any, Protocol

from fairlead.cli.linting.check import Linter
from fairlead.kube.resources import BY_KIND
from support.commands import REPOSITORY
from support.lab import Lab
from support.waiting import eventually

CRDS = REPOSITORY / "crds"
EXAMPLES = REPOSITORY / "examples"

JSON = dict[str, Any]
_turns = count(1)
PLURALS = ("apps", "revisions", "gates", "encryptedsecrets", "sealingkeys")


class Reached(Protocol):
    """A lab, or another cluster."""

    def kubectl(self, *arguments: str, check: bool = True) -> str: ...


def install(lab: Lab) -> None:
    """What a person does: client-side `kubectl apply`. Returns when the kinds are served."""
    lab.kubectl("apply", "-f", str(CRDS))
    served(lab, *(f"{plural}.fairlead.dev" for plural in PLURALS))


def served(lab: Lab, *names: str) -> None:
    """Wait until these definitions are established. Not by `kubectl wait`, which fails on one so new that it has no conditions yet."""
    eventually(lambda: all(_established(lab, name) for name in names))


def undefine(cluster: Reached, *names: str) -> None:
    """Delete these definitions, with all there is of them. Returns when they are gone."""
    cluster.kubectl("delete", "crd", *names, "--wait=false")
    eventually(lambda: not nudged(cluster, *names))


def nudged(cluster: Reached, *names: str) -> set[str]:
    """Those of these definitions that are still going. On a busy machine the API server now and then misses that one can go, and then
    looks at it again when it changes, or at its next round, which is after five minutes."""
    found = cluster.kubectl("get", "crd", "--output=jsonpath={.items[*].metadata.name}").split()
    left = set(found) & set(names)
    for name in left:
        cluster.kubectl("annotate", "crd", name, f"asked={next(_turns)}", "--overwrite", check=False)
    return left


def app(name: str = "shop", **spec: Any) -> JSON:
    """An App with one container; `spec` is laid over it."""
    container = {"name": "web", "image": "shop:1", "ports": [{"name": "http", "containerPort": 8080}]}
    body = {"template": {"spec": {"containers": [container]}}, **spec}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "metadata": {"name": name}, "spec": body}


def app_with_pod(**pod: Any) -> JSON:
    """An App whose PodSpec has these fields beside (or instead of) its one container."""
    made = app()
    made["spec"]["template"]["spec"].update(pod)
    return made


def app_with_container(**container: Any) -> JSON:
    """An App whose one container has these fields too."""
    made = app()
    made["spec"]["template"]["spec"]["containers"][0].update(container)
    return made


def revision(name: str = "shop-x7k2b9f4dq", **spec: Any) -> JSON:
    template = copy.deepcopy(app()["spec"]["template"])
    body = {
        "app": "shop",
        "number": 1,
        "templateHash": "x7k2b9f4dq",
        "template": template,
        "images": ["shop:1"],
        **spec,
    }
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Revision", "metadata": {"name": name}, "spec": body}


def create(lab: Lab, namespace: str, body: JSON) -> JSON:
    """Create it and return what was stored."""
    stored: JSON = json.loads(lab.kubectl("create", "-n", namespace, "-o", "json", "-f", "-", stdin=json.dumps(body)))
    return stored


def accept(lab: Lab, body: JSON) -> JSON:
    """What would be stored, without storing it. Fails where the API server refuses, or `fairlead lint` would."""
    code, answer = _try(lab, body)
    assert code == 201, answer["message"]
    assert not lint_errors(body)
    return answer


def refusal(lab: Lab, body: JSON) -> str:
    """What the API server says to an object it refuses. Fails where it accepts, or `fairlead lint` would."""
    code, answer = _try(lab, body)
    assert code != 201, f"accepted: {json.dumps(body)}"
    assert lint_errors(body), f"lint has nothing against {json.dumps(body)}"
    return str(answer["message"])


def lint_errors(body: JSON) -> list[str]:
    """What `fairlead lint` has against it, which must agree with the API server in every case."""
    linter = Linter()
    linter.file("manifest", json.dumps(body))
    return [f"{remark.path}: {remark.message}" for remark in linter.report.remarks if remark.level == "error"]


def change_refusal(lab: Lab, namespace: str, kind: str, name: str, patch: JSON) -> str:
    """What the API server says to a change it refuses."""
    said = lab.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(patch), check=False)
    assert "patched" not in said, f"accepted: {json.dumps(patch)}"
    return said


def _try(lab: Lab, body: JSON) -> tuple[int, JSON]:
    """A strict dry run, as `kubectl create --dry-run=server` asks for it, without a process for each of hundreds."""
    path = f"{BY_KIND[body['kind']].path('default')}?dryRun=All&fieldValidation=Strict"
    headers = {"Authorization": f"Bearer {lab.token}", "Content-Type": "application/json"}
    request = urllib.request.Request(lab.url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30, context=lab.ssl_context()) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _established(lab: Lab, name: str) -> bool:
    conditions = lab.get("crd", name)["status"].get("conditions") or ()
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)
