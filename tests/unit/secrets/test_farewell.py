"""What is told of an EncryptedSecret that was deleted."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.meta import JSON
from fairlead.secrets.farewell import farewell
from fairlead.secrets.model import EncryptedSecret, project_encrypted_secret


def gone(status: JSON | None = None, finalizers: tuple[str, ...] = (), **spec: object) -> EncryptedSecret:
    """As it was last seen."""
    meta = {"name": "db", "namespace": "shop", "uid": "u", "resourceVersion": "7", "finalizers": finalizers}
    made = {"version": "db-fhwxjrm5kp"} if status is None else status
    return project_encrypted_secret(msgspec.json.encode({"metadata": meta, "spec": spec, "status": made}))


def test_trust_69_its_secrets_go_and_applied_again_it_makes_them_again() -> None:
    (event,) = farewell(gone(), ())
    assert (event.type, event.reason) == ("Normal", "SecretsDeleted")
    assert "the Secret db and its versions are deleted with it" in event.message
    assert "applied again" in event.message


def test_trust_69_where_a_revision_runs_with_one_it_is_a_warning_with_its_name_and_the_way_back() -> None:
    (event,) = farewell(gone(), ["web-1", *(f"mail-{number}" for number in range(9))])
    assert (event.type, event.reason) == ("Warning", "SecretsDeleted")
    assert (
        "the Revisions web-1, mail-0, mail-1, mail-2, mail-3, … run with some of them, and they stay" in event.message
    )
    assert "Applied again as it was, it takes them up again" in event.message


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (gone(deletionPolicy="Retain"), "spec.deletionPolicy is Retain"),
        (gone(finalizers=("orphan",)), "--cascade=orphan"),
    ],
    ids=["retained", "orphaned"],
)
def test_trust_69_what_stays_is_told_with_how_to_be_rid_of_it(record: EncryptedSecret, why: str) -> None:
    (event,) = farewell(record, ["web-1"])
    assert (event.type, event.reason) == ("Normal", "SecretsRetained")
    assert why in event.message
    assert "`kubectl delete secrets --namespace shop --selector fairlead.dev/encrypted-secret=db`" in event.message


def test_of_one_that_never_made_a_secret_nothing_is_told() -> None:
    assert farewell(gone(status={}), ()) == ()
