"""What seals and opens values is what the standards say: published vectors, an implementation of our own from the standards
(tests/support/hpke.py), and envelopes that were recorded once and must open for ever."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.secrets import envelope as envelopes
from fairlead.secrets.envelope import Place, Scope
from fairlead.secrets.sealing import Opened, seal, unseal
from fairlead.secrets.suites import PrivateKey, PublicKey
from support import hpke

KEMS = {"xw": hpke.XWING, "x": hpke.DHKEM}
GRECIAN_URN = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")

# ---------------------------------------------------------------- the reference, against what is published


def test_the_reference_makes_vector_a11_of_rfc_9180() -> None:
    """DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, sequence number 0. (The RFC prints none with
    AES-256-GCM, which differs in the length of the key alone; that is held to SP 800-38D below.)"""
    private = bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    public = bytes.fromhex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d")
    ephemeral = bytes.fromhex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736")
    plaintext = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")

    shared, enc = hpke.DHKEM.encapsulate(public, ephemeral)
    key, nonce = hpke.key_schedule(hpke.DHKEM, hpke.AES_128_GCM, shared, GRECIAN_URN)
    body = hpke.seal(hpke.DHKEM, hpke.AES_128_GCM, public, GRECIAN_URN, b"Count-0", plaintext, ephemeral)

    assert hpke.DHKEM.public(private) == public
    assert shared.hex() == "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"
    assert (key.hex(), nonce.hex()) == ("4531685d41d65f03dc48f6b8302c05b0", "56d890e5accaaf011cff4b7d")
    assert enc.hex() == "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
    assert body[32:].hex() == (
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
    )
    assert hpke.unseal(hpke.DHKEM, hpke.AES_128_GCM, private, GRECIAN_URN, b"Count-0", body) == plaintext


def test_the_reference_makes_test_case_16_of_gcm_with_a_key_of_256_bits() -> None:
    """McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, which SP 800-38D builds on."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plaintext = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )

    sealed = hpke.gcm_encrypt(key, bytes.fromhex("cafebabefacedbaddecaf888"), aad, plaintext)

    assert sealed.hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )


class XWing(NamedTuple):
    """One vector of the draft: of the public key and the encapsulation the first and last 16 bytes, for the shared secret
    depends on all of them."""

    seed: str
    randomness: str
    public: tuple[str, str]
    enc: tuple[str, str]
    shared: str


@pytest.mark.parametrize(
    "vector",
    [
        XWing(
            "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
            "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2"
            "35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
            ("e2236b35a8c24b39b10aa1323a96a919", "23593d4ba32d9abac8cd049040ef6534"),
            ("b83aa828d4d62b9a83ceffe1d3d3bb1e", "b97e63e0e41d354274a079d3e6fb2e15"),
            "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384",
        ),
        XWing(
            "badfd6dfaac359a5efbb7bcc4b59d538df9a04302e10c8bc1cbf1a0b3a5120ea",
            "17cda7cfad765f5623474d368ccca8af0007cd9f5e4c849f167a580b14aabdef"
            "aee7eef47cb0fca9767be1fda69419dfb927e9df07348b196691abaeb580b32d",
            ("0333285fa253661508c9fb444852caa4", "28c953926d96ea8a160b8843f1c89c62"),
            ("c93beb22326705699bbc3d1d0aa6339b", "91c98bea4127ae66312f4ae3ea155b67"),
            "f2e86241c64d60f6649fbc6c5b7d17180b780a3f34355e64a85749949c45f150",
        ),
    ],
)
def test_the_reference_makes_the_vectors_of_the_x_wing_draft(vector: XWing) -> None:
    """draft-connolly-cfrg-xwing-kem-08, appendix C."""
    seed = bytes.fromhex(vector.seed)
    public = hpke.XWING.public(seed)
    shared, enc = hpke.XWING.encapsulate(public, bytes.fromhex(vector.randomness))

    assert (public[:16].hex(), public[-16:].hex()) == vector.public
    assert (enc[:16].hex(), enc[-16:].hex()) == vector.enc
    assert shared.hex() == vector.shared
    assert hpke.XWING.decapsulate(seed, enc).hex() == vector.shared
    assert PrivateKey("xw", seed).public.raw == public, "and so does what Fairlead makes of the seed"


def test_the_reference_makes_the_key_schedule_of_the_draft_of_hpke_with_x_wing() -> None:
    """draft-ietf-hpke-pq-05, A.5: MLKEM768-X25519, HKDF-SHA256, ChaCha20Poly1305 (the draft prints none with AES; the
    cipher's number and the length of its key alone differ)."""
    seed = bytes.fromhex("b6bfa0299b955e85224df2e468f29eeab377ff3b96d4462b39447a22d32b91be")
    randomness = bytes.fromhex(
        "c82228383c9fb887f7d8b332c28262024eda5b6b0ecd2325fe662daffc0594fa"
        "d4990e7c8d13812137d06ba7017453de675ab0388d418853617f3ca58cc5daf3"
    )
    public = hpke.XWING.public(seed)
    shared, enc = hpke.XWING.encapsulate(public, randomness)
    key, nonce = hpke.key_schedule(hpke.XWING, hpke.CHACHA20_POLY1305, shared, GRECIAN_URN.hex().encode())

    assert (public[:8].hex(), public[-8:].hex()) == ("d3d102410970b8ba", "a09462df7dc74d05")
    assert (enc[:8].hex(), enc[-8:].hex()) == ("ab354dd589f74ee0", "ff6d5c3b08c4b27c")
    assert shared.hex() == "e059d39125d1f09a7232413a13ec5cb18a37417675442c962700d59da46d105a"
    assert key.hex() == "100a6260ae1a2660dd575fd4f8bf8ebddda22b8bdb0f1bca9fcb26c0aa12418e"
    assert nonce.hex() == "b55542ef5c7fc75d075bbfde"


# ---------------------------------------------------------------- Fairlead, against the reference

PLACE = Place(Scope.STRICT, "shop", "db", "password")


@pytest.mark.parametrize("suite", ["xw", "x"])
@settings(max_examples=4)
@given(value=st.binary(max_size=300), seed=st.binary(min_size=32, max_size=32))
def test_the_reference_opens_what_fairlead_sealed(suite: str, value: bytes, seed: bytes) -> None:
    private = PrivateKey(suite, seed)
    sealed = envelopes.parse(seal(private.public, PLACE, value, 1_700_000_000))

    plaintext = hpke.unseal(
        KEMS[suite], hpke.AES_256_GCM, seed, envelopes.info(suite, private.kid, PLACE), b"", sealed.body
    )

    header = b"\1" + (1_700_000_000).to_bytes(8, "big") + len(value).to_bytes(4, "big")
    assert plaintext == (header + value).ljust(len(plaintext), b"\0")
    assert len(plaintext) in (64, 128, 256, 512)


@pytest.mark.parametrize("suite", ["xw", "x"])
@settings(max_examples=4)
@given(value=st.binary(max_size=40), randomness=st.binary(min_size=64, max_size=64))
def test_fairlead_opens_what_the_reference_sealed(suite: str, value: bytes, randomness: bytes) -> None:
    private, kem = PrivateKey(suite, bytes(range(32))), KEMS[suite]
    public = PublicKey(suite, kem.public(bytes(range(32))))
    plaintext = (b"\1" + (60).to_bytes(8, "big") + len(value).to_bytes(4, "big") + value).ljust(64, b"\0")
    about = envelopes.info(suite, public.kid, PLACE)
    randomness = randomness if suite == "xw" else randomness[:32]

    body = hpke.seal(kem, hpke.AES_256_GCM, public.raw, about, b"", plaintext, randomness)

    assert unseal(private, envelopes.Envelope(suite, public.kid, body), PLACE) == Opened(value, 60)


# ---------------------------------------------------------------- recorded once, to be opened for ever

RECORDED_SEED = bytes(range(32))
RECORDED = {
    ("xw", "Strict"): (
        "b26620fc6bf88fad74589824b0007813",
        "fl1:xw:b26620fc6bf88fad74589824b0007813:Alw7bdyPJUhUit1C+7TqdheFTw2xbu6iP0SpPSN6n/pciF0HoQgfWVUbOO9VMWWp"
        "9Eve3At9uGQo46M3T/cBeYs4eZEicS066qLnypRFkzJxi4bec+x+etGi4VPrZv0piSE7WspXX4sokIToJSDV0rNC54+IcqmqViz2nrU3"
        "+3RGXusbD3SbFuD9BMcPOYO+3JGFT87RRjMVglZcbB1wKSwy4Zbool1SOhskTOyD+evLwmprJEkawN20P/AV2s+pFARyLgqyQ+cjr48f"
        "SnBNjA5kpC1MpA4M6p1F8NYfpzA1VsSck7HUczW+g2omnRde4CtzMTWW6xIVvyvNTGwTa6wTjHFdYvGGqJzsMYlVrdKNzphfef7j5ppU"
        "vCo9jkDn0ks763YBbdo0TejXNrsdz9CrereldpkSN3MYjMSgijf849kV1sO6dF2OLDWVEywfFzPsKMoGQp7nFVVzfH+qBmEXRrd9xbHg"
        "WgY+YVLBlj948JoKiBOoTrS8mIY6n0xfRO6S9zqQBilVEdSQrxBWsUXBZLJ1z6T0z9O9aKZAse4DbqFD9+Ld0xKVbTyugvTRqg9nBMLr"
        "Xf2tGf9dA2BgN2kJ+ZrKhW5EuBvfdd46phGKBkp0dhVZ1QPZXWJfv6pHrd+zPGZAN8xlyGK2ERel8nRkOYE4yCJfMIHK1w7o5jSkO039"
        "amrd4gfXyuXX7Hh7ydEDkUUM5EgDSS9QXsuBmN/pAhMAgnQihmwYkSy46glSF1eXcpxzCaFrx99WWCFfLVoM0NHGz9wZJDjw/ERsN5UI"
        "t7Me/P7Qgah0YGIaxUaJ+3y6Ro//ED6/1VrbY3t4+wI7jDDNfv6LWzxaP88e2gbwd2M5XMSVDLc9wS6LSPbTbMyQQFVfmIgiaauE+cFd"
        "DGYPrkr5FKarr9QMRZ+SXI+sMaKO47gFel8TTDSG84P+f2+Mqa49TXiSDwTKr6KskLut9Zw4I3OHiIh5y6QyMxzEKxeR1BiI60wStujx"
        "7tgjPp4UAyfG5RZ1eSc944XKkeDAqdadk1oxwbBw+bdMwvil2jOVzf4AEwt/9tTVZKc8cumvLVKbkok7lPzWhYuRoJ5dkMiP5KU4yMat"
        "Qoo0UWtOlIzd6JJ2m+E3pa0fjtY+WToTiFECEK49ZJPtMllRnnOQ3MRe2Hln/AsYmu1DKEGBAj5wsIKnKwNlk/onx2/UiFVpqXR1KbL3"
        "62y/sQxNzQgQWbIWVJ3cvUyW3CMz3meYjYYyogcN4HKTFun1ZbGidkhu/553/vq5Q6mrllcVzjbpn+Gs7pgblp7OB75L4TraWfTZPj21"
        "RrOQCkiD92QYM98xDDRRJ5UYL9Ttzzsn9Kl0wOWkQHWhdZ3GsZYUKxLhT++ZT6y/VuzLByOBGQy6w+xKI3oK7mOpi5BAACaLQUUSNIep"
        "JEbXCKKq61JKT1hX2gXN9pi4j3mpkBXR1VqCQ+HRnrnoTRmmvELgQmVkIBS2Gj1jrUiApH/VcavpZyxznAbnwTvdB4oo8j52NwcPvJUd"
        "hnVsiMQc1dVy6pm0STud00U9SxO+rFUHazd1MiRGxgcPy5Rwk6hy7Pp5TV8D5ZRSHI8pIqUphZkpKRFG",
    ),
    ("x", "Strict"): (
        "cde773e883d770c64fa70ef9cb8a7936",
        "fl1:x:cde773e883d770c64fa70ef9cb8a7936:sUWFjV9XsVI1uiF4Z6xK+pssOjjwpH5w594fV6GTqwp1oD8/8WZYil72L2VDikfsd"
        "9LyBM3lU1JNzlDTGOwUYpIfNSflEIKIouQr123XS6Bwypluk/4cjh3ma++CAkgpTQQsmU17KtJvurgEUz+7dA==",
    ),
    ("x", "Namespace"): (
        "cde773e883d770c64fa70ef9cb8a7936",
        "fl1:x:cde773e883d770c64fa70ef9cb8a7936:Q3b9laHBbM211JBsUUjxGCdLex7T5+efGt4H5fPe0hrbCTftkGijWWJsGVSqlUIIF"
        "BtiRF+3a1TGRbq2d1iwxeiCzDkpvw3j8TeuQWNIkOZM21BURvgBtvKBZu1+7bpjKFUVLJsi3n2mOzHvRQYgbw==",
    ),
    ("x", "Cluster"): (
        "cde773e883d770c64fa70ef9cb8a7936",
        "fl1:x:cde773e883d770c64fa70ef9cb8a7936:bJR2uQCFA3fTktHy+iVGz2RCgRRbKK/ISKGdVhnwhX0yWnm35nSvATNhEYQ7kMm4g"
        "aU1xr6GchlvhgeLCr/IXtzeyEsyvG2H4ZtcOHNA1qQKIdwYe5bkMvanqDxh6oCMQDqsE5N77dUy3RL70ps7LA==",
    ),
}


@pytest.mark.parametrize(("suite", "scope"), sorted(RECORDED))
def test_an_envelope_that_was_recorded_opens_in_every_version(suite: str, scope: str) -> None:
    """A failure here means that nobody's sealed values open any more: a new format needs a new name, not a new vector."""
    kid, text = RECORDED[suite, scope]
    private, place = PrivateKey(suite, RECORDED_SEED), Place(Scope(scope), "shop", "db", "password")

    sealed = envelopes.parse(text)

    assert (private.kid, sealed.kid) == (kid, kid)
    assert unseal(private, sealed, place) == Opened(b"correct horse battery staple", 1_700_000_000)
    about = envelopes.info(suite, kid, place)
    assert b"correct horse" in hpke.unseal(KEMS[suite], hpke.AES_256_GCM, RECORDED_SEED, about, b"", sealed.body)
