"""Requests as Binance wants them, and what it answers."""

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from reactor.domain.errors import RemoteProtocolError
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_LIQUIDATION,
    FLAG_REDUCE_ONLY,
    OrderStatus,
    OrderType,
    TimeInForce,
    Venue,
    new,
)
from reactor.exchanges.binance.orders import BinanceOrders, CancelAllOurs, order_codec, read_permissions, status_of
from reactor.exchanges.binance.rules import endpoints_at
from reactor.exchanges.venue import Credentials, RestCall

SPOT, USDM = int(Venue.BINANCE_SPOT), int(Venue.BINANCE_USDM)
KEY, SECRET = "the-api-key", "the-secret"
IDS = ClientIds("ct")
OURS = IDS.client_order_id(1 << 40 | 7)


def instrument(index: int, venue: int, **fields: Any) -> Instrument:
    values: dict[str, Any] = {"price_decimals": 2, "quantity_decimals": 5, "tick_size": 1, "lot_size": 1} | fields
    values |= {"quantity_lots_min": 1, "quantity_lots_max": 10**9, "market_quantity_lots_max": 10**9}
    values |= {"price_ticks_min": 1, "price_ticks_max": 10**12, "notional_min_e8": 0, "maker_fee_e8": 0, "taker_fee_e8": 0}
    return Instrument(instrument_index=index, venue=venue, symbol="BTCUSDT", base_asset="BTC", quote_asset="USDT", **values)


INSTRUMENTS = Instruments(
    [instrument(0, SPOT), instrument(1, USDM, price_decimals=1, quantity_decimals=0, tick_size=5, lot_size=10)]
)


def codec(venue: int = SPOT, credentials: Credentials | None = None) -> BinanceOrders:
    return order_codec(venue, endpoints_at(venue, "http://x"), credentials or Credentials(KEY, SECRET), INSTRUMENTS)


def command(venue: int = SPOT, **fields: Any) -> Any:
    made = new("command")
    made.venue = venue
    made.header.instrument_index = 0 if venue == SPOT else 1
    made.header.flags = fields.pop("flags", 0)
    values = {"side": 1, "order_type": int(OrderType.LIMIT), "time_in_force": 0, "price_ticks": 100, "quantity_lots": 7}
    for name, value in {**values, **fields}.items():
        setattr(made, name, int(value))
    return made


def signature_of(payload: str) -> str:
    return hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


def check_frame(frame: bytes) -> dict[str, Any]:
    """Parses a frame and checks its signature as the venue does: sorted, not encoded."""
    request: dict[str, Any] = orjson.loads(frame)
    params = dict(request["params"])
    signature = params.pop("signature")
    assert signature == signature_of("&".join(f"{name}={params[name]}" for name in sorted(params)))
    assert params["apiKey"] == KEY
    assert isinstance(params["timestamp"], int)
    assert isinstance(params["recvWindow"], int)
    return request


def check_call(call: RestCall) -> dict[str, str]:
    """Checks the signature of a REST call over the very bytes of its query."""
    query = urlsplit(call.url).query
    payload, _, signature = query.rpartition("&signature=")
    assert signature == signature_of(payload)
    assert call.headers["X-MBX-APIKEY"] == KEY
    return dict(parse_qsl(payload))


@given(
    venue=st.sampled_from([SPOT, USDM]),
    side=st.sampled_from([1, -1]),
    order_type=st.sampled_from([OrderType.LIMIT, OrderType.MARKET]),
    tif=st.sampled_from([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY]),
    flags=st.sampled_from([0, FLAG_REDUCE_ONLY]),
    price_ticks=st.integers(1, 10**9),
    quantity_lots=st.integers(1, 10**9),
    timestamp_ms=st.integers(10**12, 2 * 10**12),
)
def test_a_template_fills_to_the_same_order_as_the_rest_call(
    venue: int, side: int, order_type: int, tif: int, flags: int, price_ticks: int, quantity_lots: int, timestamp_ms: int
) -> None:
    made = command(
        venue,
        side=side,
        order_type=order_type,
        time_in_force=tif,
        flags=flags,
        price_ticks=price_ticks,
        quantity_lots=quantity_lots,
    )
    orders = codec(venue)
    request = check_frame(orders.place_frame(12, made, OURS.encode(), timestamp_ms))
    assert (request["id"], request["method"]) == (12, "order.place")
    params = {name: str(value) for name, value in request["params"].items() if name not in ("apiKey", "signature")}
    assert params == check_call(orders.place_call(made, OURS.encode(), timestamp_ms))
    assert params["quantity"] == INSTRUMENTS[made.header.instrument_index].quantity_text(quantity_lots)
    if order_type == OrderType.LIMIT:
        assert params["price"] == INSTRUMENTS[made.header.instrument_index].price_text(price_ticks)


def test_templates_of_different_orders_are_not_mixed_up() -> None:
    orders = codec(USDM)
    seen = set()
    for side in (1, -1):
        for order_type in (OrderType.LIMIT, OrderType.MARKET):
            for tif in (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY):
                for flags in (0, FLAG_REDUCE_ONLY):
                    made = command(USDM, side=side, order_type=order_type, time_in_force=tif, flags=flags)
                    params = orjson.loads(orders.place_frame(1, made, b"x", 1))["params"]
                    assert params["side"] == ("BUY" if side > 0 else "SELL")
                    assert params["type"] == ("MARKET" if order_type == OrderType.MARKET else "LIMIT")
                    assert ("reduceOnly" in params) == bool(flags)
                    seen.add(tuple(sorted(params.items())))
    assert len(seen) == 2 * 2 * (4 + 1)  # A market order has no time in force.


def test_after_a_logon_requests_carry_neither_key_nor_signature() -> None:
    pem = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    orders = codec(SPOT, Credentials(KEY, pem.decode()))
    assert orders.has_logon
    logon = orjson.loads(orders.logon_frame(0, 5))
    assert (logon["method"], logon["params"]["apiKey"]) == ("session.logon", KEY)
    for frame in (
        orders.place_frame(1, command(), b"id", 5),
        orders.cancel_frame(2, "BTCUSDT", b"id", 5),
        orders.query_frame(3, "BTCUSDT", b"id", 5, 9),
    ):
        params = orjson.loads(frame)["params"]
        assert not {"apiKey", "signature"} & set(params)
        assert params["timestamp"] == 5
    assert orjson.loads(orders.subscribe_frame(4, 5)) == {"id": 4, "method": "userDataStream.subscribe"}


def test_an_hmac_key_subscribes_with_a_signature() -> None:
    assert check_frame(codec().subscribe_frame(4, 5))["method"] == "userDataStream.subscribe.signature"


@pytest.mark.parametrize("venue", [SPOT, USDM])
@pytest.mark.parametrize("venue_order_id", [0, 28])
def test_cancel_and_query_name_the_order_by_the_venues_id_where_it_is_known(venue: int, venue_order_id: int) -> None:
    orders = codec(venue)
    cancel = check_frame(orders.cancel_frame(1, "BTCUSDT", OURS.encode(), 5, venue_order_id))["params"]
    query = check_frame(orders.query_frame(2, "BTCUSDT", OURS.encode(), 5, venue_order_id))["params"]
    for params in (cancel, query):
        assert params.get("orderId") == (venue_order_id or None)
        assert params.get("origClientOrderId") == (None if venue_order_id else OURS)
    assert cancel.get("newClientOrderId") == (OURS + "c" if venue == SPOT else None)
    for call in (
        orders.cancel_call("BTCUSDT", OURS, 5, venue_order_id),
        orders.query_call("BTCUSDT", OURS, 5, venue_order_id),
    ):
        assert ("orderId" in check_call(call)) == bool(venue_order_id)


def test_an_order_that_our_cancel_has_renamed_is_known_by_its_own_id() -> None:
    orders = codec()
    assert orders.original(OURS + "c", IDS) == OURS
    assert orders.original(OURS, IDS) == OURS
    assert orders.original("web_c", IDS) == "web_c"
    assert codec(USDM).renamed(OURS) == ""


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b'{"id":3,"status":200,"result":{"orderId":28}}', (3, 200, 0, False)),
        (b'{"id":3,"status":400,"error":{"code":-2010,"msg":"no"}}', (3, 400, -2010, False)),
        (b'{"id":3,"status":500}', (3, 500, 0, False)),
        (b'{"id":null,"status":400,"error":{"code":-1135,"msg":"Invalid JSON Request"}}', (-1, 400, -1135, False)),
        (b'{"id":"x","status":200,"result":{}}', (-1, 200, 0, False)),
        (b'{"event":{"e":"serverShutdown","E":1}}', (-1, 0, 0, True)),
        (b'{"subscriptionId":0,"event":{"e":"executionReport"}}', (-1, 0, 0, True)),
        (b"{", (-1, 0, 0, False)),
        (b"[]", (-1, 0, 0, False)),
        (b"\xff", (-1, 0, 0, False)),
    ],
)
def test_every_frame_of_the_order_socket_is_told_apart(frame: bytes, expected: tuple[int, int, int, bool]) -> None:
    answer = codec().read_answer(memoryview(frame))
    assert (answer.request_number, answer.status, answer.error_code, answer.is_event) == expected


def test_retry_after_is_an_epoch_on_the_socket_and_a_delay_over_rest() -> None:
    error = {"code": -1003, "msg": "Too much…", "data": {"serverTime": 5, "retryAfter": 1660801740000}}
    on_socket = codec().read_answer(orjson.dumps({"id": 1, "status": 429, "error": error}))
    assert on_socket.retry_at_ms == 1660801740000
    over_rest = codec().read_response(429, {"retry-after": "7"}, b'{"code":-1003,"msg":"Too much"}', 1_000_000)
    assert over_rest.retry_at_ms == 1_007_000


def test_success_of_futures_carries_a_code_and_is_no_error() -> None:
    assert codec(USDM).read_response(200, {}, b'{"code":200,"msg":"success"}', 0).status == 200


def test_a_rest_body_that_is_not_json_is_no_success() -> None:
    assert codec().read_response(200, {}, b"<html>", 0).status == 0
    assert codec().read_response(403, {}, b"<html>", 0).status == 403


def test_a_full_futures_answer_fills_the_report() -> None:
    row = {"orderId": 22542179, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": "testOrder", "price": "30000.5"}
    row |= {
        "origQty": "20",
        "executedQty": "10",
        "timeInForce": "GTX",
        "type": "LIMIT",
        "side": "SELL",
        "updateTime": 1566818724722,
    }
    report = new("report")
    assert codec(USDM).write_order(row, report) == OrderStatus.NEW
    assert (report.venue_order_id, report.price_ticks, report.quantity_lots, report.cumulative_lots) == (22542179, 60001, 2, 1)
    assert (report.side, report.time_in_force) == (-1, TimeInForce.POST_ONLY)
    assert report.header.exchange_ns == 1566818724722 * 10**6


def test_an_order_of_the_venues_own_is_told_apart_from_a_strangers_when_it_is_asked_about() -> None:
    # A forced close that happened while the stream was down is found in the list of fills, and its order is asked about.
    answer = {"orderId": 9, "clientOrderId": "autoclose-1700000000000", "symbol": "BTCUSDT", "status": "FILLED", "side": "BUY",
              "type": "LIMIT", "timeInForce": "IOC", "origQty": "20", "executedQty": "20", "price": "0",
              "updateTime": 1}  # fmt: skip
    report = new("report")
    report.header.flags = FLAG_FOREIGN
    codec(USDM).write_order(answer, report)
    assert report.header.flags & (FLAG_LIQUIDATION | FLAG_FOREIGN) == FLAG_LIQUIDATION


def test_a_status_nobody_knows_is_a_protocol_error() -> None:
    with pytest.raises(RemoteProtocolError):
        status_of("HALF_FILLED")


def test_withdrawal_permission_is_told_where_the_venue_tells_it() -> None:
    assert read_permissions({"canTrade": True, "canWithdraw": True}).can_withdraw
    assert not read_permissions({"assets": []}).is_known


# ---- cancel all ours


def row(client_order_id: str, order_id: int) -> dict[str, Any]:
    return {"symbol": "BTCUSDT", "orderId": order_id, "clientOrderId": client_order_id}


def test_cancel_all_asks_the_time_lists_cancels_ours_only_and_lists_again() -> None:
    work = CancelAllOurs(codec(), IDS)
    [(tag, call)] = work.start(1_000)
    assert call.url.endswith("/api/v3/time")
    [(tag, call)] = work.on_answer(tag, 200, {}, b'{"serverTime":5000}', 1_000)
    assert check_call(call)["timestamp"] == "5000"
    cancels = work.on_answer(tag, 200, {}, orjson.dumps([row(OURS, 7), row("web_1", 8), row(IDS.client_order_id(9), 9)]), 1_000)
    assert [check_call(call)["orderId"] for _, call in cancels] == ["7", "9"]
    assert work.on_answer(cancels[0][0], 200, {}, b"{}", 1_000) == []
    [(tag, call)] = work.on_answer(cancels[1][0], 200, {}, b"{}", 1_000)
    assert call.url.startswith("http://x/api/v3/openOrders?")
    assert work.on_answer(tag, 200, {}, orjson.dumps([row("web_1", 8)]), 1_000) == []
    assert (work.is_done, work.is_confirmed, work.cancelled_count, work.foreign) == (True, True, 2, 1)


def test_cancel_all_is_confirmed_only_by_the_venue() -> None:
    work = CancelAllOurs(codec(), IDS)
    calls = work.start(1_000, 0)
    rounds = 0
    while not work.is_done:
        rounds += 1
        for tag, _ in calls:
            calls = work.on_answer(tag, 0, {}, b"", 1_000)
        if work.needs_round:
            calls = work.next_round(1_000)
    assert rounds == CancelAllOurs.ROUNDS_MAX
    assert not work.is_confirmed
    assert work.failure


def test_a_clock_that_the_venue_refuses_is_set_before_the_next_round() -> None:
    # World seed 1932: the answer to the question for the time was lost, the host's clock was seven seconds ahead, and the
    # emergency cancel asked in vain until the venue's request limit shut everybody out.
    work = CancelAllOurs(codec(), IDS)
    [(tag, _)] = work.start(8_000)
    [(tag, _)] = work.on_answer(tag, 0, {}, b"", 8_000)
    refusal = b'{"code":-1021,"msg":"Timestamp for this request was 1000ms ahead of the server\'s time."}'
    assert work.on_answer(tag, 400, {}, refusal, 8_000) == []
    assert work.needs_round
    [(tag, call)] = work.next_round(8_000)
    assert call.url.endswith("/api/v3/time")
    [(tag, call)] = work.on_answer(tag, 200, {}, b'{"serverTime":1000}', 8_000)
    assert check_call(call)["timestamp"] == "1000"
    work.on_answer(tag, 200, {}, b"[]", 8_000)
    assert work.is_confirmed


def test_a_venue_that_has_had_enough_is_not_asked_before_the_time_it_named() -> None:
    # World seed 20561: the emergency cancel asked on every 0.2 s after a 429, and the venue banned the address: for two minutes
    # the engine could neither cancel nor hedge there.
    work = CancelAllOurs(codec(), IDS)
    [(tag, _)] = work.start(1_000)
    refusal = b'{"code":-1003,"msg":"Too much request weight used."}'
    assert work.on_answer(tag, 429, {"retry-after": "20"}, refusal, 1_000) == [], "not even for a list"
    assert (work.needs_round, work.wait_until_ms) == (True, 21_000)
    [(tag, call)] = work.next_round(21_000)
    assert call.url.endswith("/api/v3/time"), "it is still not known"
    [(tag, _)] = work.on_answer(tag, 200, {}, b'{"serverTime":21000}', 21_000)
    assert work.on_answer(tag, 418, {}, refusal, 21_000) == []
    assert work.wait_until_ms == 31_000, "a venue that names no time is given the shortest of its windows"


def test_a_cancel_that_came_too_late_leads_to_another_look() -> None:
    work = CancelAllOurs(codec(), IDS)
    [(tag, _)] = work.start(1_000, 0)
    [(tag, _)] = work.on_answer(tag, 200, {}, orjson.dumps([row(OURS, 7)]), 1_000)
    assert work.on_answer(tag, 400, {}, b'{"code":-2011,"msg":"Unknown order sent."}', 1_000) == []
    assert work.needs_round
    [(tag, _)] = work.next_round(1_000)
    work.on_answer(tag, 200, {}, b"[]", 1_000)
    assert work.is_confirmed


def test_an_answer_seen_twice_changes_nothing() -> None:
    work = CancelAllOurs(codec(), IDS)
    [(tag, _)] = work.start(1_000, 0)
    assert work.on_answer(tag, 200, {}, b"[]", 1_000) == []
    assert work.on_answer(tag, 200, {}, orjson.dumps([row(OURS, 7)]), 1_000) == []
    assert work.is_confirmed
