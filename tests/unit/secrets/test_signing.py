"""Signatures: by the standard's own vectors, and over everything that decides what a Secret holds."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import msgspec
import pytest

from fairlead.secrets.model import Spec
from fairlead.secrets.signing import Signer, SigningKey, signer_of, statement, unsigned
from fairlead.secrets.suites import BadKey

ME, OTHER = SigningKey(bytes(range(32))), SigningKey(bytes(32))
RAW: dict[str, Any] = {
    "values": {"password": "fl1:x:0f:AAAA", "user": "fl1:x:0f:BBBB"},
    "recipients": [{"name": "staging", "values": {"password": "fl1:x:1f:CCCC"}}],
    "notBefore": "2026-11-22T00:00:00Z",
    "template": {"type": "Opaque", "labels": {"a": "b"}, "annotations": {"c": "d"}, "data": {"url": "${user}"}},
}


def spec(**changes: Any) -> Spec:
    return msgspec.convert({**RAW, **changes}, Spec)


def signed(by: SigningKey, **changes: Any) -> Spec:
    """Signed as it is, and changed afterwards."""
    text = by.sign(spec(), "shop", "db")
    return spec(signatures=[text], **changes)


def why(of: Spec, *signers: Signer, namespace: str = "shop", name: str = "db") -> str | None:
    found = unsigned(of, namespace, name, signers)
    return found.reason if found else None


def test_test_1_to_3_of_rfc_8032() -> None:
    """7.1: secret key, public key, message, signature."""
    for secret, public, message, signature in (
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ):
        assert SigningKey(bytes.fromhex(secret)).signer.raw.hex() == public
        assert Signer(bytes.fromhex(public)).vouches(bytes.fromhex(message), bytes.fromhex(signature))
        assert not Signer(bytes.fromhex(public)).vouches(b"x", bytes.fromhex(signature))


def test_where_no_signer_is_named_nothing_is_asked_for() -> None:
    assert why(spec()) is None and why(signed(ME, values={"password": "fl1:x:0f:ZZZZ"})) is None


def test_one_signature_that_counts_is_enough_whoever_else_has_signed() -> None:
    assert why(signed(ME), ME.signer) is None
    both = [OTHER.sign(spec(), "shop", "db"), ME.sign(spec(), "shop", "db")]
    assert why(spec(signatures=both), ME.signer) is None
    assert why(spec(signatures=both), OTHER.signer, ME.signer) is None


def test_without_one_that_counts_the_reason_and_the_way_out_are_told() -> None:
    assert why(spec(), ME.signer) == "Unsigned"
    assert why(signed(OTHER), ME.signer) == "SignerUnknown"
    assert why(spec(signatures=["fs2:next:0f:AAAA"]), ME.signer) == "SignerUnknown"
    found = unsigned(spec(), "shop", "db", [ME.signer, OTHER.signer])
    assert found is not None
    assert f"{ME.signer.id} or {OTHER.signer.id}" in found.message and "`fairlead seal sign`" in found.message
    assert "the Secret stays as it was" in found.message


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "Namespace"},
        {"values": {**RAW["values"], "password": "fl1:x:0f:ZZZZ"}},
        {"values": {"user": RAW["values"]["password"], "password": RAW["values"]["user"]}},
        {"values": {"password": RAW["values"]["password"]}},
        {"recipients": []},
        {"recipients": [{"name": "staging", "values": {"password": "fl1:x:1f:ZZZZ"}}]},
        {"notBefore": ""},
        {"template": {**RAW["template"], "type": "kubernetes.io/tls"}},
        {"template": {**RAW["template"], "labels": {"a": "z"}}},
        {"template": {**RAW["template"], "annotations": {"replicator.example/to": "mine"}}},
        {"template": {**RAW["template"], "data": {"url": "${password}"}}},
        {"template": {**RAW["template"], "data": {}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_change_of_what_the_secret_is_to_be_makes_the_signature_worthless(changes: dict[str, Any]) -> None:
    assert why(signed(ME, **changes), ME.signer) == "SignatureInvalid"


def test_what_only_says_how_fairlead_goes_about_it_may_change() -> None:
    free = {"adopt": True, "deletionPolicy": "Retain", "sealedFor": {"namespace": "other", "name": "other"}}
    assert why(signed(ME, **free), ME.signer) is None
    assert why(signed(ME, template=dict(reversed(RAW["template"].items()))), ME.signer) is None, "in whatever order"


@pytest.mark.parametrize(
    ("scope", "opens"),
    [
        ("Strict", {"shop/db"}),
        ("Namespace", {"shop/db", "shop/mail"}),
        ("Cluster", {"shop/db", "shop/mail", "bank/db"}),
    ],
)
def test_it_holds_as_far_as_the_scope_goes(scope: str, opens: set[str]) -> None:
    whole = spec(scope=scope)
    moved = msgspec.structs.replace(whole, signatures=(ME.sign(whole, "shop", "db"),))
    for place in ("shop/db", "shop/mail", "bank/db"):
        namespace, _, name = place.partition("/")
        found = why(moved, ME.signer, namespace=namespace, name=name)
        assert found == (None if place in opens else "SignatureInvalid")


def test_a_signature_under_the_name_of_another_signer_is_none() -> None:
    theirs = OTHER.sign(spec(), "shop", "db")
    forged = theirs.replace(OTHER.signer.id, ME.signer.id)
    assert signer_of(forged) == ME.signer.id
    assert why(spec(signatures=[forged]), ME.signer) == "SignatureInvalid"


@pytest.mark.parametrize("at", [0, 31, 32, 63])
def test_a_flipped_bit_is_noticed(at: int) -> None:
    head, _, encoded = ME.sign(spec(), "shop", "db").rpartition(":")
    raw = bytearray(base64.b64decode(encoded))
    raw[at] ^= 1
    text = f"{head}:{base64.b64encode(bytes(raw)).decode()}"
    assert why(spec(signatures=[text]), ME.signer) == "SignatureInvalid"


def test_a_signature_that_was_recorded_holds_in_every_version() -> None:
    text = (
        "fs1:ed25519:ef0b7cf1fdcdcbb295e27d1af8b68dfd:"
        "Y5AgCivWPjswlx+2aXT1pzY6CRiIWJteMjfeewKSyZCEzsdQ9lU6Sin6iqzQpyw2Lok6B3j3Oj6RK5hOHJC0Cw=="
    )
    assert why(spec(signatures=[text]), ME.signer) is None
    assert statement("0f", spec(), "shop", "db").decode() == (
        '["fairlead.dev/fs1","0f","Strict","shop","db",[["password","fl1:x:0f:AAAA"],["user","fl1:x:0f:BBBB"]],'
        '[["staging",[["password","fl1:x:1f:CCCC"]]]],"2026-11-22T00:00:00Z","Opaque",[["a","b"]],[["c","d"]],[["url","${user}"]]]'
    )


def test_keys_come_back_from_their_text_and_show_nothing_of_themselves() -> None:
    assert SigningKey.decode(f"# mine\n\n{ME.encode()}\n").signer == ME.signer
    assert Signer.decode(ME.signer.encode()) == ME.signer
    secret = ME.encode().partition(":")[2]
    assert secret not in f"{ME!r} {ME}" and ME.signer.id in repr(ME)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(ME)


@pytest.mark.parametrize("text", ["", "AAAA", "x:AAAA", "ed25519:AAAA", "ed25519:????", "ed25519:AAAA\ned25519:AAAA"])
def test_a_text_that_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    for read in (SigningKey.decode, Signer.decode):
        with pytest.raises(BadKey) as caught:
            read(text)
        assert "AAAA" not in str(caught.value) and "????" not in str(caught.value)
