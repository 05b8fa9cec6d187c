"""A three-node dual-stack kind cluster: made, repaired, replaced, filled with images, described."""

import json
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from substrate import docker, nodeimage, paths, tools
from substrate.command import attempt, environment, run, run_logged, tail
from substrate.nodeimage import NodeImage
from substrate.progress import Failure, Progress
from substrate.tools import TOOLS, kubectl

NAME = "fairlead"
CONTEXT = f"kind-{NAME}"
_LABEL = "io.x-k8s.kind.cluster"
_NODES = (f"{NAME}-control-plane", f"{NAME}-worker", f"{NAME}-worker2")
# Written last: a cluster without it was never finished. It names what the cluster was made of.
_MARKER = ("kube-system", "fairlead-substrate")
# What every pod relies on, by the label that kubeadm and kind give it.
_SYSTEM = {
    "component": ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    "k8s-app": ("kube-dns", "kube-proxy", "kindnet"),
    "app": ("local-path-provisioner",),
}
_REPAIRED_WITHIN = 120.0


@dataclass(frozen=True)
class Container:
    name: str
    state: str


def up(progress: Progress) -> None:
    """Have the cluster, whatever an earlier run left: nothing, half of it, or all of it stopped."""
    docker.ensure(progress)
    tools.ensure(("kind", *tools.USER), progress)
    existing = containers()
    if existing and _repaired(existing, progress):
        return
    if existing:
        with progress.step("remains of an earlier cluster") as step:
            _delete()
            step.note = "removed"
    # The official image's systemd needs cgroup v2, and its units lower OOM scores.
    image = nodeimage.ensure(progress, official=not (_cgroup_v1() or docker.missing_capabilities()))
    with progress.step(f"cluster {NAME}: {len(_NODES)} nodes") as step:
        _create(image)
        step.note = "created"
    with progress.step("nodes, DNS and storage ready"):
        _wait_ready(_REPAIRED_WITHIN)
        _mark(image)


def down() -> bool:
    """Remove the cluster. False where there was none."""
    if not docker.answers() or not containers():
        return False
    _delete()
    return True


def load(images: list[str], progress: Progress) -> None:
    """Put images on every node: names that Docker knows, or archives as `docker save` writes them."""
    nodes = [one.name for one in containers()]
    if not nodes:
        raise Failure("there is no cluster; make it with: hack/cluster up")
    for image in images:
        with progress.step(f"image {image}") as step:
            step.note = _load_archive(Path(image), nodes) if Path(image).is_file() else _load_image(image, nodes)


def _load_image(image: str, nodes: list[str]) -> str:
    """Save an image once and stream it to the nodes that lack it. (kind would send it every time: it asks crictl.)"""
    found = attempt("docker", "image", "inspect", "--format={{.Id}}", image)
    if found.returncode:
        raise Failure(f"Docker knows no image {image}; build it with: hack/image build --tag {image}")
    lacking = [node for node in nodes if found.stdout.strip() not in _held(node, image)]
    if not lacking:
        return "there"
    with tempfile.TemporaryDirectory(dir=paths.cache()) as folder:
        archive = Path(folder) / "image.tar"
        run("docker", "save", f"--output={archive}", image)
        return _load_archive(archive, lacking)


def _load_archive(archive: Path, nodes: list[str]) -> str:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: _import(archive, node), nodes))
    return "loaded"


def _import(archive: Path, node: str) -> None:
    importing = (
        "ctr",
        "--namespace=k8s.io",
        "images",
        "import",
        "--all-platforms",
        "--digests",
        "--snapshotter=overlayfs",
        "-",
    )
    with archive.open("rb") as file:
        done = subprocess.run(["docker", "exec", "-i", node, *importing], stdin=file, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{node} did not take {archive.name}:\n{tail(done.stderr)}")


def _held(node: str, image: str) -> str:
    """What a node's containerd says of an image; the digest of its configuration, which is Docker's id, is in it."""
    return attempt(
        "docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "inspect", full_reference(image)
    ).stdout


def full_reference(image: str) -> str:
    """shop -> docker.io/library/shop:latest, ghcr.io/a/shop:2 stays."""
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif "." not in first and ":" not in first and first != "localhost":
        image = f"docker.io/{image}"
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def containers() -> list[Container]:
    """The cluster's node containers in the order of _NODES, running or not."""
    found = run("docker", "ps", "--all", f"--filter=label={_LABEL}={NAME}", "--format={{.Names}} {{.State}}")
    by_name = dict(line.split(maxsplit=1) for line in found.splitlines())
    known = [Container(name, by_name.pop(name)) for name in _NODES if name in by_name]
    return known + [Container(name, state) for name, state in sorted(by_name.items())]


def status() -> str:
    """A few lines for a person."""
    if not docker.answers():
        return "No Docker daemon answers, so there is no cluster. Start both with: hack/cluster up"
    found = containers()
    if not found:
        return "No cluster. Make it with: hack/cluster up"
    lines = [f"Cluster {NAME} (kubectl --context {CONTEXT})"]
    ready = _readiness()
    lines += [f"  {one.name:<26} {one.state:<10} {ready.get(one.name, 'not answering')}" for one in found]
    if not _made_of():
        lines.append("It is not whole. Repair or replace it with: hack/cluster up")
    return "\n".join(lines)


def summary() -> str:
    """The last lines of `up`: what there is and how to use it."""
    version = json.loads(kubectl("--context", CONTEXT, "version", "--output=json"))["serverVersion"]["gitVersion"]
    config = environment().get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    return (
        f"Kubernetes {version} on {len(_NODES)} nodes, in {config} as context {CONTEXT}.\n"
        f"Try: kubectl --context {CONTEXT} get nodes      (kubectl and helm are in {paths.programs()})"
    )


def configuration(image: NodeImage, cgroup_v1: bool, missing_capabilities: bool) -> dict[str, Any]:
    """What kind is asked for. Restricted machines need patches that others had better not get."""
    networking: dict[str, Any] = {"ipFamily": "dual"}
    kubelet: dict[str, Any] = {"kind": "KubeletConfiguration"}
    patches: list[dict[str, Any]] = []
    if not image.official:
        networking["kubeProxyMode"] = "nftables"  # our kube-proxy image holds nft and no iptables
    if cgroup_v1:
        kubelet["failCgroupV1"] = False  # Kubernetes 1.35 and later refuse cgroup v1 unless told
    if missing_capabilities:
        kubelet["featureGates"] = {
            "KubeletInUserNamespace": True
        }  # bear with sysctls and OOM scores that cannot be set
        conntrack = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
        patches.append({"kind": "KubeProxyConfiguration", "oomScoreAdj": 0, "conntrack": conntrack})
    if len(kubelet) > 1:
        patches.append(kubelet)
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": networking,
        "kubeadmConfigPatches": [json.dumps(patch) for patch in patches],
        "nodes": [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}],
    }


def _create(image: NodeImage) -> None:
    asked = paths.cache() / "kind.json"  # JSON is YAML
    asked.write_text(json.dumps(configuration(image, _cgroup_v1(), docker.missing_capabilities()), indent=2))
    log = paths.cache() / "logs" / "kind-create.log"
    run_logged(
        log,
        TOOLS["kind"].link,
        "create",
        "cluster",
        f"--name={NAME}",
        f"--image={image.name}",
        f"--config={asked}",
        "--wait=120s",
    )


def _cgroup_v1() -> bool:
    return Path("/sys/fs/cgroup").exists() and not Path("/sys/fs/cgroup/cgroup.controllers").exists()


def _delete() -> None:
    run(TOOLS["kind"].link, "delete", "cluster", f"--name={NAME}")


def _repaired(existing: list[Container], progress: Progress) -> bool:
    """Bring back what is there, if it is a whole cluster. False where it has to be replaced."""
    if tuple(one.name for one in existing) != _NODES:
        return False
    asleep = [one.name for one in existing if one.state != "running"]
    with progress.step(f"cluster {NAME}: {len(_NODES)} nodes") as step:
        for name in asleep:  # in this order, so that each gets the address it had
            action = "unpause" if _state_of(name, existing) == "paused" else "start"
            if attempt("docker", action, name).returncode:
                step.note = "broken"
                return False
        # Without an administrator's kubeconfig on the node, kubeadm never got that far.
        exported = attempt(TOOLS["kind"].link, "export", "kubeconfig", f"--name={NAME}")
        made_of = "" if exported.returncode or not _answers_within(60) else _made_of()
        if not made_of:
            step.note = "half-made"
            return False
        if not nodeimage.current(made_of):
            step.note = "of an older node image"
            return False
        try:
            _wait_ready(_REPAIRED_WITHIN)
        except Failure:
            step.note = "broken"
            return False
        step.note = "restarted" if asleep else "running"
    return True


def _state_of(name: str, existing: list[Container]) -> str:
    return next(one.state for one in existing if one.name == name)


def _answers_within(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _try("get", "--raw=/readyz"):
            return True
        time.sleep(0.5)
    return False


def _made_of() -> str:
    """The node image by the marker of a finished cluster; nothing where there is none, or the API server does not answer."""
    namespace, name = _MARKER
    found = _get("configmaps", f"--namespace={namespace}", f"--field-selector=metadata.name={name}")
    return str(found[0]["data"]["nodeImage"]) if found else ""


def _mark(image: NodeImage) -> None:
    namespace, name = _MARKER
    data = {"nodeImage": image.name}
    marker = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}
    kubectl("--context", CONTEXT, "apply", "-f", "-", text=json.dumps(marker))


def _wait_ready(seconds: float) -> None:
    """Wait until what the API server says is true now: after a restart it still shows what was true before."""
    deadline = time.monotonic() + seconds
    while not (_nodes_ready() and _system_ready()):
        if time.monotonic() > deadline:
            raise Failure(f"the cluster was not ready within {seconds:.0f} s:\n{status()}")
        time.sleep(0.5)


def _nodes_ready() -> bool:
    states = _readiness()
    return all(states.get(name) == "Ready" for name in _NODES)


def _system_ready() -> bool:
    """Whether DNS, storage, network and control plane run, in containers that are younger than the nodes they are on."""
    pods = _get("pods", "--all-namespaces")
    started = dict(
        line.split()
        for line in run("docker", "inspect", "--format={{slice .Name 1}} {{.State.StartedAt}}", *_NODES).splitlines()
    )
    for label, values in _SYSTEM.items():
        for value in values:
            found = [pod for pod in pods if pod["metadata"].get("labels", {}).get(label) == value]
            if not found or not all(_pod_ready(pod, started) for pod in found):
                return False
    return True


def _pod_ready(pod: dict[str, Any], started: dict[str, str]) -> bool:
    """Ready, and said of a container that was started after its node was: earlier words are a memory."""
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
    since = started.get(pod["spec"].get("nodeName", ""), "")[:19]  # to the second
    running = [
        one["state"].get("running", {}).get("startedAt", "") for one in pod["status"].get("containerStatuses", ())
    ]
    return ready and all(moment[:19] >= since for moment in running)


def _readiness() -> dict[str, str]:
    """Ready, NotReady, or stale where a node has not been heard of for long, by node name."""
    objects = _get("nodes,leases", "--namespace=kube-node-lease")
    renewed = {one["metadata"]["name"]: one["spec"].get("renewTime", "") for one in objects if one["kind"] == "Lease"}
    fresh = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 20))  # a kubelet renews every 10 s
    states = {}
    for node in (one for one in objects if one["kind"] == "Node"):
        name = node["metadata"]["name"]
        conditions = {one["type"]: one["status"] for one in node["status"].get("conditions", ())}
        ready = "Ready" if conditions.get("Ready") == "True" else "NotReady"
        states[name] = ready if renewed.get(name, "") > fresh else "stale"
    return states


def _get(*arguments: str) -> list[dict[str, Any]]:
    """Objects as JSON; none where the API server does not answer."""
    answer = attempt(
        TOOLS["kubectl"].link,
        "--context",
        CONTEXT,
        "--request-timeout=5s",
        "get",
        *arguments,
        "--output=json",
        timeout=15,
    )
    items: list[dict[str, Any]] = [] if answer.returncode else json.loads(answer.stdout)["items"]
    return items


def _try(*arguments: str) -> bool:
    return (
        attempt(TOOLS["kubectl"].link, "--context", CONTEXT, "--request-timeout=5s", *arguments, timeout=15).returncode
        == 0
    )
