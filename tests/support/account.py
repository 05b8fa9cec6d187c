"""Who the operator is in a cluster it was installed in: the chart's service account, with the chart's rights."""

from support.helm import render
from support.lab import Lab

NAMESPACE = "fairlead-system"
NAME = "fairlead-workloads"
USER = f"system:serviceaccount:{NAMESPACE}:{NAME}"
_KINDS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def install(lab: Lab) -> None:
    """The account and its rights, without the operator."""
    lab.kubectl("create", "namespace", NAMESPACE)
    lab.apply(*(one for one in render() if one["kind"] in _KINDS))


def token(lab: Lab) -> str:
    return lab.service_account_token(NAMESPACE, NAME)
