"""Keys of which the exchange knows the public half only: Ed25519 (base64 of the raw 64 bytes) and RSA (PKCS1-v1_5, SHA-256).

Imported when such a key is used: cryptography is 7 MB, and whoever signs with HMAC needs none of it.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_public_key

from reactor.sim.faces.keys import ApiKey, KeyKind

PublicKey = Ed25519PublicKey | RSAPublicKey

# The private half of the Ed25519 key in keys.DEFAULT_KEYS is made of this seed.
ED25519_SEED: Final = b"crypto_trade simulated exchange!"
DEFAULT_PRIVATE_KEY: Final = Ed25519PrivateKey.from_private_bytes(ED25519_SEED)
DEFAULT_PRIVATE_PEM: Final = DEFAULT_PRIVATE_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_key(key: ApiKey) -> PublicKey:
    """The public half of a key.

    Raises:
        ValueError: the PEM is not a public key of that kind.
    """
    public = load_pem_public_key(key.secret.encode())
    expected = Ed25519PublicKey if key.kind is KeyKind.ED25519 else RSAPublicKey
    if not isinstance(public, expected):
        raise ValueError(f"key {key.api_key}: the PEM is not a public {key.kind.value} key")
    return public


def is_signed(public: PublicKey, signature: bytes, payload: bytes) -> bool:
    """The private half has signed exactly these bytes."""
    try:
        if isinstance(public, Ed25519PublicKey):
            public.verify(signature, payload)
        else:
            public.verify(signature, payload, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
