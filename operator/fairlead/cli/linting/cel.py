"""The part of CEL that CRD validation rules are written in, so that one text decides in the cluster and offline.

No translation of the rules by hand, which would drift: the packaged CRDs' own expressions are evaluated. What is left out
of the language raises Unsupported at compile time, and a test compiles every packaged rule.

Source: github.com/google/cel-spec doc/langdef.md; Kubernetes' own functions: k8s.io/apiserver pkg/cel/library.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

Env = Mapping[str, Any]
Expr = Callable[[Env], Any]


class Unsupported(Exception):
    """The expression uses something this evaluator does not know."""


class Undefined(Exception):
    """Evaluation has no value: a field that is not there, a type that does not fit (CEL's error value)."""


class _Type(NamedTuple):
    name: str


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "double": (float,),
    "string": (str,),
    "bool": (bool,),
    "list": (list,),
    "map": (dict,),
}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?)
    | (?P<raw>r'[^']*'|r"[^"]*")
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<name>[A-Za-z_]\w*)
    | (?P<op>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?"}


@lru_cache(maxsize=512)
def compile_rule(text: str) -> Expr:
    """A rule as a function of its variables (`self`).

    >>> compile_rule("has(self.min) ? self.min <= 3 : self.names.all(n, n.startsWith('a'))")({"self": {"names": ["ab", "ac"]}})
    True
    """
    parser = _Parser(text)
    expression = parser.expression()
    parser.end()
    return expression


def holds(text: str, self: Any) -> bool:
    """Whether a rule holds for a value. Undefined where it cannot be told."""
    return _boolean(compile_rule(text)({"self": self}))


def is_transition(text: str) -> bool:
    """Whether the rule compares with what was stored before, which only the cluster knows.

    >>> is_transition("self == oldSelf"), is_transition("self.oldSelfish == 1")
    (True, False)
    """
    return re.search(r"\boldSelf\b", text) is not None


# ---------------------------------------------------------------- parsing


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if not found:
            raise Unsupported(f"cannot read {text[at : at + 20]!r}")
        at = found.end()
        yield str(found.lastgroup), found[str(found.lastgroup)]


class _Parser:
    """Recursive descent, one method per level of precedence; each gives a closure."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), ("end", "")]
        self._at = 0

    def end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise Unsupported(f"cannot read from {self._tokens[self._at][1]!r} on")

    def _take(self, *texts: str) -> str:
        """The next token if it is one of these operators, else ""."""
        kind, text = self._tokens[self._at]
        if (kind == "op" and text in texts) or (kind == "name" and text in texts and text == "in"):
            self._at += 1
            return text
        return ""

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise Unsupported(f"{text!r} expected before {self._tokens[self._at][1]!r}")

    def expression(self) -> Expr:
        condition = self._or()
        if not self._take("?"):
            return condition
        then = self._or()
        self._need(":")
        other = self.expression()
        return lambda env: then(env) if _boolean(condition(env)) else other(env)

    def _or(self) -> Expr:
        left = self._and()
        while self._take("||"):
            left = _either(left, self._and(), decisive=True)
        return left

    def _and(self) -> Expr:
        left = self._relation()
        while self._take("&&"):
            left = _either(left, self._relation(), decisive=False)
        return left

    def _relation(self) -> Expr:
        left = self._sum()
        while operator := self._take("==", "!=", "<", "<=", ">", ">=", "in"):
            left = _compare(operator, left, self._sum())
        return left

    def _sum(self) -> Expr:
        left = self._product()
        while operator := self._take("+", "-"):
            left = _calculate(operator, left, self._product())
        return left

    def _product(self) -> Expr:
        left = self._unary()
        while operator := self._take("*", "/", "%"):
            left = _calculate(operator, left, self._unary())
        return left

    def _unary(self) -> Expr:
        if self._take("!"):
            inner = self._unary()
            return lambda env: not _boolean(inner(env))
        if self._take("-"):
            inner = self._unary()
            return lambda env: -_number(inner(env))
        return self._member()

    def _member(self) -> Expr:
        value = self._primary()
        while True:
            if self._take("."):
                value = self._field_or_call(value)
            elif self._take("["):
                value = _index(value, self.expression())
                self._need("]")
            else:
                return value

    def _field_or_call(self, value: Expr) -> Expr:
        name = self._name()
        if not self._take("("):
            return _field(value, name)
        if name in _MACROS:
            variable = self._name()
            self._need(",")
            body = self.expression()
            self._need(")")
            return _macro(name, value, variable, body)
        return _call(_METHODS, name, [value, *self._arguments()])

    def _primary(self) -> Expr:
        kind, text = self._tokens[self._at]
        if self._take("("):
            inner = self.expression()
            self._need(")")
            return inner
        if self._take("["):
            items = self._arguments("]")
            return lambda env: [item(env) for item in items]
        self._at += 1
        if kind == "number":
            return _constant(float(text) if "." in text else int(text))
        if kind == "string":
            return _constant(_unescape(text[1:-1]))
        if kind == "raw":
            return _constant(text[2:-1])
        if kind == "name":
            return self._named(text)
        raise Unsupported(f"cannot read {text!r}")

    def _named(self, name: str) -> Expr:
        if name in ("true", "false", "null"):
            return _constant({"true": True, "false": False, "null": None}[name])
        if self._take("("):
            if name == "has":
                return self._has()
            return _call(_FUNCTIONS, name, self._arguments())
        if name in _TYPES:
            return _constant(_Type(name))
        return lambda env: _variable(env, name)

    def _has(self) -> Expr:
        """`has(a.b)`: whether b is there; that a is not, is an error."""
        start = self._at
        depth = 0
        while depth >= 0:
            kind, text = self._tokens[self._at]
            if kind == "end":
                raise Unsupported("has( is not closed")
            depth += {"(": 1, ")": -1}.get(text, 0) if kind == "op" else 0
            self._at += 1
        stop, self._at = self._at - 1, start
        if stop - start < 3 or self._tokens[stop - 2] != ("op", ".") or self._tokens[stop - 1][0] != "name":
            raise Unsupported("has() needs a field")
        name = self._tokens[stop - 1][1]
        inner = _Parser("")
        inner._tokens = [*self._tokens[start : stop - 2], ("end", "")]
        value = inner.expression()
        inner.end()
        self._at = stop + 1
        return lambda env: name in _mapping(value(env))

    def _arguments(self, close: str = ")") -> list[Expr]:
        found: list[Expr] = []
        if self._take(close):
            return found
        while True:
            found.append(self.expression())
            if self._take(close):
                return found
            self._need(",")

    def _name(self) -> str:
        kind, text = self._tokens[self._at]
        if kind != "name":
            raise Unsupported(f"a name expected before {text!r}")
        self._at += 1
        return text


def _unescape(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise Unsupported(f"cannot read the escape \\{found[1]}")
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", one, text)


# ---------------------------------------------------------------- evaluating


def _constant(value: Any) -> Expr:
    return lambda env: value


def _variable(env: Env, name: str) -> Any:
    if name not in env:
        raise Undefined(f"no variable {name}")
    return env[name]


def _either(left: Expr, right: Expr, *, decisive: bool) -> Expr:
    """`||` (decisive: true) and `&&` (decisive: false): a decisive side decides, even where the other has no value."""

    def evaluate(env: Env) -> bool:
        try:
            if _boolean(left(env)) is decisive:
                return decisive
        except Undefined:
            if _boolean(right(env)) is decisive:
                return decisive
            raise
        return _boolean(right(env))

    return evaluate


def _compare(operator: str, left: Expr, right: Expr) -> Expr:
    def evaluate(env: Env) -> bool:
        a, b = left(env), right(env)
        match operator:
            case "==":
                return equal(a, b)
            case "!=":
                return not equal(a, b)
            case "in":
                return any(equal(a, item) for item in (b if isinstance(b, list) else _mapping(b)))
        if not _comparable(a, b):
            raise Undefined(f"{a!r} {operator} {b!r}")
        return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])

    return evaluate


def equal(a: Any, b: Any) -> bool:
    """Equality by value and type: 1 is not true.

    >>> equal(1, 1.0), equal(1, True), equal([{"a": 1}], [{"a": 1}]), equal("1", 1)
    (True, False, True, False)
    """
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return bool(a == b)


def _comparable(a: Any, b: Any) -> bool:
    numbers = isinstance(a, (int, float)) and isinstance(b, (int, float))
    return (numbers and not isinstance(a, bool) and not isinstance(b, bool)) or (
        isinstance(a, str) and isinstance(b, str)
    )


def _calculate(operator: str, left: Expr, right: Expr) -> Expr:
    def evaluate(env: Env) -> Any:
        a, b = left(env), right(env)
        if operator == "+" and (
            (isinstance(a, str) and isinstance(b, str)) or (isinstance(a, list) and isinstance(b, list))
        ):
            return a + b  # type: ignore[operator]
        x, y = _number(a), _number(b)
        if operator in ("/", "%") and y == 0:
            raise Undefined("division by zero")
        match operator:
            case "+":
                return x + y
            case "-":
                return x - y
            case "*":
                return x * y
            case "/":
                return x / y if isinstance(x, float) or isinstance(y, float) else int(x / y)
        return x - y * int(x / y)

    return evaluate


def _field(value: Expr, name: str) -> Expr:
    def evaluate(env: Env) -> Any:
        found = _mapping(value(env))
        if name not in found:
            raise Undefined(f"no such field: {name}")
        return found[name]

    return evaluate


def _index(value: Expr, index: Expr) -> Expr:
    def evaluate(env: Env) -> Any:
        container, at = value(env), index(env)
        if isinstance(container, list):
            if isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < len(container):
                raise Undefined(f"no item {at}")
            return container[at]
        if at not in _mapping(container):
            raise Undefined(f"no key {at}")
        return container[at]

    return evaluate


_MACROS = {"all", "exists", "exists_one", "filter", "map"}


def _macro(name: str, value: Expr, variable: str, body: Expr) -> Expr:
    def evaluate(env: Env) -> Any:
        container = value(env)
        items = container if isinstance(container, list) else list(_mapping(container))

        def bound(item: Any) -> Any:
            return body({**env, variable: item})

        match name:
            case "all":
                return _quantified(items, bound, decisive=False)
            case "exists":
                return _quantified(items, bound, decisive=True)
            case "exists_one":
                return sum(_boolean(bound(item)) for item in items) == 1
            case "filter":
                return [item for item in items if _boolean(bound(item))]
        return [bound(item) for item in items]

    return evaluate


def _quantified(items: list[Any], bound: Callable[[Any], Any], *, decisive: bool) -> bool:
    """`exists` (decisive: true) and `all` (decisive: false), which absorb an undefined item when another one decides."""
    undefined: Undefined | None = None
    for item in items:
        try:
            if _boolean(bound(item)) is decisive:
                return decisive
        except Undefined as error:
            undefined = error
    if undefined is not None:
        raise undefined
    return not decisive


def _call(known: Mapping[str, Callable[..., Any]], name: str, arguments: list[Expr]) -> Expr:
    if name not in known:
        raise Unsupported(f"no function {name}")
    function = known[name]

    def evaluate(env: Env) -> Any:
        values = [argument(env) for argument in arguments]
        try:
            return function(*values)
        except (TypeError, ValueError, AttributeError) as error:
            raise Undefined(f"{name}: {error}") from None

    return evaluate


def _matches(text: str, pattern: str) -> bool:
    return re.search(re2(pattern), text) is not None


def re2(pattern: str) -> str:
    r"""A Go regular expression for Python: only there `$` is the very end, and not before a last line feed too.

    >>> re.search(re2("^a$"), "a\n") is None
    True
    """
    return re.sub(r"(?<!\\)\$", r"\\Z", pattern)


def _is_cidr(text: str) -> bool:
    if "/" not in text:
        return False
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_QUANTITY = re.compile(r"^([-+]?(?:\d+\.?\d*|\.\d+))(?:([eE][-+]?\d+)|([KMGTPE]i|[numkMGTPE])?)$")
_SUFFIX = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def quantity(text: str) -> Fraction:
    """An amount as Kubernetes writes it; ValueError for anything else.

    >>> quantity("500m"), quantity("1Ki"), quantity("2e3")
    (Fraction(1, 2), Fraction(1024, 1), Fraction(2000, 1))
    """
    found = _QUANTITY.match(text)
    if not found:
        raise ValueError(f"{text!r} is no quantity")
    number, exponent, suffix = Fraction(str(found[1])), found[2], str(found[3] or "")
    if exponent:
        return number * _power(int(exponent[1:]))
    if suffix.endswith("i"):
        return number * Fraction(1024 ** ("KMGTPE".index(suffix[0]) + 1))
    return number * _power(_SUFFIX[suffix])


def _power(exponent: int) -> Fraction:
    """Ten to the power of `exponent`; one that no amount has is refused before it fills the memory."""
    if abs(exponent) > 100:
        raise ValueError(f"the exponent {exponent} is out of range")
    return Fraction(10**exponent) if exponent >= 0 else Fraction(1, 10**-exponent)


def _compare_to(a: Fraction, b: Fraction) -> int:
    return (a > b) - (a < b)


def _is_quantity(text: str) -> bool:
    return _QUANTITY.match(text) is not None


def _string(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type_of(value: Any) -> _Type:
    for name in ("bool", "int", "double", "string", "list", "map"):
        if isinstance(value, _TYPES[name]):
            return _Type(name)
    return _Type("null_type")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "size": len,
    "string": _string,
    "int": int,
    "double": float,
    "type": _type_of,
    "isCIDR": _is_cidr,
    "isIP": _is_ip,
    "quantity": quantity,
    "isQuantity": _is_quantity,
}
_METHODS: dict[str, Callable[..., Any]] = {
    "compareTo": _compare_to,
    "isLessThan": lambda a, b: a < b,
    "isGreaterThan": lambda a, b: a > b,
    "size": len,
    "matches": _matches,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
    "lowerAscii": str.lower,
    "upperAscii": str.upper,
    "trim": str.strip,
    "split": str.split,
    "join": lambda parts, between="": between.join(parts),
}


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Undefined(f"{value!r} is neither true nor false")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Undefined(f"{value!r} is no number")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Undefined(f"{value!r} has no fields")
    return value
