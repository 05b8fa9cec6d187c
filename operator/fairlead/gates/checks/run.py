"""Does a program of yours find all well? A pod that is run to its end, once for each measurement. Pure."""

from __future__ import annotations

import msgspec

from fairlead.core.meta import JSON
from fairlead.gates.model import Answer, Ask, AskRun, Result, RunAnswer, Subject, Wait

CONTAINER = "check"
NOBODY = 65534  # a user that is not root, and owns nothing, in about every image
BOUNDS: JSON = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}


class RunSpec(msgspec.Struct, frozen=True, rename="camel"):
    """image: "" for that of the revision's first container; the rest as in a container. timeout_seconds: from the pod's
    making to its end, with the time it waits for a node and its image."""

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[JSON, ...] = ()
    env_from: tuple[JSON, ...] = ()
    resources: JSON | None = None
    run_as_user: int = NOBODY
    service_account_name: str = ""
    timeout_seconds: int = 300


class RunCheck:
    """checks[].run"""

    def waits(self, spec: JSON, subject: Subject, now: float) -> Wait | None:
        return None

    def asks(self, spec: JSON, subject: Subject) -> Ask | None:
        """
        >>> subject = Subject("shop", "web", "uid", "x7k2", 4, image="web:2")
        >>> ask = RunCheck().asks({"command": ["smoke"]}, subject)
        >>> ask.spec["containers"][0]["image"], ask.spec["activeDeadlineSeconds"]
        ('web:2', 300)
        """
        wanted = msgspec.convert(spec, RunSpec)
        return AskRun(pod_spec(wanted, subject), float(wanted.timeout_seconds))

    def judge(self, spec: JSON, answer: Answer) -> Result:
        """Exit code 0 has passed, another has failed. What kept it from running, or ended it from outside, is an error.

        >>> RunCheck().judge({}, RunAnswer("web-smoke-1", code=3, message="no basket")).message
        'web-smoke-1 ended with exit code 3: no basket'
        """
        if not isinstance(answer, RunAnswer):
            return Result("Error", "NotRun", "no pod was run")
        if answer.error:
            return Result("Error", "NotRun", f"{answer.pod}: {answer.error}")
        words = f"{answer.pod} ended with exit code {answer.code}" + (f": {answer.message}" if answer.message else "")
        if answer.code == 0:
            return Result("Passed", "Succeeded", words, "exit 0")
        return Result("Failed", "ExitCode", words, f"exit {answer.code}")


def pod_spec(wanted: RunSpec, subject: Subject) -> JSON:
    """The pod as the strictest Pod Security Standard (restricted) takes it, with no token but a service account's that was
    named.

    >>> made = pod_spec(RunSpec(image="curl:8", env=({"name": "FAIRLEAD_APP", "value": "mine"},)), Subject("shop", "web", "u", "x7k2", 4))
    >>> made["securityContext"]["runAsNonRoot"], made["automountServiceAccountToken"], made["containers"][0]["env"][-1]
    (True, False, {'name': 'FAIRLEAD_APP', 'value': 'mine'})
    """
    own = {variable.get("name") for variable in wanted.env}
    told = {"FAIRLEAD_APP": subject.app, "FAIRLEAD_NAMESPACE": subject.namespace, "FAIRLEAD_REVISION": subject.revision}
    container: JSON = {
        "name": CONTAINER,
        "image": wanted.image or subject.image,
        "env": [*({"name": name, "value": value} for name, value in told.items() if name not in own), *wanted.env],
        "resources": BOUNDS if wanted.resources is None else wanted.resources,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    fields = {"command": wanted.command, "args": wanted.args, "envFrom": wanted.env_from}
    container |= {field: list(value) for field, value in fields.items() if value}
    user = {"runAsNonRoot": True, "runAsUser": wanted.run_as_user, "runAsGroup": wanted.run_as_user}
    account = {"serviceAccountName": wanted.service_account_name} if wanted.service_account_name else {}
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": wanted.timeout_seconds,
        "automountServiceAccountToken": bool(account),
        "enableServiceLinks": False,
        "securityContext": user | {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        **account,
    }
