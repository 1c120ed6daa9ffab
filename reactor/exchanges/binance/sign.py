"""How Binance wants requests signed. Pure.

REST: the query string exactly as sent, percent-encoded *before* signing (since 2026-01-15), `signature` last.
WebSocket API: no percent-encoding; parameters without `signature`, sorted by name, joined `k=v&k=v`.
HMAC-SHA256 answers hex; Ed25519 answers base64 of the raw 64 bytes, which a URL must percent-encode.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from reactor.domain.errors import ConfigError
from reactor.exchanges.venue import Credentials, KeyKind

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_BLOCK_BYTES = 64  # SHA-256's block: a shorter HMAC key is padded to it, a longer one is hashed first.


class Signer(Protocol):
    """Signs a payload with one key. `has_logon`: the key may authenticate a whole session (`session.logon`)."""

    has_logon: bool

    def sign(self, payload: bytes | memoryview) -> bytes:
        """The signature as WebSocket parameters carry it."""

    def sign_url(self, payload: bytes) -> str:
        """The signature as a query string carries it."""


class HmacSigner:
    """HMAC-SHA256 with both pads hashed once: about 0.7 µs a signature, 1.7 µs less than hmac.digest (OpenSSL 3)."""

    has_logon = False

    def __init__(self, secret: bytes) -> None:
        key = (hashlib.sha256(secret).digest() if len(secret) > _BLOCK_BYTES else secret).ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def sign(self, payload: bytes | memoryview) -> bytes:
        """64 lower-case hex digits."""
        inner = self._inner.copy()
        inner.update(payload)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest().encode()

    def sign_url(self, payload: bytes) -> str:
        """The same: hex needs no encoding."""
        return self.sign(payload).decode()

    def __repr__(self) -> str:
        return "HmacSigner(secret hidden)"


class Ed25519Signer:
    """Ed25519, about 40 µs a signature: sessions therefore log on once and sign nothing afterwards."""

    has_logon = True

    def __init__(self, private_key: "Ed25519PrivateKey") -> None:
        self._private_key = private_key

    def sign(self, payload: bytes | memoryview) -> bytes:
        """88 base64 characters."""
        return base64.b64encode(self._private_key.sign(bytes(payload)))

    def sign_url(self, payload: bytes) -> str:
        """Base64 has characters that a URL would read otherwise."""
        return quote(self.sign(payload).decode(), safe="")

    def __repr__(self) -> str:
        return "Ed25519Signer(key hidden)"


def signer_of(credentials: Credentials) -> Signer:
    """The signer of a key.

    Raises:
        ConfigError: the private key cannot be read; the sentence names the key, never the secret.
    """
    if credentials.kind is KeyKind.HMAC:
        return HmacSigner(credentials.secret.encode())
    # Here, because it is 7 MB that nobody needs for an HMAC key.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(credentials.secret.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(
            f"{credentials}: the private key is not readable PEM; use an unencrypted PKCS#8 Ed25519 key as Binance made it"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"{credentials}: the private key is {type(key).__name__}; session logon needs Ed25519 (or use an HMAC key)"
        )
    return Ed25519Signer(key)


def rest_payload(parameters: Mapping[str, str | int]) -> str:
    """The query string to send and to sign: given order, values percent-encoded."""
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items())


def socket_payload(parameters: Mapping[str, str | int]) -> bytes:
    """The bytes the WebSocket API wants signed: sorted by name, not encoded."""
    return "&".join(f"{name}={parameters[name]}" for name in sorted(parameters)).encode()


def signed_query(signer: Signer, parameters: Mapping[str, str | int]) -> str:
    """The whole query string with its signature last."""
    payload = rest_payload(parameters)
    return f"{payload}&signature={signer.sign_url(payload.encode())}"
