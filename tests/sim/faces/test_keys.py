"""Signatures and clocks: the venue's own vectors, three kinds of keys, and the edges of the time window."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from reactor.sim.faces.keys import DEFAULT_PUBLIC_PEM, ApiKey, KeyKind, Keyring
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, Params

Client = Any
VECTOR_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
VECTOR_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
REST_PAYLOAD = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
REST_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
REST_NOW_NS = 1_499_827_319_560_000_000


def params_of(query: str = "", body: str = "") -> Params:
    return Params.of_request(HttpRequest("POST", "/api/v3/order", query, {}, body.encode()))


def refusal(keyring: Keyring, key: ApiKey, params: Params, now_ns: int) -> int:
    """The code of the refusal, 0 if it was accepted."""
    try:
        keyring.check(key, params, now_ns)
    except VenueError as error:
        return error.code
    return 0


@pytest.fixture
def vector() -> tuple[Keyring, ApiKey]:
    key = ApiKey(VECTOR_KEY, VECTOR_SECRET)
    return Keyring([key]), key


@pytest.mark.parametrize("cut", [0, 3, 8], ids=["all in the body", "mixed", "all in the query"])
def test_the_venues_rest_vector_is_accepted_wherever_the_parameters_stand(vector: Any, cut: int) -> None:
    keyring, key = vector
    parts = REST_PAYLOAD.split("&")
    query, body = "&".join(parts[:cut]), "&".join(parts[cut:])
    # The payload is query + body without a separator, so a mixed request has a signature of its own.
    signature = hmac.new(VECTOR_SECRET.encode(), (query + body).encode(), hashlib.sha256).hexdigest()
    assert (signature == REST_SIGNATURE) == (cut in (0, 8))
    body = f"{body}&signature={signature}" if body else body
    query = query if body else f"{query}&signature={signature}"
    assert refusal(keyring, key, params_of(query, body), REST_NOW_NS) == 0


def test_hex_is_accepted_in_any_case_and_a_wrong_digit_is_not(vector: Any) -> None:
    keyring, key = vector
    assert refusal(keyring, key, params_of(f"{REST_PAYLOAD}&signature={REST_SIGNATURE.upper()}"), REST_NOW_NS) == 0
    wrong = REST_SIGNATURE.replace("c8", "c9")
    assert refusal(keyring, key, params_of(f"{REST_PAYLOAD}&signature={wrong}"), REST_NOW_NS) == -1022
    assert refusal(keyring, key, params_of(f"{REST_PAYLOAD}&signature=short"), REST_NOW_NS) == -1022
    assert refusal(keyring, key, params_of(REST_PAYLOAD), REST_NOW_NS) == -1102


def test_the_signature_may_stand_anywhere(vector: Any) -> None:
    keyring, key = vector
    assert refusal(keyring, key, params_of(f"signature={REST_SIGNATURE}&{REST_PAYLOAD}"), REST_NOW_NS) == 0


def test_the_venues_message_vector_is_accepted(vector: Any) -> None:
    keyring, key = vector
    params = Params.of_message(
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01000000",
            "price": "52000.00",
            "recvWindow": 100,
            "timestamp": 1645423376532,
            "apiKey": VECTOR_KEY,
            "signature": "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
        }
    )
    assert refusal(keyring, key, params, 1_645_423_376_533_000_000) == 0


@pytest.mark.parametrize(
    ("age_ms", "window", "code"),
    [
        (5000, None, 0),
        (5001, None, -1021),
        (-999, None, 0),
        (-1000, None, -1021),
        (100, "100", 0),
        (101, "100", -1021),
        (0, "60000", 0),
        (0, "60001", -1131),
        (0, "100.5", 0),
        (0, "1.2345", -1100),
        (0, "soon", -1100),
    ],
)
def test_the_time_window_is_the_venues(vector: Any, age_ms: int, window: str | None, code: int) -> None:
    keyring, key = vector
    now_ms = 1_700_000_000_000
    fields = {"timestamp": str(now_ms - age_ms)} | ({"recvWindow": window} if window else {})
    payload = urlencode(fields)
    signature = hmac.new(VECTOR_SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    assert refusal(keyring, key, params_of(f"{payload}&signature={signature}"), now_ms * 1_000_000) == code


def test_a_timestamp_may_be_in_microseconds(spot: Client) -> None:
    assert "code" not in spot.signed("GET", "openOrders", timestamp=spot.now_ns // 1_000)


def test_an_ed25519_key_signs_and_logs_on(spot: Client, private_pem: str) -> None:
    private = load_pem_private_key(private_pem.encode(), None)
    payload = f"timestamp={spot.now_ns // 1_000_000}"
    signature = quote(base64.b64encode(private.sign(payload.encode())).decode(), safe="")  # type: ignore[union-attr,call-arg]
    headers = {"x-mbx-apikey": "test-key-ed25519"}
    assert spot.raw("GET", "openOrders", f"{payload}&signature={signature}", headers=headers).status == 200
    lower = spot.raw("GET", "openOrders", f"{payload}&signature={signature.lower()}", headers=headers)
    assert lower.status == 400

    socket = spot.open("/ws-api/v3")
    params: dict[str, Any] = {"apiKey": "test-key-ed25519", "timestamp": spot.now_ns // 1_000_000}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = base64.b64encode(private.sign(text.encode())).decode()  # type: ignore[union-attr,call-arg]
    status = spot.call(socket, "session.logon", params)
    assert status["result"]["apiKey"] == "test-key-ed25519"
    assert status["result"]["authorizedSince"] == spot.now_ns // 1_000_000
    assert spot.call(socket, "userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    # After logon apiKey and signature may be left out; the timestamp stays mandatory.
    assert spot.call(socket, "openOrders.status")["error"]["code"] == -1102
    assert spot.call(socket, "openOrders.status", {"timestamp": spot.now_ns // 1_000_000})["result"] == []
    assert spot.call(socket, "session.status")["result"]["userDataStream"] is True
    assert spot.call(socket, "session.logout")["result"]["apiKey"] is None
    assert spot.call(socket, "openOrders.status", {"timestamp": spot.now_ns // 1_000_000})["error"]["code"] == -2014


def test_an_hmac_key_cannot_log_on_unless_allowed(spot: Client, make_spot: Callable[..., Client]) -> None:
    answer = spot.call(spot.open("/ws-api/v3"), "session.logon", signed=True)
    assert answer["error"]["code"] == -2028
    generous = make_spot(hmac_may_log_on=True)
    assert generous.call(generous.open("/ws-api/v3"), "session.logon", signed=True)["status"] == 200


def test_an_rsa_key_signs() -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = ApiKey("rsa", pem, 0, KeyKind.RSA)
    signature = base64.b64encode(private.sign(REST_PAYLOAD.encode(), padding.PKCS1v15(), SHA256())).decode()
    params = params_of(f"{REST_PAYLOAD}&signature={quote(signature, safe='')}")
    assert refusal(Keyring([key]), key, params, REST_NOW_NS) == 0


def test_a_missing_or_unknown_key_has_its_code_and_401(spot: Client) -> None:
    for headers, code in (({}, -2014), ({"x-mbx-apikey": "no key!"}, -2014), ({"x-mbx-apikey": "unknown"}, -2015)):
        answer = spot.raw("GET", "account", spot.signed_query(), headers=headers)
        assert answer.status == 401
        assert f'"code":{code}'.encode() in answer.body


def test_the_query_wins_over_the_body_and_percent_encoding_is_undone() -> None:
    params = params_of("symbol=BTCUSDT&note=a%20b", "symbol=ETHUSDT&side=BUY")
    assert params.values == {"symbol": "BTCUSDT", "note": "a b", "side": "BUY"}
    assert params.payload == "symbol=BTCUSDT&note=a%20bsymbol=ETHUSDT&side=BUY"


def test_a_public_key_of_the_wrong_kind_is_refused_at_once(private_pem: str) -> None:
    private = rsa.generate_private_key(65537, 2048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValueError, match="not a public Ed25519 key"):
        Keyring([ApiKey("key", pem, 0, KeyKind.ED25519)])


def test_everybodys_ed25519_key_belongs_to_its_private_half(private_pem: str) -> None:
    private = load_pem_private_key(private_pem.encode(), None)
    assert private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() == DEFAULT_PUBLIC_PEM
    with pytest.raises(ValueError, match="not a public RSA key"):
        Keyring([ApiKey("key", DEFAULT_PUBLIC_PEM, 0, KeyKind.RSA)])


def test_a_replaced_key_signs_with_its_new_half_only() -> None:
    halves = [Ed25519PrivateKey.generate() for _ in range(2)]
    keys = [
        ApiKey(
            "key",
            half.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            0,
            KeyKind.ED25519,
        )
        for half in halves
    ]
    keyring = Keyring(keys)
    codes = []
    for half in halves:
        signature = quote(base64.b64encode(half.sign(REST_PAYLOAD.encode())).decode(), safe="")
        codes.append(refusal(keyring, keys[1], params_of(f"{REST_PAYLOAD}&signature={signature}"), REST_NOW_NS))
    assert codes == [-1022, 0]
