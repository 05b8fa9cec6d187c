"""A metrics-server as it is shipped, beside a lab: upstream's HorizontalPodAutoscaler reads nothing else of cpu."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from substrate import ports, tools
from substrate.api import Api
from substrate.lab import State
from substrate.progress import Failure
from support.apiservice import api_service

PROGRAM = "metrics-server"
RESOLUTION = 15  # seconds between two looks at the kubelets, as its manifests have it
_GROUP = "metrics.k8s.io"
_NAMESPACE = "kube-system"
_SERVED_WITHIN = 60.0


def trust(directory: Path) -> tuple[str, ...]:
    """What the API server of a lab in this folder has to be told, so that others believe whom it speaks for. A lab's one
    certificate is its own authority."""
    certificate = directory / "ca.crt"
    return (
        f"--proxy-client-cert-file={certificate}",
        f"--proxy-client-key-file={directory / 'server.key'}",
        f"--requestheader-client-ca-file={certificate}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    )


@contextmanager
def running(state: State, log: Path) -> Iterator[int]:
    """Its pid, once the lab serves its API. It ends with the context."""
    (port,) = ports.free(1, state.ports.values())
    with log.open("wb") as out:
        process = subprocess.Popen(_command(state, port), stdout=out, stderr=subprocess.STDOUT)
    try:
        tools.kubectl("--kubeconfig", state.kubeconfig, "apply", "-f", "-", text=json.dumps(_objects(port)))
        _wait_served(state, process, log)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _command(state: State, port: int) -> list[str]:
    clients = [f"--{use}kubeconfig={state.kubeconfig}" for use in ("", "authentication-", "authorization-")]
    return [
        str(tools.TOOLS[PROGRAM].program),
        *clients,
        f"--cert-dir={Path(state.directory) / PROGRAM}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        f"--metric-resolution={RESOLUTION}s",
    ]


def _objects(port: int) -> dict[str, object]:
    """The API server finds it by a Service that is a name: a lab has no network in which a Service has an address."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": PROGRAM, "namespace": _NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    api = api_service(f"v1beta1.{_GROUP}", PROGRAM, _NAMESPACE, port)
    return {"apiVersion": "v1", "kind": "List", "items": [service, api]}


def _wait_served(state: State, process: subprocess.Popen[bytes], log: Path) -> None:
    api = Api(state.url, state.token, Path(state.ca))
    deadline = time.monotonic() + _SERVED_WITHIN
    while (answer := api.request("GET", f"/apis/{_GROUP}/v1beta1/nodes"))[0] != 200:
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:]
            raise Failure(f"metrics-server is not served: {answer[0]} {answer[1][:300]!r}; its log says:\n{said}")
        time.sleep(0.2)
    api.close()
