"""Programs built from pinned Go modules. One row of TOOLS per program; adding one is adding a row.

A program lands in tools/NAME/VERSION/ of the cache and, if people run it, a link in bin/, so that several versions can stand side by side
and a changed version is seen without asking the program.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from substrate import locks, paths, prerequisites, slim, trees, versions
from substrate.command import attempt, environment, run, run_logged
from substrate.golang import go, go_environment, module_file, module_folder
from substrate.progress import Progress


@dataclass(frozen=True)
class Tool:
    name: str
    package: str
    version: str
    module: str = ""
    """The module that holds the package, where its source is needed too or where several tools are built together."""
    tags: str = ""
    cgo: bool = False
    """Needs a C compiler. Linked statically, so that the program runs on another distribution's libraries."""
    staging: str = ""
    """A Kubernetes version: k8s.io/kubernetes replaces its staging modules by local paths, so whoever depends on it has to
    pin each one."""
    stamped: bool = False
    """Carries Kubernetes' version in it: kubelet and kubeadm refuse to work without."""
    variables: tuple[tuple[str, str], ...] = ()
    """Package variables that are set at link time."""
    data: str = ""
    """A folder of the module that is needed beside the program."""
    accepts: str = ""
    """A pattern for what `NAME version` says: a program that is installed already and matches is used as it is."""
    standins: tuple[tuple[str, str], ...] = ()
    """Packages that are left out, each with what stands in for it, in the folder of the tool's name among our files. It is
    then built by its module's own go.mod."""
    source: str = ""
    """A folder of this repository that holds the program, where it is ours: it is built against the module alone."""
    inside: bool = False
    """Runs inside of a node only, and gets no link: the host's Docker looks for programs of these names on PATH, and one of
    another version than its own starts no container."""

    @property
    def folder(self) -> Path:
        return paths.cache() / "tools" / self.name / (self.version + (f"-{self._digest}" if self.source else ""))

    @property
    def sources(self) -> list[Path]:
        """The files of a program of ours."""
        return sorted((paths.REPOSITORY / self.source).glob("*.go")) if self.source else []

    @property
    def _digest(self) -> str:
        """So that a program whose source has changed is another one."""
        return hashlib.sha256(b"".join(file.read_bytes() for file in self.sources)).hexdigest()[:12]

    @property
    def program(self) -> Path:
        return self.folder / self.name

    @property
    def data_folder(self) -> Path:
        return self.folder / "data"

    @property
    def link(self) -> Path:
        return paths.programs() / self.name


def _kubernetes(name: str, accepts: str = "") -> Tool:
    return Tool(
        name, f"k8s.io/kubernetes/cmd/{name}", versions.KUBERNETES,
        module="k8s.io/kubernetes", staging=versions.KUBERNETES, stamped=True, accepts=accepts,
    )  # fmt: skip


def _containerd(name: str) -> Tool:
    package = f"github.com/containerd/containerd/v2/cmd/{name}"
    return Tool(name, package, versions.CONTAINERD, tags="no_aufs no_zfs no_btrfs no_devmapper", inside=True)


def _cni(path: str) -> Tool:
    package = f"github.com/containernetworking/plugins/plugins/{path}"
    return Tool(path.rsplit("/", 1)[1], package, versions.CNI_PLUGINS, inside=True)


_major, _minor = versions.KUBERNETES.removeprefix("v").split(".")[:2]
# The Kubernetes that `helm template` and `helm lint` take for granted. Without it it is 1.20, which our chart refuses.
_HELM_DEFAULTS = tuple(
    (f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}", number)
    for package in ("chartutil", "lint/rules")
    for part, number in (("Major", _major), ("Minor", _minor))
)

_ROWS = (
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kube-proxy"),
    _kubernetes("kubelet"),
    _kubernetes("kubeadm"),
    _kubernetes("kubectl", accepts=r"v1\.3[567]\."),
    Tool(
        "agnhost",
        "k8s.io/kubernetes/test/images/agnhost",
        versions.KUBERNETES,
        module="k8s.io/kubernetes",
        staging=versions.KUBERNETES,
    ),
    Tool("etcd", "go.etcd.io/etcd/server/v3", versions.ETCD),
    Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", versions.KWOK, module="sigs.k8s.io/kwok", data="kustomize/stage"),
    Tool(
        "kind",
        "sigs.k8s.io/kind",
        versions.KIND,
        module="sigs.k8s.io/kind",
        data="images/base/files",
        accepts=rf"{re.escape(versions.KIND)}\b",
    ),
    Tool(
        "helm", "helm.sh/helm/v3/cmd/helm", versions.HELM, variables=_HELM_DEFAULTS, accepts=r"v3\.(1[4-9]|[2-9]\d)\."
    ),
    Tool("helm4", "helm.sh/helm/v4/cmd/helm", versions.HELM4),
    _containerd("containerd"),
    _containerd("ctr"),
    _containerd("containerd-shim-runc-v2"),
    # Without the tag every sandbox fails with 'seccomp: config provided but seccomp not supported'.
    Tool("runc", "github.com/opencontainers/runc", versions.RUNC, tags="seccomp netgo osusergo", cgo=True, inside=True),
    _cni("ipam/host-local"),
    _cni("main/loopback"),
    _cni("main/ptp"),
    _cni("meta/portmap"),
    Tool("coredns", "github.com/coredns/coredns", versions.COREDNS),
    Tool("local-path-provisioner", "github.com/rancher/local-path-provisioner", versions.LOCAL_PATH),
    # Without the pages it serves, which take another language to build.
    Tool("prometheus", "github.com/prometheus/prometheus/cmd/prometheus", versions.PROMETHEUS),
    Tool(
        "traefik",
        "github.com/traefik/traefik/v3/cmd/traefik",
        versions.TRAEFIK,
        module="github.com/traefik/traefik/v3",
        standins=(
            ("github.com/go-acme/lego/v4/providers/dns", "dns"),
            ("github.com/traefik/traefik/v3/pkg/provider/ecs", "ecs"),
        ),
    ),
    Tool("kubeseal", "github.com/bitnami-labs/sealed-secrets/cmd/kubeseal", versions.KUBESEAL),
    Tool(
        "upstream-hpa",
        "",
        versions.KUBERNETES,
        module="k8s.io/kubernetes",
        staging=versions.KUBERNETES,
        source="tests/parity/upstream_hpa",
    ),
    Tool(
        "upstream-vpa",
        "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender",
        versions.VERTICAL_AUTOSCALER,
        source="tests/parity/upstream_vpa",
    ),
    Tool("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", versions.METRICS_SERVER),
    Tool("metrics-adapter", "sigs.k8s.io/custom-metrics-apiserver/test-adapter", versions.METRICS_ADAPTER),
)
TOOLS = {tool.name: tool for tool in _ROWS}

USER = ("kubectl", "helm")
"""What a person and the tests call by hand, whatever cluster they use."""
NODE = (
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubeadm", "kubectl", "kind",
    "containerd", "ctr", "containerd-shim-runc-v2", "runc", "host-local", "loopback", "ptp", "portmap",
    "etcd", "coredns", "local-path-provisioner", "agnhost",
)  # fmt: skip
"""What a node image is made of."""


def ensure(names: Iterable[str], progress: Progress) -> None:
    """Have every named program in the cache and linked: a line per program that must be built, one for all that need not."""
    wanted = [TOOLS[name] for name in names]
    missing = [tool for tool in wanted if not tool.program.exists() and not _adopt(tool)]
    for tool in wanted:
        if tool not in missing:
            _link(tool)
    if not missing:
        with progress.step(f"programs: {len(wanted)}") as step:
            step.note = "cached"
        return
    if any(tool.cgo for tool in missing):
        prerequisites.ensure(["cc", "pkg-config", "libseccomp"], progress)
    with locks.exclusive("programs", progress):
        for tool in missing:
            with progress.step(f"program {tool.name} {tool.version}") as step:
                # Whoever held the lock before us may have built it.
                step.note = "cached" if tool.program.exists() else "built"
                if not tool.program.exists():
                    build(tool)
                _link(tool)


def build(tool: Tool) -> None:
    """Build into the cache. The program appears under its final name only when it is whole."""
    module = _module(tool)
    tool.folder.mkdir(parents=True, exist_ok=True)
    if tool.data and not tool.data_folder.exists():
        trees.copy(module_folder(tool.module, tool.version) / tool.data, tool.data_folder)
    half = tool.folder / f"{tool.name}.half"
    static = ["-linkmode external -extldflags -static"] if tool.cgo else []
    ldflags = " ".join(["-s -w", *static, *_settings(tool)])
    run_logged(
        paths.cache() / "logs" / f"build-{tool.name}.log",
        go(), "build", "-trimpath", "-tags", tool.tags, "-ldflags", ldflags, "-o", half, *(map(str, tool.sources) if tool.source else [tool.package]),
        env=go_environment(CGO_ENABLED="1" if tool.cgo else "0"), cwd=module,
    )  # fmt: skip
    half.rename(tool.program)


def _module(tool: Tool) -> Path:
    """A module of ours that depends on the tool's, one per tool or group, so that versions do not fight."""
    group = (tool.module if tool.staging else tool.name).replace("/", "_")
    folder = paths.cache() / "modules" / group / tool.version
    if (folder / "go.sum").exists():
        return folder
    if tool.standins:
        source, ours = module_folder(tool.module, tool.version), paths.FILES / tool.name
        slim.copy(source, folder, tool.module, dict(tool.standins), ours)
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [f"module example.org/{group}", "", "go 1.26.0", ""]
    packages = [tool.package]
    if tool.staging:
        lines += [f"require {tool.module} {tool.version}", "", *_staging_replaces(tool.staging)]
        packages = [
            other.package
            for other in TOOLS.values()
            if other.staging == tool.staging and other.module == tool.module and not other.source
        ]
    (folder / "go.mod").write_text("\n".join(lines) + "\n")
    log = paths.cache() / "logs" / f"module-{group}.log"
    run_logged(
        log,
        go(),
        "get",
        "-tool",
        *(f"{package}@{tool.version}" for package in packages),
        env=go_environment(),
        cwd=folder,
    )
    return folder


def _staging_replaces(kubernetes: str) -> list[str]:
    """'k8s.io/api => ./staging/src/k8s.io/api' of Kubernetes v1.36.3 -> 'replace k8s.io/api => k8s.io/api v0.36.3'."""
    text = module_file("k8s.io/kubernetes", kubernetes).read_text()
    version = "v0." + kubernetes.removeprefix("v1.")
    return [f"replace {name} => {name} {version}" for name in re.findall(r"(k8s\.io/[a-z-]+) => \./staging", text)]


def _settings(tool: Tool) -> list[str]:
    stamps = _stamps(tool.version) if tool.stamped else []
    return [*stamps, *(f"-X {variable}={value}" for variable, value in tool.variables)]


def _stamps(version: str) -> list[str]:
    minor = version.split(".")[1]
    values = {"gitVersion": version, "gitMajor": "1", "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return [f"-X {package}.{key}={value}" for package in packages for key, value in values.items()]


def _link(tool: Tool) -> None:
    """Point bin/NAME at this version. Through a rename, since others may run the program at this moment."""
    if tool.inside:
        tool.link.unlink(missing_ok=True)  # earlier versions of this file made one
        return
    target = os.path.relpath(tool.program, tool.link.parent)
    if tool.link.is_symlink() and str(tool.link.readlink()) == target:
        return
    tool.link.parent.mkdir(parents=True, exist_ok=True)
    fresh = tool.link.with_name(f".{tool.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(tool.link)


def _adopt(tool: Tool) -> bool:
    """Use a program that is installed already, if it is of a version we can work with: it saves a laptop the build."""
    found = shutil.which(tool.name) if tool.accepts else None
    if not found or paths.cache() in Path(found).resolve().parents:
        return False
    said = attempt(
        found, *(["version", "--client"] if tool.name == "kubectl" else ["version"]), env=dict(os.environ), timeout=10
    )
    if said.returncode or not re.search(tool.accepts, said.stdout):
        return False
    tool.folder.mkdir(parents=True, exist_ok=True)
    tool.program.symlink_to(found)
    return True


def kubectl(*arguments: str, text: str | None = None, timeout: float | None = None) -> str:
    return run(TOOLS["kubectl"].link, *arguments, text=text, timeout=timeout, env=environment())
