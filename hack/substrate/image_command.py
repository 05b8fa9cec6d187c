"""hack/image: the operator's image from the command line."""

import argparse
import sys

from substrate import image, locks
from substrate.progress import Failure, Progress


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="hack/image", description=image.__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="build it in Docker; prints the tag")
    build.add_argument("--tag", default=image.default_tag(), help="default: %(default)s")
    build.add_argument(
        "--base", default="", help=f"default: {image.OFFICIAL_BASE}, or a Debian where that cannot be pulled"
    )
    return top


def main() -> int:
    arguments = parser().parse_args()
    progress = Progress()
    try:
        with locks.exclusive("image", progress):
            image.build(arguments.tag, arguments.base, progress)
    except Failure as failure:
        print(f"hack/image: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(arguments.tag)
    return 0
