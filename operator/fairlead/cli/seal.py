"""`fairlead seal`: secrets that only the cluster can read, as manifests for git."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from fairlead.cli.failures import Failed
from fairlead.cli.kubeconfig import ConfigError
from fairlead.cli.options import Verb, VerbGroup, connection, connection_values, output
from fairlead.cli.sealing import files, ledger, live, manifest, values
from fairlead.cli.sealing.making import checked_envelope, rendered, sealed
from fairlead.cli.sealing.manifest import Found
from fairlead.cli.sealing.sealers import Sealers, sealers, text_of
from fairlead.cli.sealing.splice import CannotEdit, Edit, spliced
from fairlead.cli.sealing.values import Plain
from fairlead.cli.session import Session, session_of
from fairlead.secrets.envelope import Scope, parse

ARGV = (
    "--from-literal: the value stays in your shell's history, and others on this machine can see it while this runs; "
    "--raw KEY asks for it instead"
)
NEWLINE = "the value of {key} ends with a line feed, which is sealed with it: printf '%s' gives none"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    filenames: tuple[str, ...]
    literals: tuple[str, ...] = ()
    from_files: tuple[str, ...] = ()
    raw: str | None = None
    name: str = ""
    type: str | None = None
    scope: Scope | None = None
    into: str | None = None
    key_file: str | None = None
    recipients: tuple[str, ...] = ()
    output: str | None = None


@click.group(cls=VerbGroup, invoke_without_command=True)
@click.option(
    "-f", "--filename", "filenames", multiple=True, metavar="FILE", help="A Secret's manifest; - for standard input."
)
@click.option("--from-file", "from_files", multiple=True, metavar="[KEY=]FILE", help="A file as a value.")
@click.option("--raw", metavar="KEY", help="One value: standard input as it comes, or asked for.")
@click.option(
    "--from-literal",
    "literals",
    multiple=True,
    metavar="KEY=VALUE",
    help="A value that others can see while you type it.",
)
@click.option("--name", default="", metavar="NAME", help="The Secret's name, where no manifest says it.")
@click.option("--type", "type", metavar="TYPE", help="The Secret's type; else Opaque.")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    help="Where the values open: under this name (Strict), in this namespace, or in any. Default: Strict",
)
@click.option(
    "--into", metavar="FILE", help="Put the values into this EncryptedSecret's file; what is not changed stays."
)
@click.option(
    "--key", "--cert", "key_file", metavar="FILE", help="Seal to this exported key instead of the cluster's newest."
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="NAME=FILE",
    help="Seal for another cluster too, to its exported key.",
)
@click.option("--verify", multiple=True, metavar="FILE", help="Check EncryptedSecrets instead of making one.")
@output("yaml", "json", "envelope")
@connection
@click.pass_context
def seal(ctx: click.Context, /, verify: tuple[str, ...], scope: str | None, **typed: Any) -> int:
    """Make an EncryptedSecret of a Secret: safe to keep in git, readable by its cluster alone. It is printed, and applies as it is.
    Nothing but its cluster's public key is needed, so --key makes it work without any cluster.

    \b
      kubectl create secret generic db --from-file=password --dry-run=client -o yaml | fairlead seal -f - > db.yaml
      fairlead seal --name db --raw password > db.yaml            asks for the value
      fairlead seal --into db.yaml --raw password                 a new value; the others stay as they are
      fairlead seal --verify db.yaml
    """
    if ctx.invoked_subcommand is not None:
        return 0
    asked = Asked(scope=Scope(scope) if scope else None, **typed)
    session = session_of(ctx)
    if verify:
        from fairlead.cli.sealing.verifying import verified

        return verified(session, verify, asked.key_file, asked.output)
    if not (asked.filenames or asked.literals or asked.from_files or asked.raw):
        raise click.UsageError("say what to seal: -f FILE, --raw KEY or --from-file FILE", ctx)
    book = ledger.Ledger(ledger.place(os.environ))
    if asked.into is None:
        _print_new(session, asked, book)
    else:
        _put_into(session, asked, asked.into, book)
    if not book.save():
        warn("what was sealed cannot be remembered: an unchanged value will be sealed anew the next time")
    return 0


# ---------------------------------------------------------------- a new one


def _print_new(session: Session, asked: Asked, book: ledger.Ledger) -> None:
    scope = asked.scope or Scope.STRICT
    keys = _sealers(session, asked.key_file, asked.recipients)
    made = [sealed(_placed(session, plain, scope), scope, keys, book) for plain in _given(asked)]
    if asked.output == "envelope":
        envelopes = [text for one in made for text in one["spec"]["values"].values()]
        if len(envelopes) != 1:
            raise Failed(f"-o envelope prints one value, here are {len(envelopes)}")
        session.screen.text(envelopes[0] + "\n")
    else:
        session.screen.text(rendered(made, asked.output))


def _placed(session: Session, plain: Plain, scope: Scope) -> Plain:
    """With the name and namespace the values are bound to; Failed where they are not known, or not what the flags say."""
    if not plain.name:
        raise Failed("what is the Secret's name? Say it with --name")
    wanted = _flag_namespace()
    if plain.namespace and wanted and plain.namespace != wanted:
        raise Failed(f"Secret {plain.name} names the namespace {plain.namespace}, and -n says {wanted}")
    return replace(plain, namespace=plain.namespace or wanted or _context_namespace(session, scope))


def _flag_namespace() -> str:
    return str(connection_values(click.get_current_context()).get("namespace") or "")


def _context_namespace(session: Session, scope: Scope) -> str:
    if scope == Scope.CLUSTER:
        return ""
    try:
        return session.cluster.namespace
    except ConfigError:
        raise Failed("which namespace is it for? Say it with -n: a value sealed for one opens in no other") from None


# ---------------------------------------------------------------- into a file


def _put_into(session: Session, asked: Asked, file: str, book: ledger.Ledger) -> None:
    text = text_of(file)
    found = _chosen(file, text, asked.name)
    given = _fitting(found, file, asked)
    keys = _sealers(session, asked.key_file, asked.recipients)
    known = live.values_behind(session, found.namespace, found.name) if asked.key_file is None else {}

    def same(envelope: str, value: bytes) -> bool:
        behind = known.get(envelope)
        return book.holds(envelope, value) if behind is None else behind == value

    edits, changed = merged(found, given, keys, same, file)
    for key in changed:
        book.note(next(edit.value for edit in edits if edit.path == ("spec", "values", key)), given[key])
    if edits:
        files.replace(Path(file), edited(file, text, found, edits))
    click.echo(f"{file}: {_told(changed, len(given))}", err=True)


def merged(
    found: Found, given: Mapping[str, bytes], keys: Sealers, same: Callable[[str, bytes], bool], file: str
) -> tuple[list[Edit], list[str]]:
    """What to write into the file, and the keys whose values are other ones now. A value that is the same as the one behind the
    envelope that is there is not sealed again, so that git shows no change where there is none."""
    own, edits, changed = found.values, [], []
    for key, value in given.items():
        envelope = own.get(key)
        if envelope is None or not same(checked_envelope(file, key, envelope), value):
            _refuse_another_clusters(file, key, envelope, keys)
            edits.append(Edit(("spec", "values", key), keys.seal(found.place(key), value)))
            changed.append(key)
    edits += _for_recipients(found, given, keys, changed, file)
    return edits, changed


def _refuse_another_clusters(file: str, key: str, envelope: str | None, keys: Sealers) -> None:
    """The wrong context is a common slip, and would take the value away from the cluster whose it is."""
    if envelope is not None and keys.known is not None and parse(envelope).kid not in keys.known:
        raise Failed(
            f"{file}: {key} is sealed to a key that this cluster does not have: choose the context of its cluster; to seal for this one all "
            "the same: fairlead keys export > key.yaml, and --key key.yaml"
        )


def _for_recipients(
    found: Found, given: Mapping[str, bytes], keys: Sealers, changed: list[str], file: str
) -> Iterable[Edit]:
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
                sealed = keys.seal_for(name, found.place(key), given[key])
                yield Edit(("spec", "recipients", index, "values", key), sealed)
    if fresh and found.recipients:
        count = len(found.recipients)
        yield from (Edit(("spec", "recipients", count + offset), entry) for offset, entry in enumerate(fresh))
    elif fresh:
        yield Edit(("spec", "recipients"), fresh)


def edited(file: str, text: str, found: Found, edits: list[Edit]) -> str:
    try:
        result = spliced(text, found.position, edits)
    except CannotEdit:
        raise Failed(
            f"{file}: EncryptedSecret {found.name} is laid out in a way that cannot be changed in place (aliases, an empty mapping): "
            "write spec.values plainly, one line for each key"
        ) from None
    raw = next(one.raw for one in manifest.found_in(file, result) if one.position == found.position)
    manifest.check_size(raw)
    return result


def _chosen(file: str, text: str, name: str) -> Found:
    found = [one for one in manifest.found_in(file, text) if name in ("", one.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failed(f"{file}: there is no EncryptedSecret {name}".rstrip() + " in it")
    raise Failed(
        f"{file}: there are {len(found)} EncryptedSecrets in it ({', '.join(one.name for one in found)}): say which with --name"
    )


def _fitting(found: Found, file: str, asked: Asked) -> dict[str, bytes]:
    """The values, where all that is said of their place is what the file says."""
    plains = list(_given(asked))
    if asked.scope not in (None, found.scope):
        raise Failed(f"{file}: its scope is {found.scope} and cannot be changed: make a new one under another name")
    for plain in plains:
        for what, said, there in (("name", plain.name, found.name), ("namespace", plain.namespace, found.namespace)):
            if said and there and said != there:
                raise Failed(f"{file}: it is for {what} {there}, and the Secret for {said}")
    if not found.namespace and found.scope != Scope.CLUSTER:
        raise Failed(f"{file}: EncryptedSecret {found.name} names no namespace: write metadata.namespace into it")
    return values.together(pair for plain in plains for pair in plain.values.items())


def _told(changed: list[str], given: int) -> str:
    same = given - len(changed)
    parts = [f"sealed {', '.join(changed)}"] if changed else []
    if same:
        parts.append(f"{same} value{'' if same == 1 else 's'} unchanged")
    return "; ".join(parts)


# ---------------------------------------------------------------- what was given


def _sealers(session: Session, key_file: str | None, recipients: tuple[str, ...]) -> Sealers:
    """Before a value is asked for: without a key it would be asked for in vain."""
    keys = sealers(session, key_file, recipients)
    for warning in keys.warnings:
        warn(warning)
    return keys


def _given(asked: Asked) -> Iterable[Plain]:
    yield from (_renamed(plain, asked) for plain in values.from_manifests(asked.filenames))
    pairs = [*values.from_literals(asked.literals), *values.from_files(asked.from_files)]
    if asked.literals:
        warn(ARGV)
    if asked.raw is not None:
        pairs.append((values.data_key("--raw", asked.raw), _typed(asked.raw)))
    if pairs:
        plain = Plain(asked.name, type=asked.type or values.OPAQUE, values=values.together(pairs))
        values.checked("this Secret", plain)
        yield plain


def _typed(key: str) -> bytes:
    value = values.from_terminal_or_pipe(key)
    if value.endswith(b"\n") and value.count(b"\n") == 1:
        warn(NEWLINE.format(key=key))
    return value


def _renamed(plain: Plain, asked: Asked) -> Plain:
    return replace(plain, name=asked.name or plain.name, type=asked.type or plain.type)


def warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)


# ---------------------------------------------------------------- from sealed-secrets


@seal.command("import-kubeseal", cls=Verb)
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--private-key",
    "private_keys",
    multiple=True,
    required=True,
    metavar="FILE",
    help="A backup of the sealed-secrets controller's keys: PEM, or the Secrets as kubectl prints them.",
)
@click.option(
    "--key", "--cert", "key_file", metavar="FILE", help="Seal to this exported key instead of the cluster's newest."
)
@click.option("--adopt", is_flag=True, help="Take over the Secrets that sealed-secrets has made (spec.adopt).")
@click.option("--output-dir", metavar="DIR", help="A file here for each FILE; else everything is printed.")
@output("yaml", "json")
@connection
@click.pass_context
def import_kubeseal(
    ctx: click.Context,
    names: tuple[str, ...],
    private_keys: tuple[str, ...],
    key_file: str | None,
    adopt: bool,
    output_dir: str | None,
    output: str | None,
) -> None:
    """Make EncryptedSecrets of SealedSecrets (bitnami.com/v1alpha1), with the backup of the keys they were sealed to. Scope, type, labels and
    annotations are kept. Of templates {{ .key }} and {{ index . "key" }} are taken over, and anything else is refused. Where a SealedSecret
    names no namespace, -n does.

    \b
      kubectl get secret -n kube-system -l sealedsecrets.bitnami.com/sealed-secrets-key -o yaml > backup.yaml
      fairlead seal import-kubeseal sealed/*.yaml --private-key backup.yaml --output-dir encrypted
    """
    from fairlead.cli.sealing import importing

    opening = importing.rsa_keys(private_keys)
    session = session_of(ctx)
    keys = _sealers(session, key_file, ())
    book = ledger.Ledger(ledger.place(os.environ))
    found = {name: list(importing.unsealed(name, opening, _flag_namespace())) for name in names}
    made = {name: [importing.converted(one, keys, book) for one in ones] for name, ones in found.items()}
    if adopt:
        made = {name: [importing.adopting(one) for one in ones] for name, ones in made.items()}
        warn(importing.ADOPT)
    if output_dir is None:
        session.screen.text(rendered([one for ones in made.values() for one in ones], output))
    else:
        importing.write(made, output_dir, output)
    book.save()
