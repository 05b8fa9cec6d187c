"""`fairlead seal sign`: a person's word for what an EncryptedSecret in a file says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import msgspec

from fairlead.cli.failures import Failed
from fairlead.cli.sealing import files
from fairlead.cli.sealing.into import edited, fits
from fairlead.cli.sealing.manifest import Found, found_in
from fairlead.cli.sealing.sealers import text_of
from fairlead.cli.sealing.splice import Edit
from fairlead.cli.sealing.values import Plain
from fairlead.secrets.model import Spec
from fairlead.secrets.signing import Signer, SigningKey, signer_of, unsigned
from fairlead.secrets.suites import BadKey


def signing_key(file: str) -> SigningKey:
    """As `fairlead keys generate --signing` wrote it."""
    try:
        return SigningKey.decode(text_of(file))
    except BadKey as error:
        raise Failed(f"{file}: {error}; a signing key is what fairlead keys generate --signing made") from None


def signers(names: Iterable[str]) -> tuple[Signer, ...]:
    """The public halves in these files."""
    found = []
    for name in names:
        try:
            found.append(Signer.decode(text_of(name)))
        except BadKey as error:
            raise Failed(
                f"{name}: {error}; the public half is what fairlead keys generate --signing wrote into FILE.pub"
            ) from None
    return tuple(found)


def sign(file: str, key: SigningKey) -> None:
    """Every EncryptedSecret of the file, in place. What somebody else has signed stays, and what does not fit any more of one's own
    is replaced."""
    text, count, fresh = text_of(file), 0, 0
    for found in list(found_in(file, text)):
        fits(file, found, None, Plain())
        spec, count = spec_of(file, found), count + 1
        if unsigned(spec, found.namespace, found.name, [key.signer]) is None:
            continue
        text, fresh = edited(file, text, found, [_edit(spec, key, found)]), fresh + 1
    if not count:
        raise Failed(f"{file}: there is no EncryptedSecret in it")
    if fresh:
        files.replace(Path(file), text)
    same = f"; {count - fresh} as it was" if fresh < count else ""
    click.echo(f"{file}: {fresh} EncryptedSecret{'' if fresh == 1 else 's'} signed by {key.signer.id}{same}", err=True)


def _edit(spec: Spec, key: SigningKey, found: Found) -> Edit:
    text = key.sign(spec, found.namespace, found.name)
    for index, there in enumerate(spec.signatures):
        if signer_of(there) == key.signer.id:
            return Edit(("spec", "signatures", index), text)
    if spec.signatures:
        return Edit(("spec", "signatures", len(spec.signatures)), text)
    return Edit(("spec", "signatures"), [text])


def spec_of(file: str, found: Found) -> Spec:
    """As the operator reads it. Failed, in fixed words, where it could not."""
    try:
        return msgspec.convert(found.spec, Spec)
    except msgspec.ValidationError:
        raise Failed(
            f"{file}:{found.line}: EncryptedSecret {found.name} cannot be read; see: fairlead lint -f {file}"
        ) from None


def lacking(file: str, found: Found, known: Sequence[Signer]) -> str:
    """What the operator would say of its signatures, if these signers were those that count; "" for nothing."""
    lack = unsigned(spec_of(file, found), found.namespace, found.name, known)
    return lack.message.partition(";")[0] if lack else ""
