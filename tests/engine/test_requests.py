"""What goes out: places, cancels, and copies of them."""

from typing import Any

import pytest
from engine_stand import MS, SPOT, USDM, Stand, ack, execution, name_of, order_row, placed, refusal

from reactor.domain.messages import (
    FLAG_CLOSE,
    FLAG_HEDGE,
    FLAG_OURS,
    FLAG_REDUCE_ONLY,
    OrderType,
    Reason,
    ReportKind,
    Stage,
    TimeInForce,
    text_of,
)
from reactor.engine.counters import Counter
from reactor.engine.parameters import RouterParameters
from reactor.exchanges.venue import RateLimit, RateLimitKind
from reactor.loop.counters import Span
from reactor.net.network import Failure
from shm.histogram import heap_histograms
from shm.ring import URGENT

# ---- places


def test_a_place_goes_down_one_connection_once(stand: Stand) -> None:
    client_order_id = stand.place(SPOT)
    stand.work()
    [(_, request)] = stand.sent(SPOT)
    assert request["method"] == "order.place"
    params = request["params"]
    assert params["newClientOrderId"] == client_order_id
    assert (params["price"], params["quantity"], params["side"]) == ("61234.56", "0.00123", "BUY")
    assert (params["type"], params["timeInForce"]) == ("LIMIT", "GTC")
    assert params["timestamp"] == stand.clock.realtime_ns() // MS


def test_an_acknowledged_place_carries_the_decision_and_its_stamps(stand: Stand) -> None:
    client_order_id = stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    stand.clock.advance(3 * MS)
    connection.say(ack(request))
    [report] = stand.reports_now()
    header = report.header
    assert (header.kind, header.signal_id, header.order_id) == (ReportKind.ACK, 77, 1 << 40 | 1)
    assert name_of(report) == client_order_id
    assert report.venue_order_id == 28
    assert header.stage_ns[Stage.RECEIVE] < header.stage_ns[Stage.SEND] < header.stage_ns[Stage.ACK]
    assert header.flags & FLAG_OURS
    assert report.request_id == 1


def test_a_tick_that_opens_one_that_closes_and_a_fill_are_not_timed_together(stand: Stand) -> None:
    histograms = heap_histograms(len(Span))
    stand.metrics.histograms = tuple(histograms)
    for flags in (0, FLAG_HEDGE, FLAG_HEDGE | FLAG_CLOSE, FLAG_HEDGE):
        stand.place(SPOT, flags=flags)
        stand.work()
    assert [histograms[span].count for span in (Span.INTERNAL, Span.CLOSE, Span.HEDGE)] == [1, 1, 2]


def test_the_second_acknowledgement_says_nothing_new(stand: Stand) -> None:
    client_order_id = stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    stand.user_stream(SPOT).say(execution(client_order_id, "NEW"))
    connection.say(ack(request))
    stand.user_stream(SPOT).say(execution(client_order_id, "NEW"))
    assert stand.kinds() == ["ACK"]
    assert stand.counted(Counter.DUPLICATE_REPORTS_DROPPED) == 2


def test_a_refused_place_is_rejected_with_the_venues_words(stand: Stand) -> None:
    stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    connection.say(refusal(request, -2010, "Account has insufficient balance for requested action."))
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason, report.error_code) == (ReportKind.REJECT, Reason.INSUFFICIENT_BALANCE, -2010)
    assert text_of(report.text).startswith("Account has insufficient")


def test_a_duplicate_client_id_is_unknown_because_the_order_may_be_ours(stand: Stand) -> None:
    stand.place(USDM)
    stand.work()
    [(connection, request)] = stand.sent(USDM)
    connection.say(refusal(request, -4116, "ClientOrderId is duplicated."))
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason) == (ReportKind.OUTCOME_UNKNOWN, Reason.DUPLICATE_CLIENT_ID)


@pytest.mark.parametrize(("status", "code"), [(503, -1000), (408, -1007), (400, -1006), (400, -1007), (500, 0)])
def test_what_may_have_executed_is_unknown(stand: Stand, status: int, code: int) -> None:
    stand.place(USDM)
    stand.work()
    [(connection, request)] = stand.sent(USDM)
    connection.say(refusal(request, code, "Unknown error, please check your request or try again later.", status))
    assert stand.kinds() == ["OUTCOME_UNKNOWN"]


def test_silence_is_unknown_and_a_late_answer_is_still_told(stand: Stand) -> None:
    stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    stand.jump(3_100)
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason) == (ReportKind.OUTCOME_UNKNOWN, Reason.TIMEOUT)
    connection.say(ack(request))
    assert stand.kinds() == ["ACK"]
    assert stand.counted(Counter.LATE_ANSWERS) == 1
    connection.say(ack(request))
    assert stand.kinds() == []
    assert stand.counted(Counter.ANSWERS_UNASKED) == 1


def test_a_connection_that_dies_after_the_send_leaves_the_outcome_unknown_and_nothing_is_resent(stand: Stand) -> None:
    stand.place(SPOT)
    stand.work()
    [(connection, _)] = stand.sent(SPOT)
    connection.lose()
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason) == (ReportKind.OUTCOME_UNKNOWN, Reason.CONNECTION_LOST)
    stand.work()
    assert stand.sent(SPOT) == []


def test_a_place_fails_over_only_when_the_first_connection_provably_did_not_send(stand: Stand) -> None:
    sessions = stand.order_sessions(SPOT)
    for connection in sessions[:2]:
        connection.is_dead = True
    stand.place(SPOT)
    stand.work()
    assert [request["method"] for request in sessions[2].requests()] == ["order.place"]
    assert sessions[0].sent == sessions[1].sent == []
    assert stand.counted(Counter.FAILOVERS) == 2


def test_without_any_order_session_a_place_goes_over_rest(stand: Stand) -> None:
    for connection in stand.order_sessions(SPOT):
        connection.lose()
    client_order_id = stand.place(SPOT)
    stand.work()
    asked = stand.network.take("POST", "/api/v3/order")
    assert asked.query["newClientOrderId"] == client_order_id
    stand.reports_now()
    asked.answer({"symbol": "BTCUSDT", "orderId": 5, "clientOrderId": client_order_id, "transactTime": 1})
    assert stand.kinds() == ["ACK"]


def test_a_place_over_rest_that_found_no_server_was_not_sent(stand: Stand) -> None:
    for connection in stand.order_sessions(SPOT):
        connection.lose()
    stand.place(SPOT)
    stand.work()
    stand.reports_now()
    stand.network.take("POST", "/api/v3/order").fail(Failure.NOT_SENT)
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason) == (ReportKind.NOT_SENT, Reason.NO_SESSION)


def test_a_place_over_rest_whose_answer_was_lost_is_unknown(stand: Stand) -> None:
    for connection in stand.order_sessions(SPOT):
        connection.lose()
    stand.place(SPOT)
    stand.work()
    stand.reports_now()
    stand.network.take("POST", "/api/v3/order").fail(Failure.OUTCOME_UNKNOWN)
    assert stand.kinds() == ["OUTCOME_UNKNOWN"]


def test_a_place_after_its_deadline_is_not_sent(stand: Stand) -> None:
    stand.place(SPOT, deadline_ns=stand.clock.monotonic_ns() - 1)
    stand.work()
    assert stand.sent(SPOT) == []
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason) == (ReportKind.NOT_SENT, Reason.TIMEOUT)


def test_a_place_that_could_be_outside_of_the_receive_window_is_not_sent(stand: Stand) -> None:
    stand.network.automatic.pop(("GET", "/api/v3/time"))
    stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    connection.say(refusal(request, -1021, "Timestamp for this request was 1000ms ahead of the server's time."))
    assert stand.reports_now()[0].reason == Reason.TIMESTAMP
    stand.place(SPOT)
    stand.work()
    assert stand.sent(SPOT) == []
    assert stand.reports_now()[-1].reason == Reason.CLOCK_UNCERTAIN
    stand.network.take("GET", "/api/v3/time").answer({"serverTime": stand.clock.realtime_ns() // MS})
    stand.place(SPOT)
    stand.work()
    assert len(stand.sent(SPOT)) == 1


def test_the_order_budget_stops_places_and_leaves_a_reserve_for_hedges_and_cancels() -> None:
    limits = ((SPOT, (RateLimit(RateLimitKind.ORDERS, 10_000, 10),)),)
    stand = Stand(rate_limits=limits)
    stand.bring_up()
    for _ in range(8):
        stand.place(SPOT)
    stand.place(SPOT, flags=FLAG_HEDGE)
    stand.work()
    # 70 % of 10 is ours, 80 % of that for what opens.
    assert len(stand.sent(SPOT)) == 6
    assert [r.reason for r in stand.reports_now()] == [Reason.ORDER_RATE] * 3


def test_after_429_nothing_goes_until_the_venue_allows_it(stand: Stand) -> None:
    stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    answer = refusal(request, -1003, "Too much request weight used; …", 429)
    answer["error"]["data"] = {"retryAfter": stand.clock.realtime_ns() // MS + 2_000}
    connection.say(answer)
    assert stand.reports_now()[0].reason == Reason.RATE_LIMITED
    stand.place(SPOT)
    stand.work()
    assert stand.sent(SPOT) == []
    stand.clock.advance(2_100 * MS)
    stand.place(SPOT)
    stand.work()
    assert len(stand.sent(SPOT)) == 1


@pytest.mark.parametrize(
    ("venue", "order_type", "tif", "flags", "expected"),
    [
        (SPOT, OrderType.LIMIT, TimeInForce.POST_ONLY, 0, {"type": "LIMIT_MAKER", "timeInForce": None, "reduceOnly": None}),
        (USDM, OrderType.LIMIT, TimeInForce.POST_ONLY, 0, {"type": "LIMIT", "timeInForce": "GTX", "price": "612345.6"}),
        (SPOT, OrderType.MARKET, TimeInForce.GTC, 0, {"type": "MARKET", "timeInForce": None, "price": None}),
        (USDM, OrderType.LIMIT, TimeInForce.IOC, FLAG_REDUCE_ONLY, {"timeInForce": "IOC", "reduceOnly": "true"}),
        (SPOT, OrderType.LIMIT, TimeInForce.FOK, FLAG_REDUCE_ONLY, {"timeInForce": "FOK", "reduceOnly": None}),
    ],
)
def test_an_order_is_spelled_as_its_venue_wants(
    stand: Stand, venue: int, order_type: int, tif: int, flags: int, expected: dict[str, Any]
) -> None:
    stand.place(venue, order_type=int(order_type), time_in_force=int(tif), flags=flags)
    stand.work()
    [(_, request)] = stand.sent(venue)
    assert {name: request["params"].get(name) for name in expected} == expected


# ---- cancels


def test_a_cancel_races_and_the_first_yes_is_reported_once(stand: Stand) -> None:
    client_order_id = placed(stand)
    request_id = stand.cancel(SPOT, client_order_id)
    stand.work()
    copies = stand.sent(SPOT)
    assert len(copies) == 2
    assert {request["params"]["orderId"] for _, request in copies} == {28}
    first, second = copies
    second[0].say(refusal(second[1], -2011, "Unknown order sent."))
    assert stand.kinds() == []
    result = order_row(client_order_id + "c", "CANCELED", "0.00100", origClientOrderId=client_order_id)
    first[0].say({"id": first[1]["id"], "status": 200, "result": result})
    [report] = stand.reports_now()
    assert (report.header.kind, report.request_id, report.cumulative_lots) == (ReportKind.CANCELLED, request_id, 100)
    assert name_of(report) == client_order_id
    stand.user_stream(SPOT).say(execution(client_order_id + "c", "CANCELED", C=client_order_id))
    assert stand.kinds() == []


def test_a_cancel_that_every_copy_refuses_found_no_open_order(stand: Stand) -> None:
    client_order_id = placed(stand)
    stand.cancel(SPOT, client_order_id)
    stand.work()
    for connection, request in stand.sent(SPOT):
        connection.say(refusal(request, -2011, "Unknown order sent."))
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason) == (ReportKind.CANCEL_REJECT, Reason.UNKNOWN_ORDER)


def test_a_cancel_of_an_unacknowledged_order_uses_only_the_connection_of_its_place(stand: Stand) -> None:
    client_order_id = stand.place(SPOT)
    stand.work()
    [(carrier, _)] = stand.sent(SPOT)
    stand.cancel(SPOT, client_order_id)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    assert connection is carrier
    assert request["params"]["origClientOrderId"] == client_order_id
    assert request["params"]["newClientOrderId"] == client_order_id + "c"


def test_a_cancel_that_overtakes_its_place_annihilates_it(stand: Stand) -> None:
    client_order_id = stand.place(SPOT)
    request_id = stand.cancel(SPOT, client_order_id)
    stand.work()
    assert stand.sent(SPOT) == []
    not_sent, cancel_answer = stand.reports_now()
    assert (not_sent.header.kind, not_sent.reason, not_sent.request_id) == (
        ReportKind.NOT_SENT,
        Reason.CANCEL_OVERTOOK,
        request_id - 1,
    )
    assert (cancel_answer.header.kind, cancel_answer.reason, cancel_answer.request_id) == (
        ReportKind.CANCEL_REJECT,
        Reason.CANCEL_OVERTOOK,
        request_id,
    )


def test_a_cancel_of_an_order_from_an_earlier_run_is_sent_once_the_queue_was_looked_through(stand: Stand) -> None:
    stand.place(SPOT)
    stand.cancel(SPOT, "ct0000100000099")
    stand.work()
    methods = sorted(request["method"] for _, request in stand.sent(SPOT))
    assert methods == ["order.cancel", "order.cancel", "order.place"]


def test_urgent_commands_overtake_normal_ones(stand: Stand) -> None:
    stand.place(USDM)
    urgent = stand.place(USDM, URGENT)
    stand.work()
    requests = sorted(stand.sent(USDM), key=lambda each: each[1]["id"])
    assert requests[0][1]["params"]["newClientOrderId"] == urgent


# ---- copies, which nobody should want


def test_copies_of_a_place_are_an_opt_in_and_a_double_is_detected() -> None:
    stand = Stand(router=RouterParameters(dangerous_place_copies=2))
    stand.bring_up()
    stand.place(SPOT, order_type=int(OrderType.MARKET))
    stand.work()
    copies = stand.sent(SPOT)
    assert len(copies) == 2
    for number, (connection, request) in enumerate(copies):
        connection.say(ack(request, venue_order_id=100 + number))
    first, second = stand.reports_now()
    assert first.reason == Reason.NONE
    assert (second.header.kind, second.reason, second.venue_order_id) == (ReportKind.ACK, Reason.DOUBLE_EXECUTION, 101)
    assert stand.counted(Counter.DOUBLE_EXECUTIONS) == 1


def test_a_refused_copy_of_an_accepted_place_is_no_news() -> None:
    stand = Stand(router=RouterParameters(dangerous_place_copies=2))
    stand.bring_up()
    stand.place(SPOT)
    stand.work()
    (first, request), (second, other) = stand.sent(SPOT)
    second.say(refusal(other, -2010, "Duplicate order sent."))
    first.say(ack(request))
    assert stand.kinds() == ["ACK"]
