"""Values put into an EncryptedSecret that is in a file already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from fairlead.cli.failures import Failed, warn
from fairlead.cli.sealing.making import checked_envelope
from fairlead.cli.sealing.manifest import Found, check_size, found_in
from fairlead.cli.sealing.sealers import Sealers
from fairlead.cli.sealing.splice import CannotEdit, Edit, spliced
from fairlead.cli.sealing.values import Plain
from fairlead.secrets.envelope import Scope, parse


def chosen(file: str, text: str, name: str) -> Found:
    """The EncryptedSecret of that name, or the only one. Failed where that is not one."""
    found = [one for one in found_in(file, text) if name in ("", one.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failed(f"{file}: there is no EncryptedSecret {name}".rstrip() + " in it")
    raise Failed(
        f"{file}: there are {len(found)} EncryptedSecrets in it ({', '.join(one.name for one in found)}): say which with --name"
    )


def fits(file: str, found: Found, scope: Scope | None, plain: Plain) -> None:
    """Failed where what is said of the values' place is not what the file says."""
    if scope not in (None, found.scope):
        raise Failed(f"{file}: its scope is {found.scope} and cannot be changed: make a new one under another name")
    for what, said, there in (("name", plain.name, found.name), ("namespace", plain.namespace, found.namespace)):
        if said and there and said != there:
            raise Failed(f"{file}: it is for the {what} {there}, and the values are for {said}")
    if not found.namespace and found.scope != Scope.CLUSTER:
        raise Failed(f"{file}: EncryptedSecret {found.name} names no namespace: write metadata.namespace into it")


class Merged(NamedTuple):
    """What to write into the file, and the new envelopes of spec.values by data key."""

    edits: list[Edit]
    sealed: dict[str, str]


def merged(
    file: str, found: Found, given: Mapping[str, bytes], keys: Sealers, same: Callable[[str, bytes], bool]
) -> Merged:
    """The given values put into an EncryptedSecret. One that is the same as what is behind the envelope that is there (`same`) is not
    sealed again, so that git shows no change where there is none."""
    own, sealed = found.values, dict[str, str]()
    for key, value in given.items():
        envelope = own.get(key)
        if envelope is None or not same(checked_envelope(file, key, envelope), value):
            _refuse_another_clusters(file, key, envelope, keys)
            sealed[key] = keys.seal(found.place(key), value)
    edits = [Edit(("spec", "values", key), envelope) for key, envelope in sealed.items()]
    return Merged([*edits, *_for_recipients(file, found, given, keys, sealed)], sealed)


def _refuse_another_clusters(file: str, key: str, envelope: str | None, keys: Sealers) -> None:
    """The wrong context is a common slip, and would take the value away from the cluster whose it is."""
    if envelope is not None and keys.known is not None and parse(envelope).kid not in keys.known:
        raise Failed(
            f"{file}: {key} is sealed to a key that this cluster does not have: choose the context of its cluster; to seal for this one all "
            "the same: fairlead keys export > key.yaml, and --key key.yaml"
        )


def _for_recipients(
    file: str, found: Found, given: Mapping[str, bytes], keys: Sealers, changed: Mapping[str, str]
) -> Iterator[Edit]:
    lost = [name for name in found.recipients if changed and name not in keys.others]
    if lost:
        raise Failed(
            f"{file}: it is sealed for {', '.join(lost)} too, where the old value would stay: add --recipient {lost[0]}=FILE with the key "
            "of that cluster (there: fairlead keys export)"
        )
    fresh = []
    for name in keys.others:
        there = found.recipient(name)
        if there is None:
            fresh.append(
                {"name": name, "values": {key: keys.seal_for(name, found.place(key), given[key]) for key in given}}
            )
            continue
        index, values = there
        for key in given:
            if key in changed or key not in values:
                yield Edit(
                    ("spec", "recipients", index, "values", key), keys.seal_for(name, found.place(key), given[key])
                )
    if fresh and found.recipients:
        count = len(found.recipients)
        yield from (Edit(("spec", "recipients", count + offset), entry) for offset, entry in enumerate(fresh))
    elif fresh:
        yield Edit(("spec", "recipients"), fresh)


def warn_of_signatures(file: str, found: Found) -> None:
    """A change makes those that are there worthless, and a cluster that asks for them keeps the old values."""
    if found.spec.get("signatures"):
        warn(
            f"{file}: EncryptedSecret {found.name} is signed as it was before: fairlead seal sign {file} --signing-key FILE"
        )


def edited(file: str, text: str, found: Found, edits: list[Edit]) -> str:
    """The text with these edits. Failed where its layout does not allow it, or it gets too large."""
    try:
        result = spliced(text, found.position, edits)
    except CannotEdit:
        raise Failed(
            f"{file}: EncryptedSecret {found.name} is laid out in a way that cannot be changed in place (aliases, an empty mapping): "
            "write spec.values plainly, one line for each key"
        ) from None
    raw = next(one.raw for one in found_in(file, result) if one.position == found.position)
    check_size(raw)
    return result
