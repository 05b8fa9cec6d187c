"""Whom values are sealed to: this cluster's key and those of others, from files or from the cluster itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fairlead.cli.failures import Failed
from fairlead.cli.linting.documents import Unreadable, documents
from fairlead.cli.sealing.files import read
from fairlead.cli.sealing.published import Published, listed, published, sealer, staleness
from fairlead.cli.session import Session
from fairlead.kube.resources import SEALING_KEYS
from fairlead.secrets import sealing
from fairlead.secrets.envelope import Place
from fairlead.secrets.suites import PublicKey

MOST_KEYS = 4 * 1024 * 1024


class Sealers(NamedTuple):
    """`own` for spec.values, `others` by the names of spec.recipients; `known` are the kids of the whole cluster, None where
    a file was asked instead; `warnings` about what they came from."""

    own: PublicKey
    others: Mapping[str, PublicKey]
    now: int
    known: frozenset[str] | None
    warnings: tuple[str, ...] = ()

    def seal(self, place: Place, value: bytes) -> str:
        return sealing.seal(self.own, place, value, self.now)

    def seal_for(self, recipient: str, place: Place, value: bytes) -> str:
        return sealing.seal(self.others[recipient], place, value, self.now)


def sealers(session: Session, key_file: str | None, recipients: Iterable[str]) -> Sealers:
    """`key_file` None: the newest key of the cluster. `recipients` are NAME=FILE each."""
    warnings: list[str] = []
    known: frozenset[str] | None = None
    if key_file is None:
        found = in_cluster(session)
        own, now, known = sealer(found, "the cluster").key, session.cluster.now(), frozenset(key.kid for key in found)
    else:
        now = time.time()
        own = _from_file(key_file, now, warnings)
    others: dict[str, PublicKey] = {}
    for recipient in recipients:
        name, equals, file = recipient.partition("=")
        if not (name and equals and file) or name in others:
            raise Failed(f"--recipient {recipient}: write NAME=FILE, each name once")
        others[name] = _from_file(file, now, warnings)
    return Sealers(own, others, int(now), known, tuple(warnings))


def in_cluster(session: Session) -> list[Published]:
    """All SealingKeys of the cluster."""
    return [published(raw) for page in session.cluster.pages(SEALING_KEYS, namespace=None) for raw in page]


def in_file(file: str) -> list[Published]:
    """All SealingKeys of a file."""
    try:
        return listed(document.value for document in documents(text_of(file)))
    except Unreadable as error:
        raise Failed(f"{file}:{error.line}: {error.message}") from None


def text_of(file: str) -> str:
    try:
        return read(file, MOST_KEYS).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failed(f"{file} is no text: SealingKeys are YAML, as fairlead keys export prints them") from None


def _from_file(file: str, now: float, warnings: list[str]) -> PublicKey:
    found = sealer(in_file(file), file)
    stale = staleness(found, file, now)
    if stale:
        warnings.append(stale)
    return found.key
