"""What sealed values hold: which of them can be opened here, what the template makes of them, and why the rest cannot be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fairlead.core.conditions import parse_time, timestamp
from fairlead.core.meta import stable_hash
from fairlead.secrets.envelope import Envelope, EnvelopeError, Place, parse, render
from fairlead.secrets.model import EncryptedSecret, SealedFor, Spec, Template
from fairlead.secrets.sealing import CannotOpen, Opened, unseal
from fairlead.secrets.suites import PrivateKey

MOST_BYTES = 1024 * 1024  # of a Secret's values (kubernetes pkg/apis/core MaxSecretSize)


class Problem(msgspec.Struct, frozen=True):
    """Why one data key cannot be made. `key` is its name; the value is never in it."""

    key: str
    reason: str
    message: str


class Chosen(msgspec.Struct, frozen=True):
    """What stands for each data key in this cluster, and what was found wrong before anything was opened."""

    envelopes: dict[str, Envelope]
    problems: tuple[Problem, ...] = ()


class Contents(msgspec.Struct, frozen=True):
    """What the Secrets are to hold. It has the values, so it never leaves the plan but as a write."""

    version: str
    data: dict[str, bytes]
    kids: tuple[str, ...]
    oldest: int

    def __repr__(self) -> str:
        return f"Contents({self.version})"


def contents(
    record: EncryptedSecret, keys: Mapping[str, PrivateKey], states: Mapping[str, str]
) -> Contents | tuple[Problem, ...]:
    """Everything the Secrets are to hold, or all that keeps it from being known."""
    chosen = choose(record.spec, keys, states)
    opened: dict[str, Opened] = {}
    problems = list(chosen.problems)
    for key, envelope in chosen.envelopes.items():
        found = _open(record, key, envelope, keys[envelope.kid])
        if isinstance(found, Problem):
            problems.append(found)
        else:
            opened[key] = found
    values = {key: one.value for key, one in opened.items()}
    problems += template_problems(record.spec.template, [*values, *(problem.key for problem in problems)])
    if not problems:
        data = values | {file: substituted(text, values) for file, text in record.spec.template.data.items()}
        problems += too_large(data)
        if not problems:
            return Contents(
                version=version_name(record.name, chosen.envelopes, record.spec.template),
                data=data,
                kids=tuple(sorted({envelope.kid for envelope in chosen.envelopes.values()})),
                oldest=min(one.sealed_at for one in opened.values()),
            )
    return tuple(sorted(problems, key=lambda problem: problem.key))


def choose(spec: Spec, keys: Mapping[str, Any], states: Mapping[str, str]) -> Chosen:
    """For each data key the first envelope that is sealed to a key there is: of spec.values, then of the recipients in their
    order. Where there is none, why the first of them cannot be used.

    >>> mine, theirs = (f"fl1:x:{digit * 32}:{'A' * 100}" for digit in "12")
    >>> from fairlead.secrets.model import Recipient
    >>> spec = Spec(values={"a": theirs, "b": theirs}, recipients=(Recipient("staging", {"a": mine}),))
    >>> found = choose(spec, {"1" * 32: None}, {})
    >>> {key: envelope.kid[0] for key, envelope in found.envelopes.items()}, [(one.key, one.reason) for one in found.problems]
    ({'a': '1'}, [('b', 'KeyUnknown')])
    """
    offered: dict[str, list[str]] = {}
    for values in (spec.values, *(recipient.values for recipient in spec.recipients)):
        for key, text in values.items():
            offered.setdefault(key, []).append(text)
    envelopes: dict[str, Envelope] = {}
    problems = []
    for key, texts in offered.items():
        found = [_usable(key, text, keys, states) for text in texts]
        usable = next((one for one in found if isinstance(one, Envelope)), None)
        if usable is not None:
            envelopes[key] = usable
        else:
            problems.append(next(one for one in found if isinstance(one, Problem)))
    return Chosen(envelopes, tuple(problems))


def _usable(key: str, text: str, keys: Mapping[str, Any], states: Mapping[str, str]) -> Envelope | Problem:
    try:
        envelope = parse(text)
    except EnvelopeError as error:
        return Problem(key, error.reason, error.message)
    if envelope.kid in keys:
        return envelope
    return unknown(key, envelope.kid, states.get(envelope.kid))


def unknown(key: str, kid: str, state: str | None) -> Problem:
    """Why a value cannot be opened for want of a key. state: of the SealingKey, None where there is none of that name.

    >>> unknown("password", "ab", "Retired").reason, unknown("password", "ab", None).reason, unknown("password", "ab", "Active").reason
    ('KeyRetired', 'KeyUnknown', 'KeyMissing')
    """
    if state is None:
        words = "which this cluster does not have: seal it to a key of this cluster (`fairlead keys list`), or bring that key here with `fairlead keys import`"
        return Problem(
            key, "KeyUnknown", f"is sealed to the key {kid}, {words}; it is opened as soon as the key is there"
        )
    if state == "Retired":
        return Problem(key, "KeyRetired", f"is sealed to the key {kid}, which was retired: seal it to the newest key")
    words = "whose private key is not there: `kubectl describe fkey` tells the way back; it is opened as soon as the key is there"
    return Problem(key, "KeyMissing", f"is sealed to the key {kid}, {words}")


def _open(record: EncryptedSecret, key: str, envelope: Envelope, private: PrivateKey) -> Opened | Problem:
    spec = record.spec
    try:
        opened = unseal(private, envelope, Place(spec.scope, record.namespace, record.name, key))
    except CannotOpen as error:
        return Problem(key, "CannotOpen", f"{error}{hint(spec.sealed_for, record.namespace, record.name)}")
    earliest = parse_time(spec.not_before)
    if earliest is not None and opened.sealed_at < earliest:
        words = f"was sealed at {timestamp(opened.sealed_at)}, before spec.notBefore ({spec.not_before}): seal the new value, or correct spec.notBefore"
        return Problem(key, "SealedTooEarly", words)
    return opened


def hint(meant: SealedFor | None, namespace: str, name: str) -> str:
    """What spec.sealedFor has to add, where it says another place than this one.

    >>> hint(SealedFor("shop", "db"), "shop", "mail"), hint(SealedFor("shop", "db"), "shop", "db"), hint(None, "shop", "db")
    (' (spec.sealedFor says it was sealed for shop/db)', '', '')
    """
    if meant is None or (meant.namespace or namespace, meant.name or name) == (namespace, name):
        return ""
    return f" (spec.sealedFor says it was sealed for {meant.namespace or namespace}/{meant.name or name})"


def too_large(data: Mapping[str, bytes]) -> list[Problem]:
    """What stands against so much: no Secret holds more than 1 MiB.

    >>> [problem.reason for problem in too_large({"a": bytes(600_000), "b": bytes(600_000)})], too_large({"a": b"1"})
    (['TooLarge'], [])
    """
    size = sum(len(value) for value in data.values())
    if size <= MOST_BYTES:
        return []
    largest = max(sorted(data), key=lambda key: len(data[key]))
    words = f"is the largest of values that have {size} bytes together, and a Secret holds {MOST_BYTES}: move some to an EncryptedSecret of their own"
    return [Problem(largest, "TooLarge", words)]


# ---------------------------------------------------------------- templates


def substituted(text: str, values: Mapping[str, bytes]) -> bytes:
    """The text with each ${KEY} replaced by that value, and $${ by ${. By bytes, so that no value can make it fail; a value
    is not looked through again.

    >>> substituted("u:${p}@$${p} ${p", {"p": b"a${p}"})
    b'u:a${p}@${p} ${p'
    """
    return b"".join(part if literal else values[part.decode()] for literal, part in _parts(text))


def template_problems(template: Template, keys: Iterable[str]) -> list[Problem]:
    """Names in ${…} that no value has.

    >>> [(one.key, one.message) for one in template_problems(Template(data={"url": "${user}:${pass}"}), ["user"])]
    [('url', 'has ${pass} in its template, and there is no value of that name: correct the name, or seal a value for it')]
    """
    known = set(keys)
    problems = []
    for file, text in template.data.items():
        absent = next(
            (part.decode() for literal, part in _parts(text) if not literal and part.decode() not in known), None
        )
        if absent is not None:
            words = f"has ${{{absent}}} in its template, and there is no value of that name: correct the name, or seal a value for it"
            problems.append(Problem(file, "TemplateKeyMissing", words))
    return problems


def _parts(text: str) -> Iterable[tuple[bool, bytes]]:
    """(whether it is taken as it is, text or name) of a template, in order."""
    rest = text
    while True:
        before, mark, after = rest.partition("${")
        if not mark:
            yield True, rest.encode()
            return
        name, end, behind = after.partition("}")
        if before.endswith("$"):
            yield True, f"{before[:-1]}${{".encode()
            rest = after
        elif not end:
            yield True, rest.encode()
            return
        else:
            yield True, before.encode()
            yield False, name.encode()
            rest = behind


def version_name(name: str, envelopes: Mapping[str, Envelope], template: Template) -> str:
    """The immutable Secret's name: a hash of the sealed texts and of what the template makes of them. Never of what they
    hold, which would let everybody who sees the name try guesses (docs/adr/0017). Labels and annotations are no part of it:
    pods do not see them.

    >>> one = {"password": Envelope("x", "0" * 32, b"sealed")}
    >>> version_name("db", one, Template())
    'db-fhwxjrm5kp'
    >>> version_name("db", one, Template()) == version_name("db", one, Template(labels={"a": "b"}))
    True
    """
    texts = sorted((key, render(envelope)) for key, envelope in envelopes.items())
    return f"{name}-{stable_hash(msgspec.json.encode([texts, template.type, sorted(template.data.items())]))}"
