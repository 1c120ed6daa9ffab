"""Requests as Binance wants them."""

import errno
import socket
from typing import Any

import orjson
import pytest
from binance_codec import INSTRUMENTS, KEY, OURS, SPOT, USDM, check_call, codec, signature_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from reactor.domain.messages import FLAG_REDUCE_ONLY, OrderType, TimeInForce, new
from reactor.exchanges.binance.orders import place_key
from reactor.exchanges.binance.requests import IMPOSSIBLE, NO_ROOM
from reactor.exchanges.venue import Credentials
from reactor.net.websocket import Outbox


def command(venue: int = SPOT, **fields: Any) -> Any:
    made = new("command")
    made.venue = venue
    made.header.instrument_index = 0 if venue == SPOT else 1
    made.header.flags = fields.pop("flags", 0)
    values = {"side": 1, "order_type": int(OrderType.LIMIT), "time_in_force": 0, "price_ticks": 100, "quantity_lots": 7}
    for name, value in {**values, **fields}.items():
        setattr(made, name, int(value))
    return made


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


def unmasked(frame: bytes) -> bytes:
    """The payload of a client's frame of 126 to 65 535 bytes."""
    assert frame[:2] == b"\x81\xfe"
    assert int.from_bytes(frame[2:4], "big") == len(frame) - 8
    return bytes(byte ^ frame[4 + index % 4] for index, byte in enumerate(frame[8:]))


@pytest.mark.parametrize("venue", [SPOT, USDM])
def test_a_place_sent_in_one_crossing_is_the_frame_that_a_place_has(venue: int) -> None:
    orders, outbox = codec(venue), Outbox()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        for number in range(1, 5):
            made = command(venue, price_ticks=100 * number, side=1 if number & 1 else -1)
            made.client_order_id = OURS.encode()
            key = place_key(made.header.instrument_index, made.side, made.order_type, made.time_in_force, 0)
            assert orders.send_place(number, made, 1_700_000_000_000, key, outbox.native, near.fileno()) == 0
            assert unmasked(far.recv(4096)) == orders.place_frame(number, made, OURS.encode(), 1_700_000_000_000)


def test_a_place_that_cannot_be_sent_in_one_crossing_says_why() -> None:
    orders, outbox = codec(SPOT), Outbox()
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        made = command(price_ticks=-1)
        assert orders.send_place(1, made, 5, -1, outbox.native, near.fileno()) == IMPOSSIBLE
        good = command()
        while len(outbox.room) - outbox.waiting > 200:
            outbox.put(1, b"x" * 100)
        assert orders.send_place(1, good, 5, -1, outbox.native, near.fileno()) == NO_ROOM
        outbox.clear()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        left = 0
        while not left:
            left = orders.send_place(1, good, 5, -1, outbox.native, near.fileno())
        assert 0 < left < 1000, "the kernel took a part, and the rest waits"
        outbox.clear()
        far.close()
        assert orders.send_place(1, good, 5, -1, outbox.native, near.fileno()) == -errno.EPIPE


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
