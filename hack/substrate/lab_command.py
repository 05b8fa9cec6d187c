"""hack/lab: labs from the command line."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict

from substrate import lab, paths
from substrate.progress import Failure, Progress

_EPILOG = """\
examples:
  hack/lab up                                 all of it, with upstream's own limits, no nodes
  hack/lab up --name bench --nodes 50 --qps unthrottled
  hack/lab up --name bare --no-kcm --no-scheduler --no-kwok
  eval "$(hack/lab env --name bench)"         KUBECONFIG and PATH for this shell
  hack/lab kill apiserver; hack/lab start apiserver
  hack/lab down --all
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="hack/lab", description=lab.__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument("--name", default="default", help="which lab (default: %(default)s)")
        return made

    up = command("up", "bring a lab up, or leave it if it runs as asked", _up)
    up.add_argument("--nodes", type=int, default=0, metavar="N", help="fake nodes to create (default: %(default)s)")
    up.add_argument(
        "--node-capacity",
        default="cpu=16,memory=64Gi,pods=110",
        metavar="K=V,...",
        help="of each node (default: %(default)s)",
    )
    up.add_argument("--no-kcm", action="store_true", help="leave kube-controller-manager out")
    up.add_argument("--no-scheduler", action="store_true", help="leave kube-scheduler out")
    up.add_argument("--no-kwok", action="store_true", help="leave KWOK out: nodes and pods stay as they are written")
    up.add_argument("--controllers", default=lab.CONTROLLERS, help="of kube-controller-manager (default: %(default)s)")
    up.add_argument(
        "--qps",
        choices=("stock", "unthrottled"),
        default="stock",
        help="client limits of kcm and scheduler (default: %(default)s)",
    )
    up.add_argument(
        "--admission-off",
        default=lab.ADMISSION_OFF,
        metavar="PLUGINS",
        help="admission plugins left out (default: %(default)s)",
    )
    for component in ("apiserver", "kcm", "scheduler", "kwok"):
        up.add_argument(
            f"--{component}-args", default="", metavar="'ARGS'", help=f"further arguments of the {component}"
        )
    up.add_argument(
        "--owner", type=int, metavar="PID", help="remove this lab, when another is made, once this process is gone"
    )
    up.add_argument("--json", action="store_true", help="print the lab's state for programs")

    down = command("down", "end a lab and remove its data", _down)
    down.add_argument("--all", action="store_true", help="every lab")
    status = command("status", "show labs and their components", _status)
    status.add_argument("--json", action="store_true", help="print the lab's state for programs")
    command("env", "print what to eval for kubectl in this shell", _env)
    for name, text in (
        ("kill", "end one component with SIGKILL"),
        ("pause", "freeze one component with SIGSTOP"),
        ("resume", "let a frozen component go on"),
        ("start", "start a killed component again, on the same ports and data"),
    ):
        command(name, text, _component).add_argument("component", help="etcd, apiserver, kcm, scheduler or kwok")
    return top


def main() -> int:
    arguments = parser().parse_args()
    try:
        result: int = arguments.run(arguments)
    except Failure as failure:
        print(f"hack/lab: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return result


def options(arguments: argparse.Namespace) -> lab.Options:
    left_out = {
        "kube-controller-manager": arguments.no_kcm,
        "kube-scheduler": arguments.no_scheduler,
        "kwok": arguments.no_kwok,
    }
    try:
        capacity = dict(pair.split("=", 1) for pair in arguments.node_capacity.split(","))
    except ValueError:
        raise Failure(f"--node-capacity is like cpu=16,memory=64Gi, not {arguments.node_capacity!r}") from None
    return lab.Options(
        without=tuple(name for name, left in left_out.items() if left),
        controllers=arguments.controllers,
        qps=arguments.qps,
        nodes=arguments.nodes,
        node_capacity=capacity,
        admission_off=arguments.admission_off,
        apiserver_args=tuple(shlex.split(arguments.apiserver_args)),
        controller_manager_args=tuple(shlex.split(arguments.kcm_args)),
        scheduler_args=tuple(shlex.split(arguments.scheduler_args)),
        kwok_args=tuple(shlex.split(arguments.kwok_args)),
    )


def _up(arguments: argparse.Namespace) -> int:
    progress = Progress(quiet=arguments.json)
    state = lab.up(arguments.name, options(arguments), progress, arguments.owner)
    if arguments.json:
        print(json.dumps(asdict(state)))
        return 0
    progress.say(f"Lab {state.name} is up after {progress.total()}. To use it: export KUBECONFIG={state.kubeconfig}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    chosen = lab.names() if arguments.all else [arguments.name]
    for name in chosen:
        print(f"Lab {name} is {'down' if lab.down(name) else 'not there'}.", file=sys.stderr)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    states = [state for state in map(lab.load, lab.names()) if state]
    if arguments.json:
        print(json.dumps(asdict(_existing(arguments.name))))
        return 0
    if not states:
        print("No lab. Make one with: hack/lab up")
    for state in states:
        parts = [f"{name} {component.state()}" for name, component in state.components.items()]
        print(f"{state.name:<16} {state.url}  {', '.join(parts)}")
    return 0


def _env(arguments: argparse.Namespace) -> int:
    state = _existing(arguments.name)
    print(f"export KUBECONFIG={shlex.quote(state.kubeconfig)}")
    print(f"export PATH={shlex.quote(str(paths.programs()))}:$PATH")
    return 0


def _component(arguments: argparse.Namespace) -> int:
    state, component = _existing(arguments.name), lab.full_name(arguments.component)
    actions = {"kill": lab.kill, "pause": lab.pause, "resume": lab.resume, "start": lab.start}
    state = actions[arguments.command](state, component)
    print(f"{component} of lab {state.name} is {state.components[component].state()}.", file=sys.stderr)
    return 0


def _existing(name: str) -> lab.State:
    state = lab.load(name)
    if state is None:
        raise Failure(f"there is no lab {name!r}; make it with: hack/lab up --name {name}")
    return state
