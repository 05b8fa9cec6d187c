"""Programs are built without what nobody here uses, and nothing else of them changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from substrate import paths, slim
from substrate.progress import Failure
from substrate.tools import TOOLS

CLOUDS = "example.org/clouds/all"


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".go").write_text(text)
    return root


@pytest.fixture
def module(tmp_path: Path) -> Path:
    uses, not_it = f'import (\n\t"fmt"\n\t"{CLOUDS}"\n)\n', f'import "{CLOUDS}/one"\n'
    return tree(tmp_path / "module", main=uses, pkg__other=not_it)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return tree(tmp_path / "ours", none__all="package all\n")


def test_what_is_imported_becomes_ours_and_the_rest_stays(module: Path, ours: Path, tmp_path: Path) -> None:
    made = tmp_path / "cache" / "made"
    made.parent.mkdir()
    slim.copy(module, made, "example.org/shop", {CLOUDS: "none"}, ours)
    assert (made / "main.go").read_text() == 'import (\n\t"fmt"\n\t"example.org/shop/internal/standin/none"\n)\n'
    assert (made / "pkg" / "other.go").read_text() == (module / "pkg" / "other.go").read_text()
    assert (made / "internal" / "standin" / "none" / "all.go").exists()
    assert [path.name for path in made.parent.iterdir()] == ["made"]


def test_a_stand_in_for_what_nothing_imports_is_told_and_no_copy_is_left_to_build(
    module: Path, ours: Path, tmp_path: Path
) -> None:
    """Another version has another way there, and would be built with all of it."""
    with pytest.raises(Failure, match=r"nothing in example.org/shop imports example.org/gone"):
        slim.copy(module, tmp_path / "made", "example.org/shop", {"example.org/gone": "none"}, ours)
    assert not (tmp_path / "made").exists()


def test_every_stand_in_has_its_files() -> None:
    for tool in TOOLS.values():
        assert all(list((paths.FILES / tool.name / name).glob("*.go")) for _, name in tool.standins), tool.name
