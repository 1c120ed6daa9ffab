"""Rate limits: fixed windows, 429 with the time to wait, 418 for who goes on, order counts, names that lift them."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from reactor.sim.faces.limits import SPOT_LIMITS, TOLERATED_AFTER_429, LimitParameters, RateLimits
from reactor.sim.faces.refusal import VenueError

Client = Any
MINUTE_NS = 60_000_000_000
START_NS = 1_699_999_980 * 1_000_000_000  # a whole minute


def test_weight_is_counted_in_headers_and_begins_again_every_minute(spot: Client) -> None:
    spot.ask("GET", "exchangeInfo")
    answer = spot.raw("GET", "ping")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "21"
    spot.now_ns += MINUTE_NS
    assert spot.raw("GET", "ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_over_the_limit_is_429_then_418_and_then_it_is_over(spot: Client) -> None:
    spot.now_ns -= spot.now_ns % MINUTE_NS
    for _ in range(300):
        spot.ask("GET", "exchangeInfo")
    answer = spot.raw("GET", "ping")
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "60"
    assert orjson.loads(answer.body)["code"] == -1003
    for _ in range(TOLERATED_AFTER_429 + 1):
        answer = spot.raw("GET", "ping")
    answer = spot.raw("GET", "ping")
    assert answer.status == 418
    assert answer.headers["Retry-After"] == "120"
    assert b"IP banned until" in answer.body
    spot.now_ns += 2 * MINUTE_NS
    assert spot.raw("GET", "ping").status == 200


def test_by_message_the_retry_is_an_epoch(spot: Client) -> None:
    spot.now_ns -= spot.now_ns % MINUTE_NS
    socket = spot.open("/ws-api/v3")
    for _ in range(300):
        spot.call(socket, "exchangeInfo")
    answer = spot.call(socket, "ping")
    assert answer["status"] == 429
    assert answer["error"]["data"] == {
        "serverTime": spot.now_ns // 1_000_000,
        "retryAfter": (spot.now_ns + MINUTE_NS) // 1_000_000,
    }


def test_too_many_orders_are_refused_before_the_engine(spot: Client) -> None:
    def place() -> Any:
        return spot.raw(
            "POST",
            "order",
            spot.signed_query(symbol="BTCUSDT", side="BUY", type="LIMIT_MAKER", quantity="0.001", price="59000"),
        )

    for number in range(100):
        answer = place()
        assert answer.status == 200
        assert answer.headers["X-MBX-ORDER-COUNT-10S"] == str(number + 1)
        assert answer.headers["X-MBX-ORDER-COUNT-1D"] == str(number + 1)
    answer = place()
    assert answer.status == 429
    assert orjson.loads(answer.body) == {
        "code": -1015,
        "msg": "Too many new orders; current limit is 100 orders per 10 SECOND.",
    }
    spot.now_ns += 10_000_000_000
    assert place().status == 200


def test_a_successful_order_costs_no_weight_and_a_failed_one_does(spot: Client) -> None:
    good = spot.raw(
        "POST", "order", spot.signed_query(symbol="BTCUSDT", side="BUY", type="LIMIT_MAKER", quantity="0.001", price="59000")
    )
    assert good.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    bad = spot.raw("POST", "order", spot.signed_query(symbol="NOPE", side="BUY", type="MARKET", quantity="1"))
    assert bad.headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_a_lifted_limit_counts_and_refuses_nothing(make_spot: Callable[..., Client]) -> None:
    client = make_spot(lifted_limits=frozenset({"REQUEST_WEIGHT"}))
    for _ in range(301):
        answer = client.raw("GET", "exchangeInfo")
    assert answer.status == 200
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "6020"


def test_too_many_connections_are_refused_at_the_handshake(spot: Client) -> None:
    for _ in range(300):
        spot.open("/ws")
    assert spot.face.on_open(object(), "/ws", {}, "127.0.0.1", spot.now_ns) == 429


def test_a_ban_grows_each_time() -> None:
    limits = RateLimits(LimitParameters(SPOT_LIMITS))
    waits = []
    for _ in range(3):
        limits.ban("ip", START_NS)
        with pytest.raises(VenueError) as refusal:
            limits.charge("ip", 1, START_NS)
        waits.append(refusal.value.retry_after_ns // MINUTE_NS)
    assert waits == [2, 4, 8]


def test_one_address_does_not_pay_for_another() -> None:
    limits = RateLimits(LimitParameters(SPOT_LIMITS))
    limits.ban("one", START_NS)
    limits.charge("two", 1, START_NS)
