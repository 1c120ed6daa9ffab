"""Signatures, against the venue's published vectors and against the standard library."""

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from reactor.domain.errors import ConfigError
from reactor.exchanges.binance.sign import HmacSigner, rest_payload, signed_query, signer_of, socket_payload
from reactor.exchanges.venue import Credentials, KeyKind

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


def pem(key: object) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[attr-defined, no-any-return]


def test_the_rest_vector_of_the_venue() -> None:
    parameters = {"symbol": "LTCBTC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 1, "price": "0.1"}
    query = signed_query(HmacSigner(SECRET.encode()), {**parameters, "recvWindow": 5000, "timestamp": 1499827319559})
    assert query.endswith("&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71")
    assert query.startswith("symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=")


def test_the_socket_vector_of_the_venue_whatever_the_order_of_parameters() -> None:
    parameters = {"type": "LIMIT", "timestamp": 1645423376532, "apiKey": API_KEY, "price": "52000.00", "quantity": "0.01000000"}
    payload = socket_payload({**parameters, "recvWindow": 100, "side": "SELL", "symbol": "BTCUSDT", "timeInForce": "GTC"})
    assert HmacSigner(SECRET.encode()).sign(payload) == b"aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"


@given(secret=st.binary(min_size=0, max_size=200), payload=st.binary(max_size=400))
def test_hashed_pads_sign_as_hmac_does(secret: bytes, payload: bytes) -> None:
    signer = HmacSigner(secret)
    expected = hmac.new(secret, payload, hashlib.sha256).hexdigest().encode()
    assert signer.sign(payload) == expected
    assert signer.sign(payload) == expected  # The pads survive a signature.


def test_rest_values_are_percent_encoded_before_they_are_signed() -> None:
    assert (
        rest_payload({"symbol": "币安USDT", "note": "a b/c&d=e+f"})
        == "symbol=%E5%B8%81%E5%AE%89USDT&note=a%20b%2Fc%26d%3De%2Bf"
    )


def test_an_ed25519_key_signs_raw_base64_and_its_url_form_is_encoded() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signer = signer_of(Credentials("key", pem(key)))
    assert signer.has_logon
    signature = signer.sign(b"payload")
    key.public_key().verify(base64.b64decode(signature), b"payload")
    for number in range(50):
        assert not set("+/=") & set(signer.sign_url(b"%d" % number))


def test_a_key_that_cannot_be_used_is_refused_without_showing_it() -> None:
    broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"
    rsa = pem(generate_private_key(65537, 2048))
    for secret in (broken, rsa):
        with pytest.raises(ConfigError) as caught:
            signer_of(Credentials("abcdefghijkl", secret))
        assert "c2VjcmV0" not in str(caught.value)
        assert rsa[40:80] not in str(caught.value)


def test_credentials_never_show_their_secret() -> None:
    credentials = Credentials("abcdefghijkl", "top-secret", "pass-phrase")
    signer = signer_of(credentials)
    for text in (repr(credentials), str(credentials), f"{credentials!r}", repr(signer), repr({"key": credentials})):
        assert "top-secret" not in text
        assert "pass-phrase" not in text
        assert "abcdefghijkl" not in text
    assert credentials.kind is KeyKind.HMAC
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(credentials)
