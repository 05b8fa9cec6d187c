"""Images of programs that are built from Go modules: the program alone, on nothing."""

import shutil
import tempfile
from pathlib import Path

from e2e.dsl.cluster import Cluster
from substrate.progress import Progress
from substrate.tools import TOOLS, ensure
from support.commands import execute


def image(name: str) -> str:
    """Of the version that is pinned, so that no other is taken for it."""
    return f"fairlead-{name}:{TOOLS[name].version}"


def load(cluster: Cluster, name: str) -> None:
    """Its image on every node."""
    ensure([name], Progress())
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        shutil.copy2(TOOLS[name].program, here / name)
        (here / "Dockerfile").write_text(f'FROM scratch\nCOPY {name} /{name}\nENTRYPOINT ["/{name}"]\n')
        execute(["docker", "build", "--quiet", f"--tag={image(name)}", folder], timeout=300)
    cluster.load(image(name))
