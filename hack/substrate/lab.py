"""A lab: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and KWOK as plain processes on free ports.

For integration tests and for benchmarks side by side: no containers, no kubelets; KWOK answers for nodes and pods. Each lab
has a folder with its state, its logs and its data, and touches only processes that it started itself.
"""

import json
import secrets
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from substrate import locks, paths, ports, prerequisites, tools
from substrate.api import Api
from substrate.command import environment, run, tail
from substrate.processes import Process, identify, spawn
from substrate.progress import Failure, Progress

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
SHORT = {"apiserver": "kube-apiserver", "kcm": "kube-controller-manager", "scheduler": "kube-scheduler"}

# The ones left out need a cloud or kubelets; the node lifecycle controller would evict from nodes that send no leases.
CONTROLLERS = "*,-nodeipam,-nodelifecycle,-cloud-node-lifecycle,-service-lb-controller"
# TaintNodesByCondition would keep KWOK's nodes tainted, since nobody lifts it without the node lifecycle controller;
# ServiceAccount would refuse every pod of a namespace whose account nobody made, where the controllers are left out.
ADMISSION_OFF = "ServiceAccount,TaintNodesByCondition"
UNTHROTTLED = ("--kube-api-qps=2000", "--kube-api-burst=2000")
_STAGES = ("node/fast/node-initialize", "pod/fast/pod-ready", "pod/fast/pod-complete", "pod/fast/pod-delete")
_READY_WITHIN = 120.0
_KWOK_STARTS = 5


@dataclass(frozen=True)
class Options:
    """What a lab is made of. Two labs with equal options are interchangeable."""

    without: tuple[str, ...] = ()
    """Components left out: kube-controller-manager, kube-scheduler, kwok."""
    controllers: str = CONTROLLERS
    qps: str = "stock"
    """stock: the limits upstream ships with (20 requests a second per controller manager); unthrottled: 2000."""
    nodes: int = 0
    node_capacity: Mapping[str, str] = field(default_factory=lambda: {"cpu": "16", "memory": "64Gi", "pods": "110"})
    admission_off: str = ADMISSION_OFF
    apiserver_args: tuple[str, ...] = ()
    controller_manager_args: tuple[str, ...] = ()
    scheduler_args: tuple[str, ...] = ()
    kwok_args: tuple[str, ...] = ()

    def runs(self) -> tuple[str, ...]:
        return tuple(name for name in COMPONENTS if name not in self.without)


@dataclass(frozen=True)
class Component:
    argv: tuple[str, ...]
    log: str
    process: Process | None = None

    def state(self) -> str:
        if self.process is None or not self.process.alive():
            return "dead"
        return "paused" if self.process.stopped() else "running"


@dataclass(frozen=True)
class State:
    """What is written to state.json: all that tests, benchmarks and later commands need to know."""

    name: str
    directory: str
    url: str
    token: str
    ca: str
    kubeconfig: str
    ports: dict[str, int]
    options: dict[str, Any]
    components: dict[str, Component]
    owner: Process | None = None
    """The process the lab was made for, if it is to go with it: a killed test run must not leave a control plane behind."""


def folder(name: str) -> Path:
    return paths.cache() / "lab" / name


def load(name: str) -> State | None:
    """A lab's state as last written; None where there is no such lab."""
    try:
        raw = json.loads((folder(name) / "state.json").read_text())
    except (OSError, ValueError):
        return None
    raw["components"] = {
        key: Component(tuple(value["argv"]), value["log"], Process(**value["process"]) if value["process"] else None)
        for key, value in raw["components"].items()
    }
    raw["owner"] = Process(**raw["owner"]) if raw["owner"] else None
    return State(**raw)


def names() -> list[str]:
    return sorted(path.parent.name for path in (paths.cache() / "lab").glob("*/state.json"))


def full_name(component: str) -> str:
    """apiserver -> kube-apiserver. Refuses what is no component."""
    name = SHORT.get(component, component)
    if name not in COMPONENTS:
        raise Failure(f"no component {component!r}; there are {', '.join((*COMPONENTS, *SHORT))}")
    return name


def up(name: str, options: Options, progress: Progress, owner: int | None = None) -> State:
    """Bring a lab up. One that runs with the same options is left as it is; anything else of that name is replaced."""
    if not Path("/proc/self/stat").exists():
        raise Failure("a lab tells its processes apart by /proc, so it needs Linux")
    existing = load(name)
    if existing and existing.options == _plain(options) and _healthy(existing):
        return existing
    prerequisites.ensure(["openssl"], progress)
    tools.ensure((*options.runs(), "kubectl"), progress)
    sweep()
    down(name)
    state = _prepare(name, options, owner)
    try:
        with progress.step("etcd and kube-apiserver") as step:
            state = _start(state, "etcd")
            state = _start(state, "kube-apiserver")
            _wait_ready(state)
            step.note = state.url.rpartition(":")[2]
        others = [component for component in options.runs() if component not in ("etcd", "kube-apiserver")]
        if others:
            with progress.step(", ".join(others)) as step:
                for component in others:
                    state = _start(state, component)
                step.note = options.qps
        if options.nodes:
            with progress.step(f"nodes: {options.nodes}"):
                _create_nodes(state, options)
    except BaseException:
        _kill(state)
        raise
    return state


def down(name: str) -> bool:
    """End a lab's processes and remove what it wrote. False where there was none."""
    state = load(name)
    if state:
        _kill(state)
    existed = folder(name).exists()
    shutil.rmtree(folder(name), ignore_errors=True)
    return existed


def sweep() -> list[str]:
    """Remove labs whose owner is gone."""
    gone = [state for state in map(load, names()) if state and state.owner and not state.owner.alive()]
    for state in gone:
        down(state.name)
    return [state.name for state in gone]


def kill(state: State, component: str) -> State:
    """End one component without a chance to say goodbye."""
    _process(state, component).kill()
    return _with_process(state, component, None)


def pause(state: State, component: str) -> State:
    """Freeze one component: it keeps its connections and answers nothing."""
    _process(state, component).send(signal.SIGSTOP)
    return state


def resume(state: State, component: str) -> State:
    _process(state, component).send(signal.SIGCONT)
    return state


def start(state: State, component: str) -> State:
    """Start a component that was killed, with the same arguments, ports and data; waits until the API server is ready,
    if there is one to wait for."""
    if component not in state.components:
        raise Failure(f"lab {state.name} was made without {component}")
    if state.components[component].state() != "dead":
        raise Failure(f"{component} of lab {state.name} is {state.components[component].state()}")
    state = _start(state, component)
    if component in ("etcd", "kube-apiserver") and state.components["kube-apiserver"].state() == "running":
        _wait_ready(state)
    return state


def _process(state: State, component: str) -> Process:
    found = state.components.get(component)
    if found is None or found.process is None or not found.process.alive():
        raise Failure(f"lab {state.name} runs no {component}")
    return found.process


def _healthy(state: State) -> bool:
    return all(component.state() == "running" for component in state.components.values()) and _ready(state)


def _kill(state: State) -> None:
    # All at once, and not politely: an API server that shuts down in order keeps its port for a while.
    running = [one.process for one in state.components.values() if one.process]
    for process in running:
        process.send(signal.SIGKILL)
    for process in running:
        process.kill()


def _prepare(name: str, options: Options, owner: int | None) -> State:
    """Keys, configuration and chosen ports, written before anything runs."""
    directory = folder(name)
    directory.mkdir(parents=True)
    directory.chmod(0o700)  # it holds an administrator's token
    with locks.exclusive("ports"):  # until they are written down, lest labs made at the same time choose the same ones
        chosen = _choose_ports()
        token = secrets.token_urlsafe(24)
        url = f"https://127.0.0.1:{chosen['kube-apiserver']}"
        state = State(
            name=name, directory=str(directory), url=url, token=token, ca=str(directory / "ca.crt"),
            kubeconfig=str(directory / "kubeconfig"), ports=chosen, options=_plain(options), components={},
            owner=identify(owner) if owner else None,
        )  # fmt: skip
        argvs = _argvs(directory, options, chosen)
        state = replace(
            state,
            components={one: Component(tuple(argvs[one]), str(directory / f"{one}.log")) for one in options.runs()},
        )
        _write(state)
    write_keys(directory)
    (directory / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    (directory / "kubeconfig").write_text(json.dumps(_kubeconfig(state), indent=2))
    if "kwok" in options.runs():
        stages = tools.TOOLS["kwok"].data_folder
        (directory / "kwok.yaml").write_text(
            "\n---\n".join((stages / f"{stage}.yaml").read_text() for stage in _STAGES)
        )
    return state


def _choose_ports() -> dict[str, int]:
    taken = [port for state in map(load, names()) if state for port in state.ports.values()]
    roles = ("etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
    return dict(zip(roles, ports.free(len(roles), taken), strict=True))


def write_keys(directory: Path) -> None:
    """One certificate that is its own authority for the API server, one key for service account tokens."""
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", directory / "service-accounts.key")
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
        "-subj", "/CN=fairlead-lab", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc",
        "-keyout", directory / "server.key", "-out", directory / "ca.crt",
    )  # fmt: skip


def _argvs(directory: Path, options: Options, chosen: Mapping[str, int]) -> dict[str, list[str]]:
    """The command line of every component."""
    limits = list(UNTHROTTLED) if options.qps == "unthrottled" else []
    client = [f"--{use}kubeconfig={directory}/kubeconfig" for use in ("", "authentication-", "authorization-")]
    serving = ["--bind-address=127.0.0.1", "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics"]
    etcd = f"http://127.0.0.1:{chosen['etcd']}"
    keys = f"{directory}/service-accounts.key"
    argvs = {
        "etcd": [
            f"--data-dir={directory}/etcd", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{chosen['etcd-peer']}",
        ],
        "kube-apiserver": [
            f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={chosen['kube-apiserver']}",
            f"--tls-cert-file={directory}/ca.crt", f"--tls-private-key-file={directory}/server.key",
            f"--cert-dir={directory}/certs", f"--token-auth-file={directory}/tokens.csv", "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://lab", f"--service-account-key-file={keys}", f"--service-account-signing-key-file={keys}",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112", "--allow-privileged",
            f"--disable-admission-plugins={options.admission_off}", *options.apiserver_args,
        ],
        "kube-controller-manager": [
            *client, *serving, f"--secure-port={chosen['kube-controller-manager']}", "--leader-elect=false",
            f"--service-account-private-key-file={keys}", f"--root-ca-file={directory}/ca.crt",
            f"--controllers={options.controllers}", *limits, *options.controller_manager_args,
        ],
        "kube-scheduler": [
            *client, *serving, f"--secure-port={chosen['kube-scheduler']}", "--leader-elect=false",
            *limits, *options.scheduler_args,
        ],
        "kwok": [
            f"--config={directory}/kwok.yaml", f"--kubeconfig={directory}/kubeconfig", "--manage-all-nodes=true",
            "--node-lease-duration-seconds=0", f"--server-address=127.0.0.1:{chosen['kwok']}", "--cidr=10.0.0.1/16",
            *options.kwok_args,
        ],
    }  # fmt: skip
    return {name: [str(tools.TOOLS[name].program), *arguments] for name, arguments in argvs.items()}


def _kubeconfig(state: State) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": state.url, "certificate-authority": state.ca}}],
        "users": [{"name": "admin", "user": {"token": state.token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        "current-context": "lab",
    }


def _start(state: State, component: str) -> State:
    return _start_kwok(state) if component == "kwok" else _spawn(state, component)


def _start_kwok(state: State) -> State:
    """Returns when it listens. Some of its starts end with "concurrent map writes": its server and whoever looks at the first node fill one
    table of types, and nothing keeps them apart. So there are to be no nodes before it listens, and where there are some already it
    is started anew."""
    for _ in range(_KWOK_STARTS):
        state = _spawn(state, "kwok")
        if _listens(state.components["kwok"], state.ports["kwok"]):
            return state
    log = Path(state.components["kwok"].log)
    raise Failure(f"kwok does not start:\n{tail(log.read_text(errors='replace'))}")


def _listens(component: Component, port: int) -> bool:
    """As soon as it does; False where it has ended instead, or takes too long."""
    deadline = time.monotonic() + _READY_WITHIN
    while component.state() != "dead" and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False


def _spawn(state: State, component: str) -> State:
    found = state.components[component]
    process = spawn(found.argv, Path(found.log), environment(), Path(state.directory))
    return _with_process(state, component, process)


def _with_process(state: State, component: str, process: Process | None) -> State:
    changed = replace(
        state, components={**state.components, component: replace(state.components[component], process=process)}
    )
    _write(changed)
    return changed


def _write(state: State) -> None:
    target = Path(state.directory) / "state.json"
    fresh = target.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state), indent=2))
    fresh.replace(target)


def _plain(options: Options) -> dict[str, Any]:
    """Options as they come back from JSON, to compare them with what was written."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(options)))
    return plain


def _ready(state: State) -> bool:
    api = Api(state.url, state.token, Path(state.ca), timeout=2)
    status, _ = api.request("GET", "/readyz")
    api.close()
    return status == 200


def _wait_ready(state: State) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while not _ready(state):
        for name in ("etcd", "kube-apiserver"):
            component = state.components[name]
            if component.state() == "dead":
                raise Failure(
                    f"{name} ended at once: {shlex.join(component.argv)}\n{tail(Path(component.log).read_text(errors='replace'))}"
                )
        if time.monotonic() > deadline:
            log = Path(state.components["kube-apiserver"].log)
            raise Failure(
                f"kube-apiserver was not ready after {_READY_WITHIN:.0f} s:\n{tail(log.read_text(errors='replace'))}"
            )
        time.sleep(0.05)


def _create_nodes(state: State, options: Options) -> None:
    api = Api(state.url, state.token, Path(state.ca))
    for index in range(options.nodes):
        status, body = api.request("POST", "/api/v1/nodes", node(index, options.node_capacity))
        if status not in (201, 409):
            raise Failure(f"node {index} was refused with {status}: {body.decode(errors='replace')[:400]}")
    api.close()


def node(index: int, capacity: Mapping[str, str]) -> dict[str, Any]:
    """One fake node, spread over three zones like a cloud's. KWOK makes it Ready."""
    name = f"node-{index}"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": f"zone-{'abc'[index % 3]}",
        "type": "kwok",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": dict(capacity), "capacity": dict(capacity)},
    }
