"""The operator's own identity on a lab, with the rights that the chart gives it."""

from __future__ import annotations

import json
from typing import Any

from support.helm import render
from support.lab import Lab

JSON = dict[str, Any]

SYSTEM, USER = "fairlead-system", "fairlead-workloads"


def as_the_chart_has_it(lab: Lab) -> JSON:
    """A kubeconfig of the operator's own service account, with the chart's roles and no more."""
    lab.kubectl("create", "namespace", SYSTEM)
    rights = [one for one in render() if one["kind"] in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")]
    lab.kubectl(
        "apply", "-n", SYSTEM, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": rights})
    )
    config: JSON = json.loads(lab.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": lab.kubectl("create", "token", USER, "-n", SYSTEM).strip()}
    return config


def may_patch(lab: Lab, resource: str, subresource: str) -> bool:
    """Whether it may, as the authorizer has heard by now: of a role that was changed it hears a moment later."""
    account = f"--as=system:serviceaccount:{SYSTEM}:{USER}"
    asked = ("auth", "can-i", "patch", resource, f"--subresource={subresource}", "--all-namespaces", account)
    return lab.kubectl(*asked, check=False).split()[0] == "yes"
