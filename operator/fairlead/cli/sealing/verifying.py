"""`fairlead seal --verify`: what can be known of an EncryptedSecret without the key that opens it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import click
import msgspec
from rich.text import Text

from fairlead.cli.linting.check import Linter
from fairlead.cli.sealing.manifest import Found, found_in
from fairlead.cli.sealing.published import RETIRED, Published, newest
from fairlead.cli.sealing.sealers import in_cluster, in_file, text_of
from fairlead.cli.sealing.signing import lacking, signers
from fairlead.cli.session import Session
from fairlead.secrets.envelope import EnvelopeError, parse
from fairlead.secrets.signing import Signer
from fairlead.view.inert import one_line


class Checked(msgspec.Struct, frozen=True):
    """One value. `recipient` is "" for spec.values; `problem` is "" where nothing speaks against it."""

    file: str
    object: str
    key: str
    recipient: str = ""
    kid: str = ""
    state: str = ""
    problem: str = ""
    advice: str = ""


def verified(
    session: Session, names: Iterable[str], key_file: str | None, signer_files: Iterable[str], output: str | None
) -> int:
    """The exit code: 1 where a value or an object will not be taken."""
    who = signers(signer_files)
    keys = in_cluster(session) if key_file is None else in_file(key_file)
    where = "this cluster" if key_file is None else key_file
    known = {key.kid: key for key in keys}
    sealing = next((key.kid for key in newest(keys) if key.seals), "")
    linter, rows, lacks, objects = Linter(), list[Checked](), list[Checked](), 0
    for name in names:
        text = text_of(name)
        linter.file(name, text)
        for found in found_in(name, text):
            objects += 1
            rows += list(checked(name, found, known, where, sealing))
            lacks += list(vouched(name, found, who))
    remarks = [remark for remark in linter.report.remarks if remark.level == "error"]
    if output in ("json", "yaml"):
        session.screen.objects({"values": rows, "signatures": lacks, "findings": remarks}, output)
    else:
        session.screen.lines(_line(row) for row in [*rows, *lacks])
        session.screen.lines(
            Text(f"{remark.file}:{remark.line}: error: {remark.object}: {remark.message}") for remark in remarks
        )
    bad = sum(bool(row.problem) for row in rows) + len(lacks) + len(remarks)
    click.echo(_summary(objects, len(rows), bad), err=True)
    return 1 if bad or not objects else 0


def checked(file: str, found: Found, known: Mapping[str, Published], where: str, sealing: str) -> Iterator[Checked]:
    """Each value: its form, and the key it names. One that is sealed to another cluster's key is right where another entry of the
    same name is for this one, which may be the recipient."""
    subject = f"EncryptedSecret/{found.name}"
    entries = [("", found.values), *((name, (found.recipient(name) or (0, {}))[1]) for name in found.recipients)]
    rows = [
        msgspec.structs.replace(_one(file, subject, key, text, known, where, sealing), recipient=recipient)
        for recipient, values in entries
        for key, text in values.items()
    ]
    ours = {row.key for row in rows if row.state}
    for row in rows:
        yield msgspec.structs.replace(row, problem="") if row.problem == _unknown(where) and row.key in ours else row


def vouched(file: str, found: Found, who: Sequence[Signer]) -> Iterator[Checked]:
    """A row where its signatures are not what these signers ask for."""
    why = lacking(file, found, who)
    if why:
        yield Checked(file, f"EncryptedSecret/{found.name}", "spec.signatures", problem=f"do not do: {why}")


def _unknown(where: str) -> str:
    return f"is sealed to a key that {where} does not have"


def _one(
    file: str, subject: str, key: str, text: str, known: Mapping[str, Published], where: str, sealing: str
) -> Checked:
    try:
        kid = parse(text).kid
    except EnvelopeError as error:
        return Checked(file, subject, key, problem=error.message)
    if kid not in known:
        return Checked(file, subject, key, kid=kid, problem=_unknown(where))
    state = known[kid].state or known[kid].wish
    if state == RETIRED:
        return Checked(
            file, subject, key, kid=kid, state=state, problem="is sealed to a key that is retired: seal it again"
        )
    advice = ""
    if known[kid].compromised:
        advice = f"replace the secret at its source, then: fairlead seal --into {file}"
    elif sealing not in ("", kid):
        advice = f"a newer key seals by now: fairlead reseal {file}"
    return Checked(file, subject, key, kid=kid, state=state, advice=advice)


def _line(row: Checked) -> Text:
    place = f"{row.file}: {row.object}: {f'for {row.recipient}: ' if row.recipient else ''}{row.key}"
    if row.problem:
        return Text.assemble(one_line(place), " ", (row.problem, "bold red"))
    key = f"is sealed to {row.kid}" + (f" ({row.state})" if row.state else "")
    return Text(one_line(f"{place} {key}" + (f"; {row.advice}" if row.advice else "")))


def _summary(objects: int, values: int, bad: int) -> str:
    if not objects:
        return "there is no EncryptedSecret here"
    counted = f"{values} value{'' if values == 1 else 's'} of {objects} EncryptedSecret{'' if objects == 1 else 's'}"
    if bad:
        return f"{counted} checked, {bad} problem{'' if bad == 1 else 's'}"
    return (
        f"{counted}: form and keys are right. That they open in their place only the cluster can prove, after kubectl apply: "
        "kubectl wait --for=condition=Ready encryptedsecret/NAME"
    )
