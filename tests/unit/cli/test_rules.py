"""The CRDs' own rules, evaluated offline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from fairlead.cli.linting.cel import Undefined, holds, is_transition
from fairlead.cli.linting.schema import broken_rules
from fairlead.core.meta import JSON
from support.commands import REPOSITORY


def rules(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for rule in schema.get("x-kubernetes-validations") or ():
            yield rule["rule"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from rules(inner)


LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # the definitions are large, and read by every process that collects this
PACKAGED = sorted(
    {rule for path in (REPOSITORY / "crds").glob("*.yaml") for rule in rules(yaml.load(path.read_text(), LOADER))}
)


@pytest.mark.parametrize("rule", PACKAGED)
def test_every_packaged_rule_can_be_evaluated_offline(rule: str) -> None:
    """A function nobody defined would be Undefined for every value."""
    if is_transition(rule):
        return
    values = [
        "25%",
        1,
        {},
        [],
        {"type": "ClusterIP"},
        {"metadata": {"name": "a"}, "spec": {}},
        {"template": {"spec": {"containers": [{}]}}},
        {"query": "up"},
        {"min": 1, "max": 3, "metrics": []},
    ]
    values += [{"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}, {"containers": [{"name": "a"}]}, {"query": "up"}]
    told = 0
    for value in values:
        try:
            holds(rule, value)
            told += 1
        except Undefined as why:
            assert "undeclared" not in str(why), why
    assert told, f"no value fits {rule}"


CASES: list[tuple[str, Any, bool]] = [
    ("quantity(self).compareTo(quantity('1')) < 0", "999m", True),
    ("quantity(self).compareTo(quantity('1024')) == 0", "1Ki", True),
    ("self.matches('^a$')", "b", False),
    ("[has(self.exec), has(self.httpGet)].exists_one(given, given)", {"exec": {}, "httpGet": {}}, False),
    ("type(self) == int ? self >= 0 : self.matches('^[0-9]+%$')", "1.5", False),
]


@pytest.mark.parametrize(("rule", "value", "want"), CASES)
def test_a_rule_holds_or_not(rule: str, value: Any, want: bool) -> None:
    assert holds(rule, value) is want


def test_what_cannot_be_told_is_undefined_not_wrong() -> None:
    with pytest.raises(Undefined):
        holds("self.spec.replicas > 1", {"spec": {}})


def test_a_list_that_is_too_long_is_asked_no_rule() -> None:
    """Some take the square of its length, and the API server asks none there either."""
    no: JSON = {"rule": "false", "message": "no"}
    schema = {
        "type": "array",
        "maxItems": 2,
        "x-kubernetes-validations": [no],
        "items": {"x-kubernetes-validations": [no]},
    }
    assert [finding.path for finding in broken_rules([1, 2], schema, ("ports",))] == [
        ("ports",),
        ("ports", 0),
        ("ports", 1),
    ]
    assert list(broken_rules([1, 2, 3], schema, ("ports",))) == []
