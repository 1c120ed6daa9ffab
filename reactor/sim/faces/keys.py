"""API keys: who signs, with what, and whether the signature and the clock of a request are right.

HMAC-SHA-256 (hex, any case), Ed25519 (base64 of the raw 64 bytes) and RSA (PKCS1-v1_5 with SHA-256, base64) as on the venue.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from reactor.sim.faces.refusal import AHEAD_OF_TIME, BAD_KEY, BAD_KEY_FORMAT, BAD_SIGNATURE, OUTSIDE_WINDOW, VenueError
from reactor.sim.faces.request import MICROSECONDS_FROM, Params, missing

if TYPE_CHECKING:
    from reactor.sim.faces.signatures import PublicKey

RECV_WINDOW_MS_DEFAULT: Final = 5000
RECV_WINDOW_MS_MAX: Final = 60_000
AHEAD_MS_MAX: Final = 1000

# "timestamp < serverTime + 1000 and serverTime - timestamp <= recvWindow"; recvWindow with up to three decimals.
_RECV_WINDOW = re.compile(r"^[0-9]{1,5}(\.[0-9]{1,3})?$")
_API_KEY = re.compile(r"^[A-Za-z0-9_-]{1,128}$")
_HEX_SIGNATURE = re.compile(r"^[A-Fa-f0-9]{64}$")


class KeyKind(Enum):
    """How a key signs."""

    HMAC = "HMAC"
    ED25519 = "Ed25519"
    RSA = "RSA"


@dataclass(frozen=True)
class ApiKey:
    """One key. `secret` is the HMAC secret, or the PEM of the public key."""

    api_key: str
    secret: str
    account: int = 0  # whose: index of the account at the exchange
    kind: KeyKind = KeyKind.HMAC


# What a client uses who was told nothing. Not secret, and good for nothing but the simulated exchange.
# The Ed25519 key belongs to account 0; its private half: signatures.py.
DEFAULT_PUBLIC_PEM: Final = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAlQzn27uZ+Sqn2lAi4gGRx/u6frg2rOfm4QQITD97Wko=
-----END PUBLIC KEY-----
"""
DEFAULT_KEYS: Final = (
    ApiKey("test-key", "test-secret", 0),
    ApiKey("test-key-2", "test-secret-2", 1),
    ApiKey("test-key-ed25519", DEFAULT_PUBLIC_PEM, 0, KeyKind.ED25519),
)


class Keyring:
    """All keys of the exchange."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._public: dict[str, PublicKey] = {}
        for key in keys:
            self.add(key)

    def add(self, key: ApiKey) -> None:
        """Adds or replaces a key.

        Raises:
            ValueError: the PEM is not a public key of that kind.
        """
        self._keys[key.api_key] = key
        self._public.pop(key.api_key, None)
        is_known_good = key.kind is KeyKind.HMAC or (key.kind is KeyKind.ED25519 and key.secret == DEFAULT_PUBLIC_PEM)
        if not is_known_good:
            self._public_half(key)

    def revoke(self, api_key: str) -> None:
        """Forgets a key."""
        self._keys.pop(api_key, None)
        self._public.pop(api_key, None)

    def find(self, api_key: str | None) -> ApiKey:
        """The key of that name: -2014 if there is none in the request, -2015 if it is nobody's."""
        if not api_key or not _API_KEY.match(api_key):
            raise VenueError(*BAD_KEY_FORMAT, status=401)
        key = self._keys.get(api_key)
        if key is None:
            raise VenueError(*BAD_KEY, status=401)
        return key

    def check(self, key: ApiKey, params: Params, now_ns: int) -> None:
        """Refuses a request whose clock or signature is wrong. The clock is looked at first, as on the venue."""
        signature = params.values.get("signature")
        if not signature:
            raise missing("signature")
        check_clock(params, now_ns)
        if not self._is_signed(key, params.payload.encode(), signature):
            raise VenueError(*BAD_SIGNATURE)

    def check_clock(self, params: Params, now_ns: int) -> None:
        """Refuses a request of a logged-on session whose `timestamp` is missing or wrong."""
        check_clock(params, now_ns)

    def _is_signed(self, key: ApiKey, payload: bytes, signature: str) -> bool:
        if key.kind is KeyKind.HMAC:
            if not _HEX_SIGNATURE.match(signature):
                return False
            digest = hmac.new(key.secret.encode(), payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(digest, signature.lower())
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        from reactor.sim.faces.signatures import is_signed  # Here, because cryptography comes with it.

        return is_signed(self._public_half(key), raw, payload)

    def _public_half(self, key: ApiKey) -> "PublicKey":
        public = self._public.get(key.api_key)
        if public is None:
            from reactor.sim.faces.signatures import public_key

            public = self._public[key.api_key] = public_key(key)
        return public


def check_clock(params: Params, now_ns: int) -> None:
    """`timestamp` (ms or µs) against the exchange's clock and `recvWindow`."""
    stamp = params.integer("timestamp")
    stamp_us = stamp if stamp >= MICROSECONDS_FROM else stamp * 1000
    window_text = params.optional("recvWindow", str(RECV_WINDOW_MS_DEFAULT))
    if not _RECV_WINDOW.match(window_text):
        raise VenueError(
            -1100, "Illegal characters found in parameter 'recvWindow'; legal range is '^[0-9]{1,5}(\\.[0-9]{1,3})?$'."
        )
    window_us = int(Decimal(window_text) * 1000)
    if window_us > RECV_WINDOW_MS_MAX * 1000:
        raise VenueError(-1131, "recvWindow must be less than 60000")
    now_us = now_ns // 1000
    # A millisecond stamp is compared with a millisecond clock, or a request of this very instant would look late or early.
    if stamp < MICROSECONDS_FROM:
        now_us = now_us // 1000 * 1000
    if stamp_us >= now_us + AHEAD_MS_MAX * 1000:
        raise VenueError(*AHEAD_OF_TIME)
    if now_us - stamp_us > window_us:
        raise VenueError(*OUTSIDE_WINDOW)
