"""HPKE in base mode, written from the standards in plain Python, to hold Fairlead's envelopes to: it shares no code with
Fairlead nor with the library that Fairlead uses. Slow, and not in constant time: for tests alone.

X25519: RFC 7748. HKDF: RFC 5869. HPKE: RFC 9180. ML-KEM-768: FIPS 203. X-Wing: draft-connolly-cfrg-xwing-kem. AES: FIPS 197,
in GCM: NIST SP 800-38D.
"""

import hashlib
import hmac
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

# ---------------------------------------------------------------- X25519 (RFC 7748, 5)

_P = 2**255 - 19
BASE_POINT = (9).to_bytes(32, "little")


def x25519(scalar: bytes, point: bytes) -> bytes:
    """The Montgomery ladder."""
    k = int.from_bytes(scalar, "little") & ~(7 | 128 << 248) | 64 << 248
    u = int.from_bytes(point, "little") % 2**255
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % _P, b * b % _P, d * a % _P, c * b % _P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % _P, u * (da - cb) ** 2 % _P
        x2, z2 = aa * bb % _P, e * (aa + 121665 * e) % _P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, _P - 2, _P) % _P).to_bytes(32, "little")


# ---------------------------------------------------------------- ML-KEM-768 (FIPS 203)

_Q, _K, _DU, _DV = 3329, 3, 10, 4
Poly = list[int]


def _bit_reversed(i: int) -> int:
    return int(f"{i:07b}"[::-1], 2)


_ZETAS = [pow(17, _bit_reversed(i), _Q) for i in range(128)]
_GAMMAS = [pow(17, 2 * _bit_reversed(i) + 1, _Q) for i in range(128)]


def _ntt(f: Poly) -> Poly:
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            zeta = _ZETAS[i]
            i += 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % _Q
                f[j], f[j + length] = (f[j] + t) % _Q, (f[j] - t) % _Q
        length //= 2
    return f


def _from_ntt(f: Poly) -> Poly:
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            zeta = _ZETAS[i]
            i -= 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % _Q, zeta * (f[j + length] - t) % _Q
        length *= 2
    return [x * 3303 % _Q for x in f]


def _product(f: Poly, g: Poly) -> Poly:
    h: Poly = []
    for i, gamma in enumerate(_GAMMAS):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a0 * b0 + a1 * b1 * gamma) % _Q, (a0 * b1 + a1 * b0) % _Q]
    return h


def _sum(*polynomials: Poly) -> Poly:
    return [sum(column) % _Q for column in zip(*polynomials, strict=True)]


def _pack(f: Poly, bits: int) -> bytes:
    return sum(x << bits * i for i, x in enumerate(f)).to_bytes(32 * bits, "little")


def _unpack(data: bytes, bits: int) -> Poly:
    number = int.from_bytes(data, "little")
    return [number >> bits * i & (1 << bits) - 1 for i in range(256)]


def _compressed(f: Poly, bits: int) -> Poly:
    return [((x << bits + 1) + _Q) // (2 * _Q) % (1 << bits) for x in f]


def _decompressed(f: Poly, bits: int) -> Poly:
    return [(x * _Q * 2 + (1 << bits)) >> bits + 1 for x in f]


def _sample_ntt(seed: bytes) -> Poly:
    stream, f = hashlib.shake_128(seed).digest(1344), []
    for i in range(0, len(stream), 3):
        low = stream[i] + 256 * (stream[i + 1] % 16)
        high = stream[i + 1] // 16 + 16 * stream[i + 2]
        f += [x for x in (low, high) if x < _Q]
    assert len(f) >= 256
    return f[:256]


def _sample_noise(seed: bytes, n: int) -> Poly:
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([n])).digest(128), "little")
    return [
        ((bits >> 4 * i & 1) + (bits >> 4 * i + 1 & 1) - (bits >> 4 * i + 2 & 1) - (bits >> 4 * i + 3 & 1)) % _Q
        for i in range(256)
    ]


def _matrix(rho: bytes) -> list[list[Poly]]:
    return [[_sample_ntt(rho + bytes([j, i])) for j in range(_K)] for i in range(_K)]


def _g(data: bytes) -> tuple[bytes, bytes]:
    digest = hashlib.sha3_512(data).digest()
    return digest[:32], digest[32:]


def mlkem_keys(seed: bytes) -> tuple[bytes, bytes]:
    """(encapsulation key, decapsulation key) of the 64 bytes d || z: ML-KEM.KeyGen_internal."""
    d, z = seed[:32], seed[32:]
    rho, sigma = _g(d + bytes([_K]))
    a = _matrix(rho)
    s = [_ntt(_sample_noise(sigma, n)) for n in range(_K)]
    e = [_ntt(_sample_noise(sigma, _K + n)) for n in range(_K)]
    t = [_sum(e[i], *(_product(a[i][j], s[j]) for j in range(_K))) for i in range(_K)]
    public = b"".join(_pack(one, 12) for one in t) + rho
    private = b"".join(_pack(one, 12) for one in s)
    return public, private + public + hashlib.sha3_256(public).digest() + z


def _pke_encrypt(public: bytes, message: bytes, randomness: bytes) -> bytes:
    t = [_unpack(public[384 * i : 384 * (i + 1)], 12) for i in range(_K)]
    a = _matrix(public[384 * _K :])
    y = [_ntt(_sample_noise(randomness, n)) for n in range(_K)]
    e1 = [_sample_noise(randomness, _K + n) for n in range(_K)]
    e2 = _sample_noise(randomness, 2 * _K)
    u = [_sum(e1[i], _from_ntt(_sum(*(_product(a[j][i], y[j]) for j in range(_K))))) for i in range(_K)]
    mu = _decompressed(_unpack(message, 1), 1)
    v = _sum(_from_ntt(_sum(*(_product(t[i], y[i]) for i in range(_K)))), e2, mu)
    return b"".join(_pack(_compressed(one, _DU), _DU) for one in u) + _pack(_compressed(v, _DV), _DV)


def mlkem_encapsulate(public: bytes, m: bytes) -> tuple[bytes, bytes]:
    """(shared secret, ciphertext) with the randomness given: ML-KEM.Encaps_internal."""
    shared, randomness = _g(m + hashlib.sha3_256(public).digest())
    return shared, _pke_encrypt(public, m, randomness)


def mlkem_decapsulate(private: bytes, ciphertext: bytes) -> bytes:
    """ML-KEM.Decaps_internal, implicit rejection included."""
    end = 384 * _K
    s = [_unpack(private[384 * i : 384 * (i + 1)], 12) for i in range(_K)]
    public, h, z = private[end : 2 * end + 32], private[2 * end + 32 : 2 * end + 64], private[2 * end + 64 :]
    u = [_decompressed(_unpack(ciphertext[320 * i : 320 * (i + 1)], _DU), _DU) for i in range(_K)]
    v = _decompressed(_unpack(ciphertext[320 * _K :], _DV), _DV)
    inner = _from_ntt(_sum(*(_product(s[i], _ntt(u[i])) for i in range(_K))))
    m = _pack(_compressed([(x - w) % _Q for x, w in zip(v, inner, strict=True)], 1), 1)
    shared, randomness = _g(m + h)
    if _pke_encrypt(public, m, randomness) != ciphertext:
        return hashlib.shake_256(z + ciphertext).digest(32)
    return shared


# ---------------------------------------------------------------- AES-GCM (FIPS 197, SP 800-38D)


@cache
def _s_box() -> list[int]:
    box, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= (p << 1) & 0xFF ^ (0x1B if p & 0x80 else 0)  # times 3
        q ^= q << 1
        q ^= q << 2
        q = (q ^ q << 4) & 0xFF
        q ^= 0x09 if q & 0x80 else 0  # divided by 3
        rotated = [(q << n | q >> 8 - n) & 0xFF for n in range(5)]
        box[p] = rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63
        if p == 1:
            return box


def _times2(x: int) -> int:
    return (x << 1) & 0xFF ^ (0x1B if x & 0x80 else 0)


def _round_keys(key: bytes) -> list[bytes]:
    words, n = [key[i : i + 4] for i in range(0, len(key), 4)], len(key) // 4
    box, rcon = _s_box(), 1
    for i in range(n, 4 * (n + 7)):
        word = words[-1]
        if i % n == 0:
            word = bytes(box[b] for b in word[1:] + word[:1])
            word, rcon = bytes([word[0] ^ rcon]) + word[1:], _times2(rcon)
        elif n > 6 and i % n == 4:
            word = bytes(box[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(words[-n], word, strict=True)))
    return [b"".join(words[i : i + 4]) for i in range(0, len(words), 4)]


def _aes_block(keys: list[bytes], block: bytes) -> bytes:
    box = _s_box()
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for number, key in enumerate(keys[1:], 1):
        state = [box[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]  # SubBytes and ShiftRows
        if number < len(keys) - 1:
            mixed = []
            for column in range(0, 16, 4):
                a = state[column : column + 4]
                every = a[0] ^ a[1] ^ a[2] ^ a[3]
                mixed += [a[i] ^ every ^ _times2(a[i] ^ a[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, key, strict=True)]
    return bytes(state)


def _times_h(x: int, h: int) -> int:
    z = 0
    for i in reversed(range(128)):
        if x >> i & 1:
            z ^= h
        h = h >> 1 ^ (0xE1 << 120 if h & 1 else 0)
    return z


def _tag(keys: list[bytes], nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    h, y = int.from_bytes(_aes_block(keys, bytes(16)), "big"), 0
    padded = b"".join(data + bytes(-len(data) % 16) for data in (aad, ciphertext))
    padded += (8 * len(aad)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    for i in range(0, len(padded), 16):
        y = _times_h(y ^ int.from_bytes(padded[i : i + 16], "big"), h)
    return (y ^ int.from_bytes(_aes_block(keys, nonce + (1).to_bytes(4, "big")), "big")).to_bytes(16, "big")


def _ctr(keys: list[bytes], nonce: bytes, data: bytes) -> bytes:
    blocks = range(-(-len(data) // 16))
    stream = b"".join(_aes_block(keys, nonce + (2 + i).to_bytes(4, "big")) for i in blocks)
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))


def gcm_encrypt(key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
    keys = _round_keys(key)
    ciphertext = _ctr(keys, nonce, plaintext)
    return ciphertext + _tag(keys, nonce, aad, ciphertext)


def gcm_decrypt(key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
    """ValueError where the tag does not fit."""
    keys, ciphertext = _round_keys(key), sealed[:-16]
    if _tag(keys, nonce, aad, ciphertext) != sealed[-16:]:
        raise ValueError("the tag does not fit")
    return _ctr(keys, nonce, ciphertext)


# ---------------------------------------------------------------- HPKE, base mode (RFC 9180)


class Kem(NamedTuple):
    """id, and how a shared secret is had: by a sender with its randomness, by the recipient."""

    id: int
    public: Callable[[bytes], bytes]
    encapsulate: Callable[[bytes, bytes], tuple[bytes, bytes]]
    decapsulate: Callable[[bytes, bytes], bytes]


def _extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    block = output = b""
    for i in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + labelled + bytes([i]), "sha256")
        output += block
    return output[:length]


def _dhkem_secret(dh: bytes, context: bytes) -> bytes:
    suite = b"KEM" + (0x20).to_bytes(2, "big")
    return _expand(suite, _extract(suite, b"", b"eae_prk", dh), b"shared_secret", context, 32)


def _dhkem_public(private: bytes) -> bytes:
    return x25519(private, BASE_POINT)


def _dhkem_encapsulate(public: bytes, ephemeral: bytes) -> tuple[bytes, bytes]:
    enc = _dhkem_public(ephemeral)
    return _dhkem_secret(x25519(ephemeral, public), enc + public), enc


def _dhkem_decapsulate(private: bytes, enc: bytes) -> bytes:
    return _dhkem_secret(x25519(private, enc), enc + _dhkem_public(private))


def _xwing_expanded(seed: bytes) -> tuple[bytes, bytes, bytes]:
    expanded = hashlib.shake_256(seed).digest(96)
    public, private = mlkem_keys(expanded[:64])
    return public, private, expanded[64:]


def _xwing_public(seed: bytes) -> bytes:
    public, _, curve = _xwing_expanded(seed)
    return public + x25519(curve, BASE_POINT)


def _xwing_combined(lattice: bytes, curve: bytes, curve_enc: bytes, curve_public: bytes) -> bytes:
    return hashlib.sha3_256(lattice + curve + curve_enc + curve_public + rb"\.//^" + b"\\").digest()


def _xwing_encapsulate(public: bytes, randomness: bytes) -> tuple[bytes, bytes]:
    lattice, lattice_enc = mlkem_encapsulate(public[:1184], randomness[:32])
    curve_enc = x25519(randomness[32:], BASE_POINT)
    curve = x25519(randomness[32:], public[1184:])
    return _xwing_combined(lattice, curve, curve_enc, public[1184:]), lattice_enc + curve_enc


def _xwing_decapsulate(seed: bytes, enc: bytes) -> bytes:
    _, private, curve_private = _xwing_expanded(seed)
    lattice = mlkem_decapsulate(private, enc[:1088])
    curve = x25519(curve_private, enc[1088:])
    return _xwing_combined(lattice, curve, enc[1088:], x25519(curve_private, BASE_POINT))


DHKEM = Kem(0x0020, _dhkem_public, _dhkem_encapsulate, _dhkem_decapsulate)
XWING = Kem(0x647A, _xwing_public, _xwing_encapsulate, _xwing_decapsulate)
AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305 = 1, 2, 3
_KEY_LENGTH = {AES_128_GCM: 16, AES_256_GCM: 32, CHACHA20_POLY1305: 32}


def key_schedule(kem: Kem, aead: int, shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """(key, base nonce) in base mode, with HKDF-SHA256."""
    suite = b"HPKE" + kem.id.to_bytes(2, "big") + (1).to_bytes(2, "big") + aead.to_bytes(2, "big")
    context = b"\0" + _extract(suite, b"", b"psk_id_hash", b"") + _extract(suite, b"", b"info_hash", info)
    secret = _extract(suite, shared, b"secret", b"")
    return _expand(suite, secret, b"key", context, _KEY_LENGTH[aead]), _expand(
        suite, secret, b"base_nonce", context, 12
    )


def seal(kem: Kem, aead: int, public: bytes, info: bytes, aad: bytes, plaintext: bytes, randomness: bytes) -> bytes:
    """enc || ct, single shot. `aead`: one of AES's."""
    shared, enc = kem.encapsulate(public, randomness)
    key, nonce = key_schedule(kem, aead, shared, info)
    return enc + gcm_encrypt(key, nonce, aad, plaintext)


def unseal(kem: Kem, aead: int, private: bytes, info: bytes, aad: bytes, body: bytes) -> bytes:
    """The plaintext of enc || ct. ValueError where it does not open."""
    length = 32 if kem is DHKEM else 1120
    key, nonce = key_schedule(kem, aead, kem.decapsulate(private, body[:length]), info)
    return gcm_decrypt(key, nonce, aad, body[length:])
