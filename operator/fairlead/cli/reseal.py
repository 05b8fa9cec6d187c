"""`fairlead reseal`: files to the newest key. What they say stays the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import click

from fairlead import dumps
from fairlead.cli.failures import Failed, warn
from fairlead.cli.options import Verb, connection
from fairlead.cli.sealing import files, ledger, live
from fairlead.cli.sealing.backup import opened, recovery_key, sealing_keys_in
from fairlead.cli.sealing.into import edited, warn_of_signatures
from fairlead.cli.sealing.making import checked_envelope
from fairlead.cli.sealing.manifest import Found, found_in
from fairlead.cli.sealing.sealers import Sealers, in_cluster, sealers, text_of
from fairlead.cli.sealing.splice import Edit
from fairlead.cli.session import Session, session_of
from fairlead.secrets.envelope import Envelope, Place, parse
from fairlead.secrets.sealing import CannotOpen, unseal
from fairlead.secrets.suites import PrivateKey

# (envelope's text, its place) -> the value behind it, None where this user cannot know it
Source = Callable[[str, Place], bytes | None]


class Work(NamedTuple):
    """What is to be done with one EncryptedSecret: the edits, what is behind the new envelopes, and the keys whose values are not known."""

    edits: list[Edit]
    sealed: dict[str, bytes]
    unknown: list[str]


@click.command(cls=Verb)
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--key", "--cert", "key_file", metavar="FILE", help="Seal to this exported key instead of the cluster's newest."
)
@click.option(
    "--recipient", "recipients", multiple=True, metavar="NAME=FILE", help="For that recipient too, to its exported key."
)
@click.option("--backup", metavar="FILE", help="Open with the private keys of this backup instead of reading Secrets.")
@click.option("--recovery-key", "recovery", metavar="FILE", help="The recovery key that the backup was sealed to.")
@click.option("--dry-run", is_flag=True, help="Say what would be sealed anew, and write nothing.")
@connection
@click.pass_context
def reseal(
    ctx: click.Context,
    names: tuple[str, ...],
    key_file: str | None,
    recipients: tuple[str, ...],
    backup: str | None,
    recovery: str | None,
    dry_run: bool,
) -> int:
    """Seal the values in files anew, to the newest key: those that are sealed to an older one. Comments and layout stay. The old
    values come from the Secrets of the cluster, if you may read them and the file is what is applied; or from a backup of the
    private keys. Afterwards: git commit and kubectl apply; `fairlead keys list` says when nothing uses the old key any more.

    \b
      fairlead reseal deploy/*.yaml
      fairlead reseal db.yaml --key newest.yaml --backup keys.yaml --recovery-key recovery.key      no cluster
    """
    dumps.forbid()
    if (backup is None) != (recovery is None):
        raise click.UsageError("--backup and --recovery-key belong together", ctx)
    session = session_of(ctx)
    keys = sealers(session, key_file, recipients)
    for warning in keys.warnings:
        warn(warning)
    source_of = _by_backup(backup, recovery) if backup and recovery else _by_cluster(session)
    book = ledger.Ledger(ledger.place(os.environ))
    failed = [problem for name in names for problem in _file(name, keys, source_of, book, dry_run)]
    book.save()
    if failed:
        raise Failed("; ".join(failed))
    return 0


def _file(
    name: str, keys: Sealers, source_of: Callable[[Found], Source], book: ledger.Ledger, dry_run: bool
) -> Iterator[str]:
    """Each thing that could not be done. A file is replaced once, with all that could."""
    text = text_of(name)
    total, count = 0, 0
    for found in list(found_in(name, text)):
        work = resealed(name, found, keys, source_of(found))
        if work.unknown:
            yield (
                f"{name}: EncryptedSecret {found.name}: the values of {', '.join(work.unknown)} are not known here: apply the file as it is to its cluster and "
                "have the right to get Secrets, or use --backup with --recovery-key, or give the values: fairlead seal --into"
            )
            continue
        if work.edits:
            text = edited(name, text, found, work.edits)
            warn_of_signatures(name, found)
        for envelope, value in work.sealed.items():
            book.note(envelope, value)
        total, count = total + len(work.edits), count + 1
    if total and not dry_run:
        files.replace(Path(name), text)
    would = "would be " if dry_run else ""
    done = f"{total} value{'' if total == 1 else 's'} {would}sealed to {keys.own.kid}" if total else "nothing to do"
    click.echo(f"{name}: {done if count else 'nothing done'}", err=True)


def resealed(file: str, found: Found, keys: Sealers, source: Source) -> Work:
    """Every value that is sealed to another key than its newest, sealed to that; the scope and all else as it was."""
    work = Work([], {}, [])
    values: dict[str, bytes | None] = {}
    for key, text in found.values.items():
        wanted = list(_wanted(file, found, key, text, keys))
        if not wanted:
            continue
        values[key] = source(text, found.place(key))
        value = values[key]
        if value is None:
            work.unknown.append(key)
            continue
        for path, seal in wanted:
            envelope = seal(value)
            work.edits.append(Edit(path, envelope))
            work.sealed[envelope] = value
    return work


def _wanted(
    file: str, found: Found, key: str, text: str, keys: Sealers
) -> Iterator[tuple[tuple[str | int, ...], Callable[[bytes], str]]]:
    """Where that value is to be sealed anew, and how."""
    place = found.place(key)
    if _kid(file, key, text) != keys.own.kid:
        yield ("spec", "values", key), partial(keys.seal, place)
    for name, public in keys.others.items():
        there = found.recipient(name)
        if there is None:
            raise Failed(f"{file}: EncryptedSecret {found.name} has no recipient {name}: fairlead seal --into adds one")
        index, theirs = there
        if key not in theirs or _kid(file, key, theirs[key]) != public.kid:
            yield (
                ("spec", "recipients", index, "values", key),
                partial(keys.seal_for, name, place),
            )


def _kid(file: str, key: str, text: str) -> str:
    return parse(checked_envelope(file, key, text)).kid


# ---------------------------------------------------------------- where old values come from


def _by_cluster(session: Session) -> Callable[[Found], Source]:
    """What is sealed to the key of another cluster, of which this one is a recipient, stays that cluster's business."""
    kids = cache(lambda: frozenset(key.kid for key in in_cluster(session)))

    def source_of(found: Found) -> Source:
        known: dict[str, bytes] | None = None

        def source(text: str, place: Place) -> bytes | None:
            nonlocal known
            if parse(text).kid not in kids():
                return None
            if known is None:
                known = live.values_behind(session, found.namespace, found.name)
            return known.get(text)

        return source

    return source_of


def _by_backup(backup: str, recovery: str) -> Callable[[Found], Source]:
    keys: dict[str, PrivateKey] = {}
    for _, found in opened(recovery_key(recovery), sealing_keys_in(backup)):
        if isinstance(found, PrivateKey):
            keys[found.kid] = found
        else:
            warn(f"{backup}: {found}")
    return lambda _: lambda text, place: by_keys(keys, parse(text), place)


def by_keys(keys: Mapping[str, PrivateKey], envelope: Envelope, place: Place) -> bytes | None:
    """None where no key opens it in that place."""
    private = keys.get(envelope.kid)
    try:
        return unseal(private, envelope, place).value if private else None
    except CannotOpen:
        return None
