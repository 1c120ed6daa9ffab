"""Whatever a client sends, it gets the venue's own answer: no exception leaves a face."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Client = Any
WORDS = """
    symbol side type timeInForce quantity price quoteOrderQty newClientOrderId newOrderRespType stopPrice orderId limit interval
    origClientOrderId cancelReplaceMode cancelOrderId newQty symbols permissions startTime endTime fromId pair reduceOnly
    positionSide priceMatch goodTillDate leverage marginType dualSidePosition batchOrders orderIdList countdownTime algoType
    triggerPrice algoId callbackRate closePosition incomeType recvWindow listenKey selfTradePreventionMode
"""
NAMES = WORDS.split()
VALUES = st.one_of(
    st.sampled_from(
        [
            "BTCUSDT",
            "ETHUSDT",
            "BUY",
            "SELL",
            "LIMIT",
            "MARKET",
            "LIMIT_MAKER",
            "STOP_MARKET",
            "GTC",
            "IOC",
            "FOK",
            "GTX",
            "GTD",
        ]
    ),
    st.sampled_from(
        ["0.01", "0.010", "59000", "60001", "0", "1", "-1", "true", "false", "LONG", "BOTH", "RESULT", "FULL", "1m"]
    ),
    st.sampled_from(
        ["STOP_ON_FAILURE", "ALLOW_FAILURE", "CONDITIONAL", "CROSSED", "ISOLATED", "QUEUE", "EXPIRE_TAKER", "NONE"]
    ),
    st.sampled_from(
        ["[]", "[1]", '["BTCUSDT"]', '[{"symbol":"BTCUSDT"}]', '["a",{}]', "[[]]", "{}", "null", "9" * 25, "1" * 400]
    ),
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.text(max_size=12),
)
FIELDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=9)
ORDER = st.fixed_dictionaries(
    {"symbol": st.just("BTCUSDT"), "side": st.sampled_from(["BUY", "SELL"]), "type": st.sampled_from(["LIMIT", "MARKET"])},
    optional={name: VALUES for name in NAMES if name not in ("symbol", "side", "type")},
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "id", "method", "params"]), inner, max_size=4)
    ),
    max_leaves=8,
)
LENIENT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(answer: Any) -> None:
    assert answer.status in (200, 400, 401, 404, 408, 409, 410, 429, 503)
    if answer.content_type.startswith("application/json"):
        body = orjson.loads(answer.body)
        assert answer.status == 200 or body["code"] < 0


@pytest.mark.parametrize("venue", ["spot", "usdm"])
@LENIENT
@given(fields=FIELDS | ORDER)
def test_every_endpoint_survives_any_parameters(request: pytest.FixtureRequest, venue: str, fields: dict[str, str]) -> None:
    client: Client = request.getfixturevalue(venue)
    for verb, path in list(client.face.api.rest):
        client.now_ns += 2_000_000_000  # Long enough between questions that no limit answers instead.
        client.core.advance(client.now_ns)
        client.prefix = ""
        check(client.raw(verb, path, client.signed_query(**fields)))
        client.flush()
    assert client.ask("GET", "/api/v3/ping" if venue == "spot" else "/fapi/v1/ping") == {}


SPOT_ORDER = """
    timeInForce quantity price quoteOrderQty newClientOrderId newOrderRespType stopPrice selfTradePreventionMode icebergQty
    strategyId strategyType trailingDelta
"""
PLAUSIBLE = {
    "timeInForce": st.sampled_from(["GTC", "IOC", "FOK", "GTX", "GTD"]),
    "quantity": st.sampled_from(["0.01", "0.5", "3", "0.00001", "0.001", "100", "9999999"]),
    "price": st.sampled_from(["59000", "60000", "60001", "60001.1", "61000", "0.01", "0", "1000000"]),
    "type": st.sampled_from(["LIMIT", "MARKET", "LIMIT_MAKER", "STOP", "TRAILING_STOP_MARKET"]),
    "newClientOrderId": st.sampled_from(["a", "b", "c"]),
}
BASE = {"symbol": st.just("BTCUSDT"), "side": st.sampled_from(["BUY", "SELL"]), "type": PLAUSIBLE["type"]}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["order", "cancelReplace", "cancel", "amend", "modify", "algo", "batch", "leverage", "mode", "margin"]),
        st.fixed_dictionaries(
            BASE, optional={name: PLAUSIBLE.get(name, VALUES) for name in SPOT_ORDER.split() if name not in BASE}
        ),
        st.fixed_dictionaries(
            BASE, optional={name: PLAUSIBLE.get(name, VALUES) for name in NAMES if name not in ("symbol", "side", "type")}
        ),
    ),
    min_size=1,
    max_size=12,
)


@LENIENT
@given(steps=STEPS)
def test_an_account_survives_any_orders(spot: Client, usdm: Client, steps: list[Any]) -> None:
    spot_paths = {
        "order": ("POST", "order"),
        "cancelReplace": ("POST", "order/cancelReplace"),
        "cancel": ("DELETE", "order"),
        "amend": ("PUT", "order/amend/keepPriority"),
    }
    usdm_paths = {
        "order": ("POST", "v1/order"),
        "cancel": ("DELETE", "v1/order"),
        "modify": ("PUT", "v1/order"),
        "algo": ("POST", "v1/algoOrder"),
        "batch": ("POST", "v1/batchOrders"),
        "leverage": ("POST", "v1/leverage"),
        "mode": ("POST", "v1/positionSide/dual"),
        "margin": ("POST", "v1/marginType"),
    }
    extra = {"cancelReplace": {"cancelReplaceMode": "ALLOW_FAILURE", "cancelOrigClientOrderId": "a"}}
    targets = {"cancel", "amend"}
    for client, paths, which in ((spot, spot_paths, 1), (usdm, usdm_paths, 2)):
        socket = client.open("/ws-api/v3" if client is spot else "/ws-fapi/v1")
        for step in steps:
            if step[0] not in paths:
                continue
            verb, path = paths[step[0]]
            fields = {**step[which], **extra.get(step[0], {})}
            if step[0] in targets:
                fields = {"symbol": "BTCUSDT", "origClientOrderId": fields.get("newClientOrderId", "a")}
                fields |= {"newQty": "0.005"} if step[0] == "amend" else {}
            if step[0] == "batch":
                fields = {"batchOrders": orjson.dumps([fields, fields]).decode()}
            if step[0] == "algo":
                fields |= {"algoType": "CONDITIONAL"}
            client.now_ns += 11_000_000_000
            client.core.advance(client.now_ns)
            check(client.raw(verb, path, client.signed_query(**fields)))
            ticks = 6_000_000 if client is spot else 600_000
            client.trade("BTCUSDT", ticks + len(socket.frames), 1_000)
            client.flush()
        client.face.on_close(socket, client.now_ns)


@pytest.mark.parametrize("venue", ["spot", "usdm"])
@LENIENT
@given(message=ANYTHING, params=ANYTHING)
def test_every_socket_survives_any_message(request: pytest.FixtureRequest, venue: str, message: Any, params: Any) -> None:
    client: Client = request.getfixturevalue(venue)
    methods = [
        *client.face.api.methods,
        *client.face.messages.methods,
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "SET_PROPERTY",
        "GET_PROPERTY",
    ]
    paths = ("/ws", "/stream", "/ws-api/v3" if venue == "spot" else "/ws-fapi/v1")
    for path in paths:
        client.now_ns += 300_000_000_000
        socket = client.open(path)
        for payload in (message, *({"id": 1, "method": method, "params": params} for method in methods)):
            client.now_ns += 2_000_000_000
            client.say(socket, payload)
            client.flush()
        assert all(isinstance(frame, dict) for frame in socket.take())
        client.face.on_close(socket, client.now_ns)


@pytest.mark.parametrize("venue", ["spot", "usdm"])
@LENIENT
@given(raw=st.binary(max_size=64))
def test_every_socket_survives_any_bytes(request: pytest.FixtureRequest, venue: str, raw: bytes) -> None:
    client: Client = request.getfixturevalue(venue)
    for path in ("/ws", "/ws-api/v3" if venue == "spot" else "/ws-fapi/v1"):
        client.now_ns += 300_000_000_000
        socket = client.open(path)
        client.face.on_message(socket, raw, client.now_ns)
        assert len(socket.take()) == 1
        client.face.on_close(socket, client.now_ns)
