"""`fairlead seal`: secrets that only the cluster can read, as manifests for git."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from fairlead import dumps
from fairlead.cli.failures import Failed, warn
from fairlead.cli.kubeconfig import ConfigError
from fairlead.cli.options import Verb, VerbGroup, connection, connection_values, output
from fairlead.cli.sealing import files, into, ledger, live, values
from fairlead.cli.sealing.making import rendered, sealed
from fairlead.cli.sealing.manifest import Found
from fairlead.cli.sealing.sealers import Sealers, sealers, text_of
from fairlead.cli.sealing.values import Plain
from fairlead.cli.session import Session, session_of
from fairlead.secrets.envelope import Scope

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
@click.option(
    "--signer",
    "signers",
    multiple=True,
    metavar="FILE",
    help="With --verify: one of these public halves has signed them.",
)
@output("yaml", "json", "envelope")
@connection
@click.pass_context
def seal(
    ctx: click.Context, /, verify: tuple[str, ...], signers: tuple[str, ...], scope: str | None, **typed: Any
) -> int:
    """Make an EncryptedSecret of a Secret: safe to keep in git, readable by its cluster alone. It is printed, and applies as it is.
    Nothing but its cluster's public key is needed, so --key makes it work without any cluster.

    \b
      kubectl create secret generic db --from-file=password --dry-run=client -o yaml | fairlead seal -f - > db.yaml
      fairlead seal --name db --raw password > db.yaml            asks for the value
      fairlead seal --into db.yaml --raw password                 a new value; the others stay as they are
      fairlead seal --verify db.yaml
    """
    dumps.forbid()
    if ctx.invoked_subcommand is not None:
        return 0
    asked = Asked(scope=Scope(scope) if scope else None, **typed)
    session = session_of(ctx)
    if verify:
        from fairlead.cli.sealing.verifying import verified

        return verified(session, verify, asked.key_file, signers, asked.output)
    if signers:
        raise click.UsageError("--signer belongs to --verify", ctx)
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
    found = into.chosen(file, text, asked.name)
    into.fits(file, found, asked.scope, Plain(namespace=_flag_namespace()))
    keys = _sealers(session, asked.key_file, asked.recipients)
    given = _values_for(file, found, asked)
    known = live.values_behind(session, found.namespace, found.name) if asked.key_file is None else {}

    def same(envelope: str, value: bytes) -> bool:
        behind = known.get(envelope)
        return book.holds(envelope, value) if behind is None else behind == value

    work = into.merged(file, found, given, keys, same)
    if work.edits:
        files.replace(Path(file), into.edited(file, text, found, work.edits))
        into.warn_of_signatures(file, found)
    for key, envelope in work.sealed.items():
        book.note(envelope, given[key])
    click.echo(f"{file}: {_told(list(work.sealed), len(given))}", err=True)


def _values_for(file: str, found: Found, asked: Asked) -> dict[str, bytes]:
    plains = list(_given(asked))
    for plain in plains:
        into.fits(file, found, asked.scope, plain)
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


# ---------------------------------------------------------------- signed


@seal.command("sign", cls=Verb, short_help="Vouch for EncryptedSecrets in files.")
@click.argument("names", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--signing-key", "key", required=True, metavar="FILE", help="Yours, as fairlead keys generate --signing made it."
)
def sign(names: tuple[str, ...], key: str) -> None:
    """Sign what EncryptedSecrets in files say: their sealed values, templates and place. To seal takes no secret, so this is how a cluster
    tells your values from those of somebody who may write files too: the operator's owner names those whose signatures count (Helm:
    secrets.signers). Any change of the values or the template afterwards has to be signed anew. No cluster is needed.

    \b
      fairlead keys generate --signing me.key                     once
      fairlead seal sign db.yaml --signing-key me.key
      fairlead seal --verify db.yaml --signer me.key.pub
    """
    from fairlead.cli.sealing import signing

    own = signing.signing_key(key)
    for name in names:
        signing.sign(name, own)


# ---------------------------------------------------------------- from sealed-secrets


@seal.command("import-kubeseal", cls=Verb, short_help="Make EncryptedSecrets of SealedSecrets.")
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
