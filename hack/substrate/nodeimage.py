"""The image of a kind node: the official one where it can be pulled, otherwise built from Go modules and Debian packages.

Building goes the way of kind itself. A Debian with kind's own base files becomes the base image; a Kubernetes server
archive, made of our programs and of every image a node starts, goes through `kind build node-image`, which then finds all it
wants and pulls nothing.
"""

import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from substrate import debian, docker, paths, prerequisites, tools, versions
from substrate.archives import Image, Link, write
from substrate.command import attempt, run, run_logged
from substrate.progress import Progress
from substrate.tools import TOOLS

OFFICIAL = f"kindest/node:{versions.KUBERNETES}"
_REPOSITORY = "fairlead.dev/kind-node"  # a name nobody can mistake for the official image

_PACKAGES = (
    "systemd systemd-sysv dbus iptables nftables conntrack socat ethtool ebtables kmod iproute2 procps util-linux "
    "mount jq curl ca-certificates hostname libseccomp2 nfs-common rsync gzip tar bash"
)
_VERSIONS = (
    *(
        "DEBIAN",
        "KUBERNETES",
        "KIND",
        "CONTAINERD",
        "RUNC",
        "CNI_PLUGINS",
        "ETCD",
        "COREDNS",
        "LOCAL_PATH",
        "PAUSE_TAG",
    ),
    *("KINDNETD_TAG", "LOCAL_PATH_TAG", "LOCAL_PATH_HELPER_TAG", "AGNHOST_TAG", "BUSYBOX_TAG"),
)
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_SERVER = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_NODE_PROGRAMS = ("containerd", "ctr", "containerd-shim-runc-v2", "runc")
_CNI_PROGRAMS = ("host-local", "loopback", "ptp", "portmap")

Files = dict[str, Path | Link]


@dataclass(frozen=True)
class NodeImage:
    name: str
    official: bool


def ensure(progress: Progress, official: bool) -> NodeImage:
    """Have a node image in Docker. Cheapest first: there already, kept as an archive, pulled (if the official one will do),
    built."""
    built = _built()
    archive = paths.cache() / "images" / f"kind-node-{versions.KUBERNETES}-{fingerprint()}.tar"
    with progress.step(f"node image {versions.KUBERNETES}") as step:
        for name in (OFFICIAL, built) if official else (built,):
            if docker.has(name):
                step.note = "cached"
                return NodeImage(name, name == OFFICIAL)
        if archive.exists():
            run("docker", "load", "--input", archive)
            step.note = "loaded"
            return NodeImage(built, False)
        if official and docker.pull(OFFICIAL):
            step.note = "pulled"
            return NodeImage(OFFICIAL, True)
        step.note = "to build"
    _build(built, archive, progress)
    return NodeImage(built, False)


def current(name: str) -> bool:
    """Whether `ensure` would give this one, on some machine, today."""
    return name in (OFFICIAL, _built())


def _built() -> str:
    return f"{_REPOSITORY}:{versions.KUBERNETES}-{fingerprint()}"


def fingerprint() -> str:
    """Changes with whatever the built image is made of, so that a stale one is never taken for it."""
    here = Path(__file__).parent
    sources = [here / "nodeimage.py", here / "archives.py"]
    sources += [paths.FILES / name for name in ("node-network.sh", "pause.c", "protocols")]
    sources += sorted((paths.FILES / "node").iterdir())
    digest = hashlib.sha256(json.dumps([getattr(versions, name) for name in _VERSIONS]).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:10]


def _build(name: str, archive: Path, progress: Progress) -> None:
    prerequisites.ensure(["debootstrap", "nft", "ldd", "busybox", "certificates", "cc"], progress)
    tools.ensure(tools.NODE, progress)
    base_archive = debian.archive("node", _PACKAGES.split(), progress)
    work = paths.cache() / "node-image.half"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    base = f"fairlead.dev/kind-base:{fingerprint()}"
    with progress.step("base image") as step:
        _build_base(base, base_archive, work)
        step.note = "built"
    with progress.step("server archive") as step:
        server = _server_archive(work)
        step.note = "built"
    with progress.step(f"node image {name.rpartition(':')[2]}") as step:
        log = paths.cache() / "logs" / "node-image.log"
        run_logged(
            log,
            TOOLS["kind"].link,
            "build",
            "node-image",
            "--type=file",
            server,
            f"--base-image={base}",
            f"--image={name}",
        )
        step.note = "built"
    with progress.step("node image kept as an archive"):
        _keep(name, archive)
        _forget_older(name, base)
    shutil.rmtree(work)


def _build_base(name: str, base_archive: Path, work: Path) -> None:
    context = work / "base"
    shutil.copytree(paths.FILES / "node", context)
    shutil.copytree(TOOLS["kind"].data_folder, context / "kind")
    for program in [*(context / "kind/usr/local/bin").iterdir(), *(context / "kind/kind/bin").iterdir()]:
        program.chmod(0o755)
    for folder, programs in (("programs", _NODE_PROGRAMS), ("cni", _CNI_PROGRAMS)):
        (context / folder).mkdir()
        for program_name in programs:
            shutil.copy2(TOOLS[program_name].program, context / folder)
    ground = f"fairlead.dev/debian:{versions.DEBIAN}-node"
    run("docker", "import", base_archive, ground)
    log = paths.cache() / "logs" / "node-base.log"
    run_logged(log, "docker", "build", "--network=none", f"--build-arg=BASE={ground}", f"--tag={name}", context)


def _server_archive(work: Path) -> Path:
    """kubernetes-server.tar.gz, as releases carry it and kind reads it."""
    pause = work / "pause"
    run("cc", "-Os", "-static", "-s", "-o", pause, paths.FILES / "pause.c")
    server = work / "kubernetes" / "server" / "bin"
    server.mkdir(parents=True)
    (work / "kubernetes" / "version").write_text(versions.KUBERNETES + "\n")
    for name in _SERVER:
        write(server / f"{name}.tar", [_kubernetes_image(name)])
    # kind reads four image archives; the fourth carries everything else that a node starts.
    write(server / "kube-proxy.tar", _other_images(pause))
    for name in ("kubeadm", "kubelet", "kubectl"):
        shutil.copy2(TOOLS[name].program, server)
    target = work / "kubernetes-server.tar.gz"
    with tarfile.open(
        target, "w:gz", compresslevel=0
    ) as tar:  # read once, from the same disk: packing would only cost time
        tar.add(work / "kubernetes", "kubernetes")
    return target


def _kubernetes_image(name: str, extra: Mapping[str, Path | Link] | None = None) -> Image:
    files = {**_program(name), **_certificates(), **(extra or {})}
    return Image(f"registry.k8s.io/{name}:{versions.KUBERNETES}", files, entrypoint=(f"/usr/local/bin/{name}",))


def _other_images(pause: Path) -> list[Image]:
    """What kubeadm, kind and containerd start by these names, and two images that tests use."""
    busybox, nft = (
        _busybox(),
        _with_libraries(Path(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") or "/usr/sbin/nft")),
    )
    network: Files = {
        **busybox,
        **nft,
        **_program("kubectl"),
        "/usr/local/bin/node-network": paths.FILES / "node-network.sh",
    }
    provisioner: Files = {**_program("local-path-provisioner"), **_certificates()}
    agnhost: Files = {**_program("agnhost", "/"), **busybox}
    return [
        # In nftables mode it calls nothing but nft, which has to know protocols by name.
        _kubernetes_image("kube-proxy", {**nft, **busybox, "/etc/protocols": paths.FILES / "protocols"}),
        Image(
            f"registry.k8s.io/etcd:{versions.ETCD.removeprefix('v')}-0",
            {**_program("etcd"), **busybox},
            entrypoint=("/usr/local/bin/etcd",),
        ),
        Image(
            f"registry.k8s.io/coredns/coredns:{versions.COREDNS}",
            {**_program("coredns", "/"), **_certificates()},
            entrypoint=("/coredns",),
        ),
        Image(f"registry.k8s.io/pause:{versions.PAUSE_TAG}", {"/pause": pause}, entrypoint=("/pause",)),
        Image(
            f"docker.io/kindest/kindnetd:{versions.KINDNETD_TAG}",
            network,
            entrypoint=("/bin/sh", "/usr/local/bin/node-network"),
        ),
        Image(
            f"docker.io/kindest/local-path-provisioner:{versions.LOCAL_PATH_TAG}",
            provisioner,
            entrypoint=("local-path-provisioner",),
        ),
        Image(f"docker.io/kindest/local-path-helper:{versions.LOCAL_PATH_HELPER_TAG}", busybox),
        Image(
            f"registry.k8s.io/e2e-test-images/agnhost:{versions.AGNHOST_TAG}",
            agnhost,
            entrypoint=("/agnhost",),
            command=("pause",),
        ),
        Image(f"docker.io/library/busybox:{versions.BUSYBOX_TAG}", busybox, command=("sh",)),
    ]


def _program(name: str, folder: str = "/usr/local/bin/") -> Files:
    return {folder + name: TOOLS[name].program}


def _certificates() -> Files:
    return {str(_CERTIFICATES): _CERTIFICATES}


def _busybox() -> Files:
    program = next(path for path in (Path("/bin/busybox"), Path("/usr/bin/busybox")) if path.exists())
    return {
        "/bin/busybox": program,
        **{f"/bin/{applet}": Link("busybox") for applet in run(program, "--list").split() if applet != "busybox"},
    }


def _with_libraries(program: Path) -> Files:
    """A program with the libraries it is linked against, at the places where its loader looks for them."""
    libraries = re.findall(r"(/\S+)", run("ldd", program))
    return {str(program): program, **{library: Path(library).resolve() for library in libraries}}


def _keep(name: str, archive: Path) -> None:
    """Save the image next to the cache's other archives, for when Docker's own storage is gone; older ones go."""
    half = archive.with_suffix(".half")
    run("docker", "save", "--output", half, name)
    half.rename(archive)
    for other in archive.parent.glob("kind-node-*.tar"):
        if other != archive:
            other.unlink()


def _forget_older(*current: str) -> None:
    """Drop the images of earlier versions; Docker refuses while a cluster still runs on one, and that is fine."""
    for image in current:
        repository = image.rpartition(":")[0]
        for tag in run("docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", repository).split():
            if tag != image:
                attempt("docker", "image", "rm", tag)
