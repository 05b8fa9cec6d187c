"""Fairlead itself in the cluster, installed from the chart."""

import json
from collections.abc import Sequence
from typing import Any

from e2e.dsl import apps, metrics_adapter
from e2e.dsl.cluster import Cluster
from fairlead.autoscale.model import KUBELETS, METRICS_API
from support.commands import REPOSITORY, execute
from support.watch import is_ready

JSON = dict[str, Any]

NAMESPACE = "fairlead-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:fairlead-workloads"
CRDS = tuple(f"{kind}.fairlead.dev" for kind in ("apps", "revisions", "gates", "encryptedsecrets", "sealingkeys"))
_SELECTOR = "app.kubernetes.io/name=fairlead,app.kubernetes.io/component=workloads"
_LEASE = "fairlead-workloads"


class Operator:
    def __init__(self, cluster: Cluster, image: str) -> None:
        self.cluster = cluster
        self.image = image

    def install(self, resource_metrics: Sequence[str] = (KUBELETS, METRICS_API), recovery_key: str = "") -> None:
        """As the README says, from what is in the tree, with activators. Returns when all replicas are ready. resource_metrics: where
        autoscaling reads cpu and memory; a kind cluster has no metrics-server unless a test starts one. recovery_key: a public one, by
        which the second identity opens EncryptedSecrets too."""
        repository, _, tag = self.image.rpartition(":")
        build = execute(["docker", "image", "inspect", "--format={{.Id}}", self.image]).stdout.strip()
        values = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "autoscale": {"resourceMetrics": list(resource_metrics), **metrics_adapter.READ},
            "gates": {"allow": ["*.svc:9090"]},  # each test that needs one has a Prometheus in its own namespace
            "workloads": {
                # The tag stays the same from build to build: this is what makes an upgrade start new pods.
                "annotations": {"build": build},
                # A node is stopped in these tests, and the replica on it is not to be missed for five minutes.
                "tolerations": apps.leaving_lost_nodes(5),
            },
            "activator": {"enabled": True, "annotations": {"build": build}},
            "secrets": {"enabled": bool(recovery_key), "recoveryPublicKeys": [recovery_key] if recovery_key else []},
        }
        chart = str(REPOSITORY / "charts" / "fairlead")
        where = ["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout=180s"]
        self.cluster.helm("upgrade", "--install", "fairlead", chart, *where, "--values=-", stdin=json.dumps(values))

    def uninstall(self) -> None:
        self.cluster.helm("uninstall", "fairlead", "--namespace", NAMESPACE, "--wait", "--timeout=120s")

    def forget_leader(self) -> None:
        """Where it was uninstalled: with its rights gone the leader could not let go of its Lease, and whoever comes next would wait until
        that has run out."""
        self.cluster.kubectl("delete", "lease", _LEASE, "-n", NAMESPACE, "--ignore-not-found")

    def pods(self) -> list[JSON]:
        """Those that are not being ended."""
        found = self.cluster.get("pods", "-n", NAMESPACE, "-l", _SELECTOR)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self) -> list[JSON]:
        return [pod for pod in self.pods() if is_ready(pod)]

    def leader(self) -> str:
        """The name of the pod that leads."""
        return self.until_led()

    def until_led(self, *, by_other_than: str = "", within: float = 120) -> str:
        """The name of the pod that holds the Lease, once it is one of those there are."""

        def holder(leases: list[JSON]) -> str:
            identity = leases[0]["spec"].get("holderIdentity", "") if leases else ""
            there = [pod["metadata"]["name"] for pod in self.pods()]
            return next((name for name in there if name in identity and name != by_other_than), "")

        return self.cluster.until("leases", holder, within, namespace=NAMESPACE, name=_LEASE)

    def leases(self) -> list[JSON]:
        found: list[JSON] = self.cluster.get("leases", "-n", NAMESPACE)["items"]
        return found

    def kill(self, *names: str) -> None:
        """SIGKILL to the process, through the node's container runtime: no time to hand anything over."""
        for pod in self.pods():
            if names and pod["metadata"]["name"] not in names:
                continue
            container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
            node = pod["spec"]["nodeName"]
            self.cluster.on_node(node, "ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container)

    def until_ready(self, within: float = 180) -> None:
        """Both replicas ready, and the Deployment content."""
        self.cluster.kubectl(
            "rollout", "status", "deployment/fairlead-workloads", "-n", NAMESPACE, f"--timeout={within:.0f}s",
            timeout=within + 10,
        )  # fmt: skip

    def scale(self, replicas: int) -> None:
        """Returns when so many pods of it are there, and ready."""
        self.cluster.kubectl("scale", "deployment/fairlead-workloads", "-n", NAMESPACE, f"--replicas={replicas}")
        if replicas:
            self.until_ready()
        else:
            gone = ["wait", "--for=delete", "pod", "-l", _SELECTOR, "-n", NAMESPACE, "--timeout=120s"]
            self.cluster.kubectl(*gone, timeout=130)

    def restart_activators(self) -> None:
        """`kubectl rollout restart`. Returns when the last of the old ones is not ready any more."""
        for verb in ("restart", "status"):
            self.cluster.kubectl("rollout", verb, "deployment/fairlead-activator", "-n", NAMESPACE, timeout=180)

    def metrics(self, pod: str) -> str:
        return self.cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics")

    def may(self, verb: str, resource: str, *arguments: str) -> bool:
        kind, _, subresource = resource.partition("/")  # kubectl takes pods/exec for a pod that is called exec
        what = [verb, kind, f"--subresource={subresource}"]
        said = self.cluster.kubectl("auth", "can-i", *what, f"--as={ACCOUNT}", *arguments, check=False)
        return said.split()[0] == "yes"
