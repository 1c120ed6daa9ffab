"""Signatures made in C are those of hashlib, whatever the key and the text."""

import hashlib
import hmac
import random
from collections.abc import Iterator

import pytest

from reactor._native import lib
from reactor.exchanges.binance.requests import HmacKey


@pytest.fixture(params=["by hardware", "plainly"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    lib.hmac_forbid_hardware(request.param == "plainly")
    yield
    lib.hmac_forbid_hardware(0)


def test_it_signs_as_binances_own_example_does() -> None:
    key = HmacKey(b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
    payload = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    assert key.sign(payload) == b"c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


@pytest.mark.parametrize("size", [*range(54, 67), 118, 119, 120, 127, 128, 129])
def test_sizes_at_the_edges_of_a_block_are_signed_like_any_other(size: int) -> None:
    for secret_size in (1, 63, 64, 65, 200):
        secret, payload = b"s" * secret_size, b"p" * size
        assert HmacKey(secret).sign(payload) == hmac.digest(secret, payload, hashlib.sha256).hex().encode()


def test_it_agrees_with_hashlib_on_anything() -> None:
    chance = random.Random(7)
    for _ in range(500):
        secret, payload = chance.randbytes(chance.randrange(150)), chance.randbytes(chance.randrange(700))
        assert HmacKey(secret).sign(payload) == hmac.digest(secret, payload, hashlib.sha256).hex().encode()


def test_a_key_does_not_show_its_secret() -> None:
    assert "secret" in repr(HmacKey(b"abcdef"))
    assert "abcdef" not in repr(HmacKey(b"abcdef"))
