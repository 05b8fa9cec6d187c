"""From nothing to a bad release and back, with requests going to the app all the while.

Everything it needs is made: the cluster, the operator's image, the installation. It can be run again and again; what it has
made stays, to be tried, until `make down`.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from substrate import paths
from substrate.command import attempt, environment, run
from substrate.locks import exclusive
from substrate.progress import Failure, Progress
from tour.screen import Screen
from tour.traffic import Traffic

_CONTEXT = "kind-fairlead"
_NAMESPACE = "demo"
_RATE = 50
_EXAMPLE = paths.REPOSITORY / "examples" / "shop-guarded.yaml"
_FOLDER = paths.REPOSITORY / "build" / "demo"
_KUBECONFIG = _FOLDER / "kubeconfig"
_CLI = paths.REPOSITORY / ".venv" / "bin" / "fairlead"

# What each release changes in the example, after its reason.
_GOOD = (("change-cause: first release", "change-cause: dark theme"), ('"theme": "light"', '"theme": "dark"'))
_BAD = (
    ("change-cause: first release", "change-cause: new payment service"),
    ('"theme": "light", "checkout": "working"', '"theme": "dark", "checkout": "failing"'),
)


class Lost(Exception):
    """Requests were lost: the one thing that must not happen."""


class Story:
    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._traffic: Traffic | None = None
        self._env = environment()

    def tell(self) -> None:
        if not _CLI.exists():
            raise Failure("the development environment (.venv) is not there; `make demo` makes it first")
        self.screen.tell(
            "Fairlead runs an app on a small Kubernetes cluster and lets a new version out step by step; then a bad one, which a gate "
            "finds out and which takes itself back. A client sends requests all the time. Two to three minutes; more the first "
            "time on a machine, which has to make the cluster and the image."
        )
        self._make_cluster()
        image = self._install()
        self._run_an_app()
        traffic = self._traffic = Traffic(_KUBECONFIG, image)
        self._send_requests(traffic)
        self._release_well(traffic)
        self._release_badly(traffic)
        self._go_back(traffic)
        self._count(traffic)

    def abandon(self) -> None:
        """Stopped half way: nothing goes on sending requests."""
        if self._traffic:
            self._traffic.drop()

    # ------------------------------------------------------------ chapters

    def _make_cluster(self) -> None:
        self.screen.chapter("A Kubernetes cluster")
        self._shown([sys.executable, paths.REPOSITORY / "hack" / "cluster", "up"], "hack/cluster up")
        _FOLDER.mkdir(parents=True, exist_ok=True)
        _KUBECONFIG.touch(mode=0o600)
        _KUBECONFIG.write_text(run("kubectl", "config", "view", "--minify", "--flatten", f"--context={_CONTEXT}"))
        # A configuration of its own: commands need no flags, and the reader's current context is not changed.
        self._env = environment(KUBECONFIG=str(_KUBECONFIG))
        self._quietly("kubectl", "config", "set-context", "--current", f"--namespace={_NAMESPACE}")

    def _install(self) -> str:
        self.screen.chapter("Fairlead on it")
        self.screen.tell(
            "The operator's image is built from this folder, put on the nodes, and installed with Helm: two replicas."
        )
        hack = paths.REPOSITORY / "hack"
        self.screen.command("hack/image build")
        built = subprocess.run(
            [sys.executable, hack / "image", "build"], stdout=subprocess.PIPE, text=True, check=False
        )
        if built.returncode:
            raise Failure("the image could not be built; see above")
        image = built.stdout.strip().splitlines()[-1]
        self._shown([sys.executable, hack / "cluster", "load", image], f"hack/cluster load {image}")
        install = (
            "helm upgrade --install fairlead charts/fairlead --namespace fairlead-system --create-namespace --wait"
        )
        self.screen.command(install)
        with Progress().step("two replicas ready"):
            # The tag stays the same from build to build: the annotation makes Helm replace pods of an older one.
            build = run("docker", "image", "inspect", "--format={{.Id}}", image).strip()
            values = {"image": _image_values(image), "workloads": {"annotations": {"build": build}}}
            self._quietly(*shlex.split(install), "--timeout=180s", "--values=-", text=json.dumps(values))
        return image

    def _run_an_app(self) -> None:
        self.screen.chapter("An app")
        self._clear_away()
        text = _EXAMPLE.read_text()
        self._write("shop-1.yaml", text)
        self.screen.tell(
            f"One resource says it all: six pods, their settings, a Service, and how releases go ({_shown_path(_EXAMPLE)}): one pod "
            "first, then a gate that asks it three times whether the checkout works, then the others."
        )
        self._run("kubectl apply -f build/demo/shop-1.yaml")
        self._run("kubectl wait --for=condition=Ready fapp/shop --timeout=180s")
        self._run("kubectl get fapp shop")

    def _send_requests(self, traffic: Traffic) -> None:
        self.screen.chapter("Traffic")
        self.screen.tell(
            f"From now on a pod sends {_RATE} requests a second to the Service, each over a connection of its own, and counts."
        )
        with Progress().step("requests are answered"):
            traffic.start(f"http://shop.{_NAMESPACE}.svc/etc/shop/shop.json", _RATE)

    def _release_well(self, traffic: Traffic) -> None:
        self.screen.chapter("A good release")
        self._release("shop-2.yaml", *_GOOD)
        self._run("fairlead status shop --watch --timeout 3m")
        self.screen.tell(f"Every pod is new. {traffic.so_far()}")

    def _release_badly(self, traffic: Traffic) -> None:
        self.screen.chapter("A bad release")
        self.screen.tell("Its pods start, are ready and answer. But the checkout does not work.")
        self._release("shop-3.yaml", *_BAD)
        code = self._run("fairlead status shop --watch --timeout 3m", accept=(2,))
        self.screen.tell(
            f"Exit code {code}: a pipeline stops here. Nobody did anything. What happened, and what is different?"
        )
        self._run("fairlead why shop")
        self._run("fairlead history shop --diff 3 4")
        self.screen.tell(
            f"Five pods of the last good release never stopped serving, and the spec is as it was applied. {traffic.so_far()}"
        )

    def _go_back(self, traffic: Traffic) -> None:
        self.screen.chapter("The way back, by hand")
        self.screen.tell("To any revision that is kept, such as the first.")
        self._run("fairlead undo shop --to 1")
        self._run("fairlead status shop --watch --timeout 3m")
        self._run("fairlead history shop")

    def _count(self, traffic: Traffic) -> None:
        self.screen.chapter("What it cost")
        summary = traffic.stop()
        times = summary["lanes"]["fresh"]
        words = f"{summary['sent']:,} requests sent, {summary['lost']} lost. Half were answered within {times['p50']} ms, 99 % within {times['p99']} ms."
        if summary["lost"]:
            self.screen.bad(words)
            raise Lost(json.dumps(summary["errors"]))
        self.screen.good(words)

    # ------------------------------------------------------------ helpers

    def _clear_away(self) -> None:
        """What an earlier run left."""
        if "NotFound" in self._attempt("kubectl", "get", "namespace", _NAMESPACE):
            self._quietly("kubectl", "create", "namespace", _NAMESPACE)
            return
        with Progress().step("what an earlier run left") as step:
            self._quietly("kubectl", "delete", "fapp", "--all", "--cascade=foreground", "--timeout=120s")
            step.note = "removed"

    def _release(self, name: str, *changes: tuple[str, str]) -> None:
        text = _EXAMPLE.read_text()
        self._write(name, text, *changes)
        before = next(line.strip() for line in text.splitlines() if changes[-1][0] in line)
        self.screen.change(before, before.replace(*changes[-1]))
        self._run(f"kubectl apply -f build/demo/{name}")

    def _write(self, name: str, text: str, *changes: tuple[str, str]) -> None:
        for before, after in changes:
            if before not in text:
                raise Failure(
                    f"{_shown_path(_EXAMPLE)} does not say {before!r} any more; hack/tour/story.py has to follow"
                )
            text = text.replace(before, after)
        (_FOLDER / name).write_text(text)

    def _run(self, line: str, accept: tuple[int, ...] = (0,)) -> int:
        """Show a command, run it before the reader's eyes, and give its exit code."""
        argv = shlex.split(line)
        if argv[0] == "fairlead":
            argv[0] = str(_CLI)
        return self._shown(argv, line, accept)

    def _shown(self, argv: Sequence[str | Path], line: str, accept: tuple[int, ...] = (0,)) -> int:
        self.screen.command(line)
        code = subprocess.run(argv, env=self._env, cwd=paths.REPOSITORY, check=False).returncode
        if code not in accept:
            raise Failure(f"{line} ended with {code}")
        self.screen.blank()
        return code

    def _quietly(self, *argv: str, text: str | None = None) -> str:
        return run(*argv, env=self._env, cwd=paths.REPOSITORY, text=text, timeout=300)

    def _attempt(self, *argv: str) -> str:
        done = attempt(*argv, env=self._env, timeout=60)
        return done.stdout + done.stderr


def _image_values(image: str) -> dict[str, str]:
    """'fairlead:0.1.0' -> repository and tag, and never to be pulled: it is on the nodes."""
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "Never"}


def _shown_path(path: Path) -> str:
    return str(path.relative_to(paths.REPOSITORY))


def _next_steps() -> str:
    bin_folder = os.path.relpath(paths.REPOSITORY / ".venv" / "bin")
    return f"""\
It is still there. To go on by yourself:

  export KUBECONFIG={os.path.relpath(_KUBECONFIG)} PATH={paths.programs()}:$PWD/{bin_folder}:$PATH

  fairlead tree shop                                     the app, its revisions and pods
  kubectl scale fapp shop --replicas=10                  then: fairlead status shop --watch
  kubectl drain fairlead-worker --ignore-daemonsets      its pods move; then: kubectl uncordon fairlead-worker
  kubectl delete pod -n fairlead-system --all            the operator starts anew, the app does not notice
  kubectl explain app.spec.rollout                       every field is explained
  examples/, docs/quickstart.md                          more apps, and what to read next
  make down                                              takes the cluster away"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="hack/demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    screen = Screen()
    story = Story(screen)
    try:
        with exclusive(_CONTEXT, Progress()):  # the end-to-end tests change the same installation
            story.tell()
    except Lost as lost:
        screen.bad(f"Requests were lost, which is a bug: {lost}")
        return 1
    except Failure as failure:
        story.abandon()
        screen.bad(f"hack/demo: {failure}")
        return 1
    except KeyboardInterrupt:
        story.abandon()
        screen.blank()
        screen.tell(
            "Stopped. Run it again whenever you like: it begins where things stand. `make down` takes the cluster away."
        )
        return 130
    screen.end()
    screen.blank()
    print(_next_steps())
    return 0
