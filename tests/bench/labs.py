"""The cluster each contender gets: a fresh lab with its own etcd, the same for all but for the controllers' throttle."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench import metrics_server
from substrate import lab, tools
from substrate.lab import Options, State
from substrate.progress import Progress

NODES = 50
_CPU_NAMES = {
    "etcd": "etcd",
    "kube-apiserver": "apiserver",
    "kube-controller-manager": "kcm",
    "kube-scheduler": "scheduler",
    "kwok": "kwok",
}

# As kubeadm runs it: each controller as its own service account, under RBAC and the API server's fair queues.
_LIKE_KUBEADM = ("--use-service-account-credentials=true",)
# The scheduler is lifted for everyone, or its own limit of 50 pods a second would be all that is measured.
_SCHEDULER = ("--kube-api-qps=5000", "--kube-api-burst=5000")


def options(qps: str, apiserver: tuple[str, ...] = ()) -> Options:
    """`qps` "stock": kube-controller-manager sends 20 requests a second, as it is shipped; "unthrottled": 2000. `apiserver`: what
    kube-apiserver is told besides."""
    return Options(
        qps=qps,
        nodes=NODES,
        apiserver_args=apiserver,
        controller_manager_args=_LIKE_KUBEADM,
        scheduler_args=_SCHEDULER,
    )


@contextmanager
def fresh(name: str, qps: str) -> Iterator[State]:
    """A lab that is gone afterwards, or with this process at the latest."""
    name = f"bench-{name}-{os.getpid()}"
    made = options(qps, metrics_server.trust(lab.folder(name)))
    state = lab.up(name, made, Progress(quiet=True), owner=os.getpid())
    try:
        tools.kubectl("--kubeconfig", state.kubeconfig, "create", "namespace", "bench")
        yield state
    finally:
        lab.down(state.name)


def pids(state: State) -> dict[str, int]:
    """The lab's processes under the names of the tables."""
    found = {_CPU_NAMES[name]: one.process for name, one in state.components.items()}
    return {name: process.pid for name, process in found.items() if process}
