#!/usr/bin/env python3
"""Bring the chart in line with what it is made of: /crds into files/crds, values and their schema into README.md's table.

hack/gen_chart.py           write
hack/gen_chart.py --check   write nothing; fail where something is out of date
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
CHART = REPOSITORY / "charts" / "fairlead"
BEGIN, END = "<!-- values: begin (made by hack/gen_chart.py) -->", "<!-- values: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is out of date")
    check = parser.parse_args().check
    stale = [path for path, content in wanted().items() if current(path) != content]
    for path in stale:
        if check:
            print(f"{path.relative_to(REPOSITORY)} is out of date: run hack/gen_chart.py", file=sys.stderr)
        else:
            write(path, wanted()[path])
    return 1 if check and stale else 0


def wanted() -> dict[Path, str | None]:
    """Every generated file and what should be in it; None where it should not be there."""
    copies = CHART / "files" / "crds"
    files: dict[Path, str | None] = dict.fromkeys(copies.glob("*.yaml"))
    files |= {copies / source.name: source.read_text() for source in sorted((REPOSITORY / "crds").glob("*.yaml"))}
    readme = CHART / "README.md"
    files[readme] = with_table(readme.read_text(), table())
    return files


def current(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def write(path: Path, content: str | None) -> None:
    if content is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def with_table(text: str, rows: str) -> str:
    """The text with what stands between the two markers replaced."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"charts/fairlead/README.md has lost its markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{rows}\n{END}{after}"


def table() -> str:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = [f"| `{key}` | `{shown(default)}` | {text} |" for key, default, text in leaves(schema, values)]
    return "\n".join(["| value | default | what it does |", "|---|---|---|", *rows])


def leaves(schema: dict[str, Any], values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(path, default, description) of every value a person can set, in the order of values.yaml.

    >>> schema = {"properties": {"a": {"properties": {"b": {"description": "How many."}}}}}
    >>> list(leaves(schema, {"a": {"b": 2}}))
    [('a.b', 2, 'How many.')]
    """
    properties = schema["properties"]
    for name, default in values.items():
        if name not in properties:
            raise SystemExit(f"values.yaml has {prefix}{name}, which values.schema.json does not describe")
        one = properties[name]
        if isinstance(default, dict) and "properties" in one and default and not keeps_whole(one):
            yield from leaves(one, default, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", default, one["description"].replace("|", "\\|")


def keeps_whole(schema: dict[str, Any]) -> bool:
    """Kubernetes' own objects (resources) are described as one value: their fields are known from elsewhere."""
    return not all("description" in one for one in schema["properties"].values())


def shown(value: Any) -> str:
    """As one would write it in values.yaml.

    >>> shown({"cpu": "1"}), shown(""), shown(True)
    ('{cpu: 1}', '""', 'true')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, str) and value:
        return value
    return json.dumps(value)


if __name__ == "__main__":
    sys.exit(main())
