"""Every reason that Fairlead can give, read from its source: what docs/reference/conditions.md lists, and what
docs/troubleshooting.md has to have a section for.

The source is the list, so there is no second one to forget. What cannot be followed raises: then either the new code can
say its reason more plainly, or this file learns to read it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "operator" / "fairlead"
PLACES = (
    "core",
    "rollout",
    "expose",
    "disruption",
    "placement",
    "config",
    "gates",
    "health",
    "autoscale",
    "engine",
)  # where conditions, problems, events are made
COPIED = ""  # the reason of another condition, which is found where that one is made


class Reason(NamedTuple):
    """One reason, and where it is given."""

    kind: str  # condition, revision (a Revision's condition), problem, event
    type: str  # the condition's; "" for others
    status: str  # the condition's, or the event's type; "" for problems
    word: str


@cache  # the whole source is walked, and several pages and their tests ask
def collect() -> tuple[Reason, ...]:
    """All reasons, each once, sorted."""
    found: set[Reason] = set()
    for place in PLACES:
        for path in sorted((PACKAGE / place).rglob("*.py")):
            if path.name == "testing.py":
                continue
            found |= {reason for reason in Module(path.read_text(), path.name).reasons() if reason.word != COPIED}
    return tuple(sorted(found))


def words() -> set[str]:
    """The reasons alone: of an App's conditions and problems, which people meet in its status."""
    return {reason.word for reason in collect() if reason.kind in ("condition", "problem")}


class Module:
    """One source file.

    >>> text = '''
    ... LATE = "TooLate"
    ... def condition(refused):
    ...     if refused == "NotOwned":
    ...         return Condition("Exposed", "False", refused, "it is another's")
    ...     return waiting("Creating") if refused else Condition("Exposed", "True", LATE, "")
    ... def waiting(why):
    ...     return Condition("Exposed", "False", why, "")
    ... '''
    >>> [(reason.status, reason.word) for reason in sorted(Module(text, "x.py").reasons())]
    [('False', 'Creating'), ('False', 'NotOwned'), ('True', 'TooLate')]
    """

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.tree = ast.parse(text)
        nodes = list(ast.walk(self.tree))
        self.calls = [node for node in nodes if isinstance(node, ast.Call)]
        self.parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
        self.functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        self.constants = {
            target.id: node.value.value
            for node in self.tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def reasons(self) -> Iterator[Reason]:
        for call in self.calls:
            match called(call):
                case "Condition" if ast.unparse(call.args[0]) != "type":
                    yield from self._condition(call)
                case "refused" if len(call.args) == 6:
                    yield from self._refused(call)
                case "Event" if len(call.args) == 3:
                    for word in self._event(call):
                        yield Reason("event", "", self._one(call.args[0]), word)
                case "Problem" if isinstance(call.args[0], ast.Constant):
                    yield Reason("problem", "", "", self._one(call.args[0]))
        yield from self._returned()

    def _condition(self, call: ast.Call) -> Iterator[Reason]:
        type, status = self._one(call.args[0]), call.args[1]
        kind = "revision" if ast.unparse(call.args[2]) == "phase" else "condition"
        statuses = [status.body, status.orelse] if isinstance(status, ast.IfExp) else [status]
        for word in self._values(call.args[2]):
            for each in statuses:
                yield Reason(kind, type, self._one(each), word)

    def _refused(self, call: ast.Call) -> Iterator[Reason]:
        """core/children.py makes the condition, whose type and words it is given."""
        type = self._one(call.args[0])
        for word in ("NotOwned", "Contested", self._one(call.args[4])):
            yield Reason("condition", type, "False", word)

    def _event(self, call: ast.Call) -> Iterable[str]:
        """A warning about a problem has the problem's reason."""
        return (COPIED,) if isinstance(call.args[1], ast.Attribute) else self._values(call.args[1])

    def _returned(self) -> Iterator[Reason]:
        """Functions that only tell a problem's reason: `refusal` and `missing` a word, `diagnose` the first of several."""
        for name in ("refusal", "diagnose", "missing"):
            for node in ast.walk(self.functions.get(name, ast.Module([], []))):
                if not isinstance(node, ast.Return) or node.value is None:
                    continue
                told = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
                for word in self._values(told):
                    if word:
                        yield Reason("problem", "", "", word)

    def _one(self, node: ast.expr) -> str:
        found = list(self._values(node))
        if len(found) != 1:
            raise self._unclear(node)
        return found[0]

    def _values(self, node: ast.expr) -> list[str]:
        """The strings an expression may be."""
        match node:
            case ast.Constant(value=str(value)):
                return [value]
            case ast.IfExp():
                return [*self._values(node.body), *self._values(node.orelse)]
            case ast.BoolOp():
                return [value for part in node.values for value in self._values(part)]
            case ast.Name(id=name) if name in self.constants:
                return [str(self.constants[name])]
            case ast.Name(id="phase"):
                return phases()
            case ast.Name(id=name):
                return self._variable(node, name)
            case ast.Attribute(attr="reason") | ast.Subscript():
                return self._compared(node) or [COPIED]
            case ast.Call() if called(node) in ("refusal", "missing"):
                return [COPIED]  # a problem's reason
        raise self._unclear(node)

    def _variable(self, node: ast.expr, name: str) -> list[str]:
        """A name: what an `if` around it says it is, or what the function is called with."""
        function = self._around(node, ast.FunctionDef)
        parameters = [argument.arg for argument in function.args.args] if isinstance(function, ast.FunctionDef) else []
        if isinstance(function, ast.FunctionDef) and name in parameters:
            at = parameters.index(name)
            calls = (call for call in self.calls if called(call) == function.name and len(call.args) > at)
            given = [value for call in calls for value in self._values(call.args[at])]
            if given:
                return given
        compared = self._compared(node)
        if not compared:
            raise self._unclear(node)
        return compared

    def _compared(self, node: ast.expr) -> list[str]:
        """`if reason == "A":` and `if reason in ("A", "B"):` around the node."""
        around: ast.AST | None = node
        while (around := self._around(around, ast.If)) is not None:
            assert isinstance(around, ast.If)
            test = around.test
            if isinstance(test, ast.Compare) and ast.unparse(test.left) == ast.unparse(node):
                side = test.comparators[0]
                parts = side.elts if isinstance(side, ast.Tuple) else [side]
                return [value for part in parts for value in self._values(part)]
        return []

    def _around(self, node: ast.AST | None, type: type[ast.AST]) -> ast.AST | None:
        while node is not None:
            node = self.parents.get(node)
            if isinstance(node, type):
                return node
        return None

    def _unclear(self, node: ast.expr) -> ValueError:
        return ValueError(f"{self.name}:{node.lineno}: cannot tell which reasons {ast.unparse(node)!r} may be")


def called(call: ast.Call) -> str:
    """The last part of what is called."""
    return (
        call.func.attr
        if isinstance(call.func, ast.Attribute)
        else call.func.id
        if isinstance(call.func, ast.Name)
        else ""
    )


def phases() -> list[str]:
    """The phases of a Revision, as rollout/model.py lists them: they are the reasons of its condition."""
    tree = ast.parse((PACKAGE / "rollout" / "model.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "Phase":
            return [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]  # type: ignore[misc]
    raise ValueError("rollout/model.py: Phase is not there any more")
