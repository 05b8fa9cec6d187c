"""Envelopes and what is in them: what opens, what does not, and what nobody ever gets to see."""

import copy
import pickle
import traceback
from io import StringIO

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from fairlead.secrets import suites
from fairlead.secrets.envelope import ENCAPSULATED, Envelope, EnvelopeError, Place, Scope, info, parse, render
from fairlead.secrets.sealing import CannotOpen, Opened, bucket, seal, unseal
from fairlead.secrets.suites import BadKey, PrivateKey, PublicKey, generate

CANARY = b"canary-7f3a-do-not-print"
PLACE = Place(Scope.STRICT, "shop", "db", "password")
KEYS = {suite: PrivateKey(suite, bytes(range(32))) for suite in ("xw", "x")}
OTHERS = {suite: PrivateKey(suite, bytes(32)) for suite in ("xw", "x")}
both_suites = pytest.mark.parametrize("suite", ["xw", "x"])


def sealed(suite: str = "x", place: Place = PLACE, value: bytes = CANARY) -> Envelope:
    return parse(seal(KEYS[suite].public, place, value, 1_700_000_000))


# ---------------------------------------------------------------- round trips

names = st.text("ab/-.é\0", max_size=40)


@both_suites
@settings(max_examples=25)
@given(scope=st.sampled_from(Scope), namespace=names, name=names, key=names, value=st.binary(max_size=5000))
def test_what_was_sealed_opens_at_its_place(
    suite: str, scope: Scope, namespace: str, name: str, key: str, value: bytes
) -> None:
    place = Place(scope, namespace, name, key)

    opened = unseal(KEYS[suite], sealed(suite, place, value), place)

    assert opened == Opened(value, 1_700_000_000)


@both_suites
def test_a_value_of_a_whole_mebibyte_opens(suite: str) -> None:
    value = bytes(range(256)) * 4096

    assert unseal(KEYS[suite], sealed(suite, value=value), PLACE).value == value


@both_suites
def test_the_same_value_never_gives_the_same_envelope(suite: str) -> None:
    assert render(sealed(suite)) != render(sealed(suite))


def test_the_length_of_an_envelope_says_little_about_the_length_of_the_value() -> None:
    lengths = {len(sealed(value=b"x" * size).body) for size in range(52)}

    assert lengths == {32 + 64 + 16}


@given(size=st.integers(13, 3_000_000))
def test_a_bucket_holds_what_is_put_in_it_and_costs_little(size: int) -> None:
    assert size <= bucket(size) <= max(64, 2 * size, size + 4096)
    assert bucket(bucket(size)) == bucket(size)


@given(st.lists(st.tuples(names, names, names), min_size=2, max_size=2, unique=True))
def test_two_places_are_never_bound_by_the_same_bytes(fields: list[tuple[str, str, str]]) -> None:
    first, second = (info("x", "00" * 16, Place(Scope.STRICT, *field)) for field in fields)

    assert first != second


# ---------------------------------------------------------------- what does not open


@pytest.mark.parametrize(
    ("scope", "moves"),
    [
        (Scope.STRICT, {"namespace": False, "name": False, "key": False}),
        (Scope.NAMESPACE, {"namespace": False, "name": True, "key": False}),
        (Scope.CLUSTER, {"namespace": True, "name": True, "key": False}),
    ],
)
def test_trust_55_a_value_goes_as_far_as_its_scope_and_never_to_another_data_key(
    scope: Scope, moves: dict[str, bool]
) -> None:
    place = msgspec.structs.replace(PLACE, scope=scope)

    for field, may in moves.items():
        moved = msgspec.structs.replace(place, **{field: "other"})
        if may:
            assert unseal(KEYS["x"], sealed(place=place), moved).value == CANARY
            continue
        with pytest.raises(CannotOpen):
            unseal(KEYS["x"], sealed(place=place), moved)


@pytest.mark.parametrize("claimed", [Scope.NAMESPACE, Scope.CLUSTER])
def test_trust_55_a_scope_cannot_be_widened_afterwards(claimed: Scope) -> None:
    with pytest.raises(CannotOpen):
        unseal(KEYS["x"], sealed(), msgspec.structs.replace(PLACE, scope=claimed))


def test_trust_55_two_data_keys_of_one_object_cannot_swap_their_values() -> None:
    user = msgspec.structs.replace(PLACE, key="user")

    for place, other in ((PLACE, user), (user, PLACE)):
        with pytest.raises(CannotOpen):
            unseal(KEYS["x"], sealed(place=place), other)


@both_suites
def test_trust_54_a_value_for_another_key_is_not_tried(suite: str) -> None:
    with pytest.raises(CannotOpen):
        unseal(OTHERS[suite], sealed(suite), PLACE)


def test_trust_54_a_value_that_names_another_key_than_the_one_it_is_for_does_not_open() -> None:
    envelope = msgspec.structs.replace(sealed(), kid=OTHERS["x"].kid)

    for private in (KEYS["x"], OTHERS["x"]):
        with pytest.raises(CannotOpen):
            unseal(private, envelope, PLACE)


def flips(suite: str) -> dict[str, int]:
    """A byte of each part of a body."""
    start = ENCAPSULATED[suite]
    return {"enc": 0, "enc's last": start - 1, "header": start, "value": start + 13, "padding": start + 60, "tag": -1}


@pytest.mark.parametrize(("suite", "part"), [(suite, part) for suite in ("xw", "x") for part in flips(suite)])
def test_trust_56_a_flipped_bit_anywhere_is_noticed(suite: str, part: str) -> None:
    envelope = sealed(suite)
    body = bytearray(envelope.body)
    body[flips(suite)[part]] ^= 1

    with pytest.raises(CannotOpen):
        unseal(KEYS[suite], msgspec.structs.replace(envelope, body=bytes(body)), PLACE)


@settings(max_examples=150)
@given(st.data())
def test_trust_56_no_change_of_an_envelopes_text_gives_another_value(data: st.DataObject) -> None:
    """Whatever one character becomes: it is refused as text, or it does not open."""
    text = render(sealed())
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != text[at]))

    try:
        envelope = parse(text[:at] + other + text[at + 1 :])
    except EnvelopeError:
        return
    with pytest.raises(CannotOpen):
        unseal(KEYS["x"], envelope, PLACE)


KID = "0" * 32


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "PlaintextValue"),
        ("hunter2", "PlaintextValue"),
        ("FL1:x:00:aa", "PlaintextValue"),
        ("flx:hunter2", "PlaintextValue"),
        ("fl2:x:00:aa", "UnsupportedEnvelope"),
        ("fl17:anything at all", "UnsupportedEnvelope"),
        (f"fl1:zz:{KID}:{'A' * 100}", "UnsupportedEnvelope"),
        ("fl1:", "Malformed"),
        ("fl1:x:short:AAAA", "Malformed"),
        (f"fl1:x:{KID}", "Malformed"),
        (f"fl1:x:{KID}:", "Malformed"),
        (f"fl1:x:{KID.replace('0', 'A')}:{'A' * 100}", "Malformed"),
        (f"fl1:x:{KID}:{'A' * 99}", "Malformed"),
        (f"fl1:x:{KID}:{'A' * 97}B==", "Malformed"),  # bits that nothing reads: the same bytes as with A==
        (f"fl1:x:{KID}:{'A' * 60} {'A' * 40}", "Malformed"),
        (f"fl1:x:{KID}:{'_-' * 50}", "Malformed"),
        (f"fl1:x:{KID}:{'A' * 64}", "Malformed"),  # 48 bytes: a key and a tag, and nothing sealed
        (f"fl1:xw:{KID}:{'A' * 400}", "Malformed"),
    ],
)
def test_trust_56_58_64_a_text_that_is_no_envelope_has_a_reason_and_is_never_repeated(text: str, reason: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        parse(text)

    assert caught.value.reason == reason
    if len(text) > 4:
        assert text not in str(caught.value)


def test_trust_58_a_newer_format_says_to_upgrade() -> None:
    with pytest.raises(EnvelopeError, match="upgrade the operator"):
        parse("fl2:new:0:0")


def test_trust_64_a_secret_somebody_forgot_to_seal_is_told_to_be_replaced_and_not_shown() -> None:
    with pytest.raises(EnvelopeError, match="replace the secret at its source") as caught:
        parse(CANARY.decode())

    assert CANARY.decode() not in "".join(traceback.format_exception(caught.value))


def test_a_line_feed_around_an_envelope_means_nothing() -> None:
    text = render(sealed())

    assert parse(f"{text}\n") == parse(text)


def test_trust_66_whatever_is_wrong_the_answer_is_the_same() -> None:
    """Nobody can learn from it whether the key, the place or the bytes were wrong, nor what the plaintext looked like."""
    private = KEYS["x"]
    about = info("x", private.kid, PLACE)
    crafted = {
        "another place": (sealed(), msgspec.structs.replace(PLACE, name="other")),
        "cut off": (msgspec.structs.replace(sealed(), body=sealed().body[:40]), PLACE),
        "no point of the curve": (msgspec.structs.replace(sealed(), body=bytes(32) + sealed().body[32:]), PLACE),
    }
    for what, plaintext in {
        "no header": b"\1",
        "a version of the header to come": b"\2" + bytes(63),
        "more bytes than there are": b"\1" + bytes(8) + b"\xff" * 4 + bytes(51),
        "padding that is none": b"\1" + bytes(12) + b"x" * 51,
    }.items():
        crafted[what] = (Envelope("x", private.kid, suites.sealed_to(private.public, plaintext, about)), PLACE)

    told = {}
    for what, (envelope, place) in crafted.items():
        with pytest.raises(CannotOpen) as caught:
            unseal(private, envelope, place)
        told[what] = (str(caught.value), caught.value.__cause__, caught.value.__suppress_context__)

    assert {message for message, *_ in told.values()} == {CannotOpen.MESSAGE}
    assert all(cause is None for _, cause, _ in told.values())


# ---------------------------------------------------------------- keys


@both_suites
def test_a_key_comes_back_from_its_text(suite: str) -> None:
    private = generate(suite)

    again = PrivateKey.from_text(suite, f"{private.encode()}\n")

    assert again.public == private.public == PublicKey.decode(suite, private.public.encode())
    assert unseal(again, parse(seal(private.public, PLACE, b"x", 1)), PLACE).value == b"x"


def test_two_keys_and_two_suites_have_different_names() -> None:
    kids = {generate(suite).kid for suite in ("x", "x", "xw", "xw")}

    assert len(kids) == 4
    assert PublicKey("x", bytes(32)).kid != PublicKey("xw", bytes(32)).kid
    assert all(len(kid) == 32 for kid in kids)


@pytest.mark.parametrize("make", [PrivateKey.from_text, PublicKey.decode])
@pytest.mark.parametrize(
    ("suite", "text", "said"),
    [
        ("rsa", "AAAA", "the suite is not one of xw, x"),
        ("x", "canary!", "is not base64"),
        ("x", "AAAA", "has 3 bytes instead of 32"),
        ("xw", "AAAA", "has 3 bytes instead of"),
    ],
)
def test_trust_62_a_text_that_is_no_key_is_refused_and_not_repeated(
    make: object, suite: str, text: str, said: str
) -> None:
    with pytest.raises(BadKey, match=said) as caught:
        make(suite, text)  # type: ignore[operator]

    assert text not in str(caught.value)


def test_trust_62_a_public_key_that_ml_kem_does_not_have_is_refused() -> None:
    with pytest.raises(BadKey, match="damaged"):
        PublicKey.decode("xw", PublicKey("xw", b"\xff" * 1216).encode())


def test_without_ml_kem_the_compact_suite_is_used_and_the_reason_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (suites.default_suite(), suites.lack()) == ("xw", "")
    monkeypatch.setattr(suites.backend, "mlkem_supported", lambda: False)

    assert suites.default_suite() == "x"
    assert "no ML-KEM" in suites.lack()
    with pytest.raises(BadKey, match="no ML-KEM"):
        generate("xw")
    assert generate("x").suite == "x"


# ---------------------------------------------------------------- what nobody gets to see


def shown(value: object) -> str:
    """All that a program shows of an object without meaning to."""
    screen = StringIO()
    Console(file=screen, width=200).print(value)
    return f"{value!r} {value} {screen.getvalue()}"


def test_no_value_and_no_private_key_is_in_what_is_shown_of_them() -> None:
    private = generate("x")
    opened = unseal(KEYS["x"], sealed(), PLACE)

    assert private.encode() not in shown(private)
    assert private.kid in repr(private)
    assert "canary" not in shown(opened)
    assert "canary" not in shown([opened])


def test_a_private_key_cannot_be_pickled() -> None:
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copied(KEYS["x"])


def test_an_error_holds_nothing_of_the_value_in_its_trace() -> None:
    with pytest.raises(CannotOpen) as caught:
        unseal(OTHERS["x"], msgspec.structs.replace(sealed(), kid=OTHERS["x"].kid), PLACE)

    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert CANARY.decode() not in "".join(trace)
