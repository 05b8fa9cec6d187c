"""EncryptedSecrets and SealingKeys on a real API server: what it takes, what it refuses and in which words. `fairlead lint`
has to agree each time."""

from typing import Any

import msgspec
import pytest

from fairlead.secrets.model import Spec, project_encrypted_secret
from fairlead.secrets.signing import SigningKey, unsigned
from support.crds import JSON, accept, change_refusal, create, lint_errors, refusal
from support.lab import Lab

SEALED = "fl1:x:" + "0" * 32 + ":" + "A" * 200
CANARY = "canary-hunter2-do-not-print"


def encrypted_secret(name: str = "db", **spec: Any) -> JSON:
    body = {"values": {"password": SEALED}, **spec}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "EncryptedSecret", "metadata": {"name": name}, "spec": body}


def sealing_key(name: str = "0" * 32, **spec: Any) -> JSON:
    body = {"suite": "x", "publicKey": "A" * 43 + "=", **spec}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "SealingKey", "metadata": {"name": name}, "spec": body}


def test_the_smallest_encrypted_secret_is_taken_and_gets_its_defaults(api: Lab) -> None:
    stored = create(api, "default", encrypted_secret("smallest"))

    assert stored["spec"] == {
        "scope": "Strict",
        "values": {"password": SEALED},
        "template": {"type": "Opaque"},
        "deletionPolicy": "Delete",
        "adopt": False,
    }


def test_a_whole_encrypted_secret_is_taken(api: Lab) -> None:
    body = encrypted_secret(
        scope="Namespace",
        recipients=[{"name": "staging", "values": {"password": SEALED}}],
        sealedFor={"namespace": "shop", "name": "db"},
        notBefore="2026-11-21T00:00:00Z",
        template={
            "type": "kubernetes.io/basic-auth",
            "labels": {"team": "shop"},
            "annotations": {"example.com/note": "x"},
            "data": {"url": "postgres://${password}@db"},
        },
        deletionPolicy="Retain",
        adopt=True,
    )

    accept(api, body)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"values": {}}, "at least 1"),
        ({"values": {"a b": SEALED}}, "names of data keys"),
        ({"template": {"type": "bootstrap.kubernetes.io/token"}}, "credentials out of nothing"),
        ({"template": {"labels": {"fairlead.dev/app": "x"}}}, "Fairlead's own"),
        ({"template": {"annotations": {"fairlead.dev/adopt-by": "x"}}}, "Fairlead's own"),
        ({"template": {"data": {"password": "x"}}}, "spec.values has too"),
        ({"scope": "Everywhere"}, "Strict"),
        ({"deletionPolicy": "Keep"}, "Retain"),
        ({"signatures": ["fs1:ed25519:ours"]}, "have `fairlead seal sign` write it"),
        ({"value": {"a": SEALED}}, "value"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(api: Lab, spec: JSON, words: str) -> None:
    assert words in refusal(api, encrypted_secret(**spec))


def test_an_encrypted_secret_without_any_value_is_refused(api: Lab) -> None:
    body = encrypted_secret()
    del body["spec"]["values"]

    assert "nothing to open" in refusal(api, body)


def test_trust_64_a_pasted_secret_is_refused_and_not_repeated(api: Lab) -> None:
    for values in ({"password": CANARY}, {"fine": SEALED, "password": f" {SEALED} {CANARY}"}):
        for body in (encrypted_secret(values=values), encrypted_secret(recipients=[{"name": "a", "values": values}])):
            text = refusal(api, body)

            assert "replace it at its source" in text
            assert CANARY not in text
            assert CANARY not in str(lint_errors(body))


def test_trust_64_a_pasted_secret_of_another_type_is_not_repeated_either(api: Lab) -> None:
    for values in (CANARY, {"password": 8675309}, {"password": [CANARY]}):
        body = encrypted_secret(values=values)
        said = refusal(api, body) + str(lint_errors(body))

        assert CANARY not in said
        assert "8675309" not in said


def test_trust_65_types_that_make_credentials_are_refused(api: Lab) -> None:
    for forbidden in (
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "fairlead.dev/sealing-key",
    ):
        assert "credentials out of nothing" in refusal(api, encrypted_secret(template={"type": forbidden}))


def test_trust_67_more_than_a_secret_can_hold_is_refused(api: Lab) -> None:
    half = "fl1:x:" + "0" * 32 + ":" + "A" * 699_000

    accept(api, encrypted_secret(values={"a": half, "b": half}))
    assert "no Secret holds more than 1 MiB" in refusal(
        api, encrypted_secret(values={"a": half, "b": half, "c": SEALED * 10})
    )


def test_scope_and_type_never_change(api: Lab) -> None:
    create(api, "default", encrypted_secret("fixed"))

    for spec, words in (
        ({"scope": "Cluster"}, "the values are sealed to it"),
        ({"template": {"type": "kubernetes.io/tls"}}, "no Secret change its type"),
    ):
        assert words in change_refusal(api, "default", "encryptedsecrets.fairlead.dev", "fixed", {"spec": spec})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (sealing_key("shop"), "32 hexadecimal digits"),
        (sealing_key(suite="rsa"), "xw"),
        (sealing_key(wish="Forgotten"), "Compromised"),
    ],
)
def test_a_sealing_key_that_is_none_is_refused(api: Lab, body: JSON, words: str) -> None:
    assert words in refusal(api, body)


def test_a_sealing_key_keeps_what_it_is_and_never_comes_back_from_compromised(api: Lab) -> None:
    name = "ab" * 16
    create(api, "default", sealing_key(name, wish="Compromised"))

    for spec, words in (
        ({"suite": "xw"}, "cannot be changed"),
        ({"publicKey": "B" * 43 + "="}, "cannot be changed"),
        ({"wish": "DecryptOnly"}, "cannot lead back"),
    ):
        assert words in change_refusal(api, "default", "sealingkeys.fairlead.dev", name, {"spec": spec})
    api.kubectl("patch", "sealingkeys.fairlead.dev", name, "--type=merge", "-p", '{"spec": {"wish": "Retired"}}')


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"scope": "Namespace", "template": {"labels": {"a": "b"}}, "notBefore": "2026-11-21T00:00:00Z"},
        {
            "recipients": [{"name": "staging", "values": {"b": SEALED, "a": SEALED}}],
            "template": {"data": {"url": "${password}"}},
        },
    ],
    ids=["the smallest", "with a template", "for several clusters"],
)
def test_a_signature_fits_what_the_api_server_makes_of_the_file(api: Lab, given: JSON) -> None:
    """It fills in defaults, and gives all back in an order of its own."""
    author, body = SigningKey.generate(), encrypted_secret(**given)
    signed = author.sign(msgspec.convert(body["spec"], Spec), "default", "db")
    stored = accept(api, encrypted_secret(**given, signatures=[signed]))
    record = project_encrypted_secret(msgspec.json.encode(stored))
    assert unsigned(record.spec, "default", "db", [author.signer]) is None
