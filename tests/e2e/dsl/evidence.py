"""What is kept of a test that failed: objects, events and logs, in build/e2e-logs/<test>/."""

import shutil
from pathlib import Path

from e2e.dsl.cluster import Cluster
from e2e.dsl.operator import NAMESPACE
from support.commands import REPOSITORY

_ROOT = REPOSITORY / "build" / "e2e-logs"
_KINDS = "fapp,frev,pods,services,endpointslices,poddisruptionbudgets,horizontalpodautoscalers,configmaps,events"


def keep(cluster: Cluster, namespace: str, test: str) -> Path:
    """Collect it and say where it is. Never fails: the test's own failure is what matters."""
    folder = _ROOT / test
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def write(name: str, *arguments: str) -> None:
        (folder / name).write_text(cluster.kubectl(*arguments, "--request-timeout=20s", check=False))

    write("table.txt", "get", "fapp,frev,pods,services,poddisruptionbudgets", "-n", namespace, "-o", "wide")
    write("objects.yaml", "get", _KINDS, "-n", namespace, "-o", "yaml")
    write("routes.yaml", "get", "gateways,httproutes", "-n", namespace, "-o", "yaml")  # where Gateway API is there
    write("events.txt", "events", "-n", namespace)
    write("describe.txt", "describe", "fapp,pods", "-n", namespace)
    write("nodes.txt", "describe", "nodes")
    write("operator.txt", "get", "pods,leases", "-n", NAMESPACE, "-o", "wide")
    for where in (namespace, NAMESPACE):
        for pod in cluster.kubectl("get", "pods", "-n", where, "-o", "name", check=False).split():
            name = pod.removeprefix("pod/")
            write(f"{name}.log", "logs", name, "-n", where, "--all-containers", "--tail=5000")
            write(f"{name}.previous.log", "logs", name, "-n", where, "--all-containers", "--previous", "--tail=5000")
    for log in folder.glob("*.previous.log"):
        if "not found" in log.read_text():
            log.unlink()
    return folder
