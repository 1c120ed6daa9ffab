"""Cancel all ours: until the venue lists none, and no oftener than it allows."""

from typing import Any

import orjson
from binance_codec import IDS, OURS, check_call, codec

from reactor.exchanges.binance.cancel_all import CancelAllOurs


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
