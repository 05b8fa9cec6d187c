"""hack/cluster: the kind cluster from the command line."""

import argparse
import sys

from substrate import cluster, locks
from substrate.progress import Failure, Progress


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="hack/cluster", description=cluster.__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="make the cluster, or repair or replace what an earlier run left").set_defaults(
        run=_up
    )
    commands.add_parser("down", help="remove the cluster").set_defaults(run=_down)
    commands.add_parser("status", help="show the nodes").set_defaults(run=_status)
    load = commands.add_parser("load", help="put images on every node")
    load.add_argument("images", nargs="+", metavar="IMAGE", help="a name that Docker knows, or an archive")
    load.set_defaults(run=_load)
    return top


def main() -> int:
    arguments = parser().parse_args()
    try:
        result: int = arguments.run(arguments)
    except Failure as failure:
        print(f"hack/cluster: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return result


def _up(arguments: argparse.Namespace) -> int:
    progress = Progress()
    with locks.exclusive("cluster", progress):
        cluster.up(progress)
    progress.say(f"Up after {progress.total()}. {cluster.summary()}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    with locks.exclusive("cluster", Progress()):
        print("The cluster is removed." if cluster.down() else "There was no cluster.", file=sys.stderr)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    print(cluster.status())
    return 0


def _load(arguments: argparse.Namespace) -> int:
    cluster.load(arguments.images, Progress())
    return 0
