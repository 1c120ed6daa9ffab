"""The engine against a network in memory: the test plays prepost and the venues."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from engine_stand import MS, OPEN_ORDERS, SPOT, USDM, Stand, ack, name_of, order_row, refusal

from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_HEDGE,
    FLAG_LIQUIDATION,
    FLAG_OURS,
    FLAG_REDUCE_ONLY,
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    SIZE,
    VIEW,
    CommandKind,
    OrderStatus,
    OrderType,
    Reason,
    ReportKind,
    Stage,
    TimeInForce,
    text_of,
)
from reactor.engine.counters import Counter
from reactor.engine.parameters import RouterParameters
from reactor.exchanges.venue import Credentials, RateLimit, RateLimitKind
from reactor.net.network import Failure
from shm.ring import URGENT, heap_ring


def execution(client_order_id: str, execution_type: str, **fields: Any) -> dict[str, Any]:
    event = {"e": "executionReport", "E": 1_700_000_000_500, "s": "BTCUSDT", "c": client_order_id, "S": "BUY", "o": "LIMIT"}
    event |= {"f": "GTC", "q": "0.00123000", "p": "61234.56000000", "C": "", "x": execution_type, "X": execution_type}
    event |= {"r": "NONE", "i": 28, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None}
    event |= {"T": 1_700_000_000_499, "t": -1, "m": False}
    return {"subscriptionId": 0, "event": event | fields}


# ---- coming up


def test_it_is_ready_when_orders_user_data_and_clock_of_every_venue_are_there() -> None:
    stand = Stand()
    stand.role.on_start(stand.clock.monotonic_ns())
    stand.pass_time(5)
    assert not stand.role.is_ready()
    stand.bring_up()
    assert stand.role.is_ready()
    assert len(stand.order_sessions(SPOT)) == 3
    assert len(stand.order_sessions(USDM)) == 3


def test_it_tells_prepost_that_each_venue_is_up() -> None:
    stand = Stand()
    stand.role.on_start(stand.clock.monotonic_ns())
    for _ in range(4):
        stand.open_all()
        stand.pass_time(5)
    reports = stand.reports_now()
    assert [(r.header.kind, r.venue) for r in reports] == [(ReportKind.SESSION_UP, SPOT), (ReportKind.SESSION_UP, USDM)]


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


def placed(stand: Stand, venue: int = SPOT) -> str:
    client_order_id = stand.place(venue)
    stand.work()
    [(connection, request)] = stand.sent(venue)
    connection.say(ack(request))
    stand.reports_now()
    return client_order_id


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


# ---- queries


def test_a_query_answers_with_the_venues_view(stand: Stand) -> None:
    client_order_id = placed(stand)
    request_id = stand.query(SPOT, client_order_id)
    stand.work()
    connection, request = stand.sent(SPOT)[0]
    connection.say({"id": request["id"], "status": 200, "result": order_row(client_order_id, "PARTIALLY_FILLED", "0.00100")})
    [report] = stand.reports_now()
    assert (report.header.kind, report.request_id) == (ReportKind.ORDER_STATE, request_id)
    assert (report.order_status, report.cumulative_lots) == (OrderStatus.PARTIALLY_FILLED, 100)
    assert report.header.flags & FLAG_REPLAYED


def test_not_found_is_said_only_when_the_venue_said_it(stand: Stand) -> None:
    client_order_id = placed(stand, USDM)
    stand.query(USDM, client_order_id)
    stand.work()
    for connection, request in stand.sent(USDM):
        connection.say(refusal(request, -2013, "Order does not exist."))
    assert stand.kinds() == ["ORDER_NOT_FOUND"]
    stand.query(USDM, client_order_id)
    stand.work()
    for connection, _ in stand.sent(USDM):
        connection.lose()
    assert "ORDER_NOT_FOUND" not in stand.kinds()


def test_before_spot_says_not_found_the_cancels_own_id_is_asked_for(stand: Stand) -> None:
    client_order_id = "ct0000100000099"  # placed and cancelled by an earlier run
    stand.query(SPOT, client_order_id)
    stand.work()
    for connection, request in stand.sent(SPOT):
        connection.say(refusal(request, -2013, "Order does not exist."))
    assert stand.kinds() == []
    connection, request = stand.sent(SPOT)[0]
    assert request["params"]["origClientOrderId"] == client_order_id + "c"
    connection.say({"id": request["id"], "status": 200, "result": order_row(client_order_id + "c", "CANCELED")})
    [report] = stand.reports_now()
    assert (report.header.kind, report.order_status) == (ReportKind.ORDER_STATE, OrderStatus.CANCELLED)
    assert name_of(report) == client_order_id


def test_an_order_known_only_by_the_venues_id_can_be_asked_for(stand: Stand) -> None:
    stand.query(SPOT, "", venue_order_id=28)
    stand.work()
    connection, request = stand.sent(SPOT)[0]
    assert request["params"]["orderId"] == 28
    connection.say({"id": request["id"], "status": 200, "result": order_row("ct0000100000007c", "CANCELED")})
    [report] = stand.reports_now()
    assert name_of(report) == "ct0000100000007"
    assert report.header.order_id == 1 << 40 | 7


# ---- fills and events


def test_a_fill_carries_trade_fee_and_the_decision(stand: Stand) -> None:
    client_order_id = placed(stand)
    fill = {"X": "PARTIALLY_FILLED", "l": "0.00100000", "z": "0.00100000", "L": "61234.50000000", "t": 56}
    fill |= {"n": "0.00000100", "N": "BTC", "m": True}
    stand.user_stream(SPOT).say(execution(client_order_id, "TRADE", **fill))
    [report] = stand.reports_now()
    assert report.header.kind == ReportKind.FILL
    assert (report.trade_id, report.price_ticks, report.quantity_lots, report.cumulative_lots) == (56, 6_123_450, 100, 100)
    assert (report.fee_e8, text_of(report.asset)) == (100, "BTC")
    assert report.header.signal_id == 77
    assert report.header.exchange_ns == 1_700_000_000_500 * MS


def test_somebody_elses_order_is_marked_foreign(stand: Stand) -> None:
    stand.user_stream(SPOT).say(execution("web_abc", "NEW"))
    [report] = stand.reports_now()
    assert report.header.flags & FLAG_FOREIGN
    assert report.header.order_id == 0


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b'{"e":"executionReport"}', b'{"e":"new thing"}', b'{"e":12}', b"\xff\xfe"]
)
def test_a_frame_that_nobody_understands_is_counted_and_harms_nothing(stand: Stand, frame: bytes) -> None:
    stand.user_stream(USDM).say(frame)
    stand.order_sessions(SPOT)[0].say(frame)
    assert stand.kinds() == []
    client_order_id = placed(stand)
    stand.user_stream(SPOT).say(execution(client_order_id, "EXPIRED"))
    assert stand.kinds() == ["EXPIRED"]


# ---- sessions


def test_a_lost_user_stream_is_told_and_comes_back(stand: Stand) -> None:
    stand.user_stream(USDM).lose()
    assert stand.kinds() == ["SESSION_DOWN"]
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert stand.kinds() == ["SESSION_UP"]


def test_a_lost_order_session_is_replaced_and_others_work_meanwhile(stand: Stand) -> None:
    stand.order_sessions(SPOT)[0].lose()
    assert stand.kinds() == []
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert len(stand.order_sessions(SPOT)) == 3


def test_an_expired_listen_key_gets_a_new_stream(stand: Stand) -> None:
    stand.network.automatic["POST", "/fapi/v1/listenKey"] = {"listenKey": "NEXT"}
    stand.user_stream(USDM).say({"e": "listenKeyExpired", "E": 1, "listenKey": "KEY"})
    assert stand.kinds() == ["SESSION_DOWN"]
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert stand.user_stream(USDM).url.endswith("/private/ws/NEXT")


def test_a_session_without_pong_is_replaced(stand: Stand) -> None:
    silent = stand.order_sessions(SPOT)[0]
    for _ in range(1_200):
        stand.pass_time(5)
        for connection in stand.network.live():
            if connection is not silent and connection.pings:
                connection.pings = 0
                connection.pong()
    assert silent.is_dead
    assert stand.order_sessions(SPOT)


def test_planned_rotation_opens_the_successor_first_and_prepost_hears_nothing(stand: Stand) -> None:
    before = set(map(id, stand.network.live()))
    for connection in stand.network.live():
        connection.pong()
    stand.clock.advance(23 * 3600 * 1000 * MS)
    for _ in range(1_500):
        stand.pass_time(5)
        stand.open_all()
        for connection in stand.network.live():
            if connection.pings:
                connection.pings = 0
                connection.pong()
    assert not before & set(map(id, stand.network.live()))
    assert stand.counted(Counter.ROTATIONS) == 8
    assert stand.kinds() == []


def test_a_shutdown_notice_moves_the_user_stream_before_it_is_cut(stand: Stand) -> None:
    old = stand.user_stream(SPOT)
    old.say({"event": {"e": "serverShutdown", "E": 1}})
    for _ in range(600):
        stand.pass_time(5)
        stand.open_all()
        for connection in stand.network.live():
            connection.pong()
    assert old.is_dead
    assert stand.kinds() == []


def test_a_session_that_has_lost_its_logon_is_replaced() -> None:
    pem = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    stand = Stand(credentials=Credentials("k" * 64, pem.decode()))
    stand.bring_up()
    stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    assert "signature" not in request["params"]
    connection.say(refusal(request, -1193, "WebSocket session not authenticated", 401))
    assert stand.kinds() == ["REJECT"]
    assert connection.is_dead
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert len(stand.order_sessions(SPOT)) == 3


# ---- account queries


def test_open_orders_come_as_rows_and_an_end(stand: Stand) -> None:
    request_id = stand.command(CommandKind.OPEN_ORDERS, SPOT)
    stand.work()
    rows = [order_row("ct0000100000007", "NEW"), order_row("web_1", "NEW", orderId=29, symbol="ETHUSDT")]
    stand.network.take("GET", OPEN_ORDERS[SPOT]).answer(rows)
    session, ours, foreign, end = stand.reports_now()
    assert session.header.kind == ReportKind.SESSION_UP  # A prepost younger than the session learns it so.
    assert (ours.header.kind, ours.header.order_id, ours.quantity_lots) == (ReportKind.OPEN_ORDER, 1 << 40 | 7, 123)
    assert foreign.header.flags & FLAG_FOREIGN
    assert (end.header.kind, end.row_count, end.reason) == (ReportKind.SNAPSHOT_END, 2, Reason.NONE)
    assert {ours.request_id, foreign.request_id, end.request_id} == {request_id}


def test_a_failed_snapshot_says_so(stand: Stand) -> None:
    stand.command(CommandKind.BALANCES, USDM)
    stand.work()
    stand.network.take("GET", "/fapi/v3/account").fail(Failure.OUTCOME_UNKNOWN)
    [end] = stand.reports_now()
    assert (end.header.kind, end.reason) == (ReportKind.SNAPSHOT_END, Reason.UNKNOWN_EXECUTION)


def test_spot_has_no_positions_and_says_so_at_once(stand: Stand) -> None:
    stand.command(CommandKind.POSITIONS, SPOT)
    stand.work()
    [end] = stand.reports_now()
    assert (end.header.kind, end.row_count) == (ReportKind.SNAPSHOT_END, 0)


def test_positions_are_signed_and_balances_are_wallets(stand: Stand) -> None:
    stand.command(CommandKind.POSITIONS, USDM)
    stand.command(CommandKind.BALANCES, USDM)
    stand.work()
    position = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.250", "entryPrice": "61000.04"}
    position |= {"unRealizedProfit": "-1.50000000", "marginAsset": "USDT", "updateTime": 7}
    stand.network.take("GET", "/fapi/v3/positionRisk").answer([position])
    assets = [{"asset": "USDT", "walletBalance": "100.12345678", "maintMargin": "2.5", "unrealizedProfit": "0"}]
    stand.network.take("GET", "/fapi/v3/account").answer({"assets": assets})
    reports = stand.reports_now()
    assert [ReportKind(r.header.kind).name for r in reports] == ["POSITION", "SNAPSHOT_END", "BALANCE", "SNAPSHOT_END"]
    assert (reports[0].quantity_lots, reports[0].price_ticks, reports[0].amount_e8) == (-250, 610_000, -150_000_000)
    assert (reports[2].amount_e8, reports[2].locked_e8) == (10_012_345_678, 250_000_000)


def trade(trade_id: int, venue_order_id: int = 28) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "id": trade_id, "orderId": venue_order_id, "price": "61234.56", "qty": "0.00100"}
    return row | {"commission": "0.00000100", "commissionAsset": "BTC", "time": 9, "isBuyer": True, "isMaker": True}


def test_fills_since_a_trade_id_are_fetched_page_by_page(stand: Stand) -> None:
    client_order_id = placed(stand)
    stand.command(CommandKind.FILLS_SINCE, SPOT, trade_id=10)
    stand.work()
    first = stand.network.take("GET", "/api/v3/myTrades")
    assert first.query["fromId"] == "11"
    first.answer([trade(number) for number in range(11, 1011)])
    second = stand.network.take("GET", "/api/v3/myTrades")
    assert second.query["fromId"] == "1011"
    second.answer([trade(1011, venue_order_id=99)])
    reports = stand.reports_now()
    assert len(reports) == 1002
    assert name_of(reports[0]) == client_order_id  # found by the venue's order id
    assert name_of(reports[1000]) == ""
    assert (reports[-1].header.kind, reports[-1].row_count) == (ReportKind.SNAPSHOT_END, 1001)


def test_funding_payments_carry_the_venues_transaction_id(stand: Stand) -> None:
    stand.command(CommandKind.FUNDING_SINCE, USDM, since_ms=5)
    stand.work()
    row = {
        "symbol": "BTCUSDT",
        "incomeType": "FUNDING_FEE",
        "income": "-0.37500000",
        "asset": "USDT",
        "time": 6,
        "tranId": 9689,
    }
    stand.network.take("GET", "/fapi/v1/income").answer([row])
    payment, end = stand.reports_now()
    assert (payment.trade_id, payment.amount_e8, payment.header.instrument_index) == (9689, -37_500_000, 1)
    assert end.row_count == 1


def test_insurance_fees_are_asked_for_by_their_flag_and_carry_it(stand: Stand) -> None:
    stand.command(CommandKind.FUNDING_SINCE, USDM, since_ms=5, flags=FLAG_LIQUIDATION)
    stand.work()
    asked = stand.network.take("GET", "/fapi/v1/income")
    assert asked.query["incomeType"] == "INSURANCE_CLEAR"
    row = {"symbol": "BTCUSDT", "incomeType": "INSURANCE_CLEAR", "income": "-1.5", "asset": "USDT", "time": 6, "tranId": 7}
    asked.answer([row, row | {"symbol": "", "income": "20", "tranId": 8}])
    fee, cover, _ = stand.reports_now()
    assert (fee.trade_id, fee.amount_e8, fee.header.instrument_index) == (7, -150_000_000, 1)
    assert (cover.trade_id, cover.header.instrument_index) == (8, NO_INSTRUMENT)
    assert fee.header.flags & cover.header.flags & FLAG_LIQUIDATION


# ---- cancel all ours, and who is gone


def test_cancel_all_ours_touches_nobody_elses_and_ends_with_the_venues_word(stand: Stand) -> None:
    request_id = stand.command(CommandKind.CANCEL_ALL_OURS, SPOT, URGENT)
    stand.work()
    rows = [order_row("ct0000100000007", "NEW", orderId=7), order_row("web_1", "NEW", orderId=29)]
    stand.network.take("GET", OPEN_ORDERS[SPOT]).answer(rows)
    cancel = stand.network.take("DELETE", "/api/v3/order")
    assert cancel.query["orderId"] == "7"
    assert stand.network.asked == []
    cancel.answer(order_row("ct0000100000007c", "CANCELED", origClientOrderId="ct0000100000007", orderId=7))
    stand.network.take("GET", OPEN_ORDERS[SPOT]).answer([rows[1]])
    cancelled, end = stand.reports_now()
    assert (cancelled.header.kind, name_of(cancelled)) == (ReportKind.CANCELLED, "ct0000100000007")
    assert (end.header.kind, end.request_id, end.reason) == (ReportKind.SNAPSHOT_END, request_id, Reason.NONE)


def test_cancel_all_ours_tries_again_after_a_network_error(stand: Stand) -> None:
    stand.command(CommandKind.CANCEL_ALL_OURS, USDM, URGENT)
    stand.work()
    stand.network.take("GET", OPEN_ORDERS[USDM]).fail(Failure.OUTCOME_UNKNOWN)
    assert stand.kinds() == []
    stand.pass_time(220)
    stand.network.take("GET", OPEN_ORDERS[USDM]).answer([])
    assert stand.kinds() == ["SNAPSHOT_END"]


def test_when_prepost_falls_silent_nothing_new_is_sent_and_ours_is_cancelled(stand: Stand) -> None:
    stand.work()
    stand.is_prepost_alive = False
    stand.pass_time(5)
    for path in OPEN_ORDERS.values():
        stand.network.take("GET", path).answer([])
    stand.place(SPOT)
    stand.work()
    assert stand.sent(SPOT) == []
    assert stand.reports_now()[-1].reason == Reason.KILL_SWITCH
    stand.is_prepost_alive = True
    stand.pass_time(5)
    stand.place(SPOT)
    stand.work()
    assert len(stand.sent(SPOT)) == 1


def test_while_prepost_is_silent_an_unconfirmed_cancel_is_no_end(stand: Stand) -> None:
    stand.work()
    stand.is_prepost_alive = False
    tries = 0
    for _ in range(1_500):
        stand.pass_time(5)
        for asked in list(stand.network.asked):
            stand.network.asked.remove(asked)
            tries += asked.path == OPEN_ORDERS[SPOT]
            asked.fail(Failure.OUTCOME_UNKNOWN)
    assert tries > 25  # More than one whole work of 24 rounds.


def test_when_the_supervisor_is_gone_it_is_drained_only_after_the_venues_said_that_nothing_is_open(stand: Stand) -> None:
    stand.role.on_orphaned(stand.clock.monotonic_ns())
    assert not stand.role.is_drained()
    for path in OPEN_ORDERS.values():
        stand.network.take("GET", path).answer([])
    assert stand.role.is_drained()
    stand.place(SPOT)
    stand.work()
    assert stand.sent(SPOT) == []


def test_the_venues_own_dead_man_switch_is_armed_only_on_a_dedicated_account() -> None:
    stand = Stand()
    stand.bring_up()
    assert not [asked for asked in stand.network.asked if "countdown" in asked.path]
    stand = Stand(dedicated_account=True)
    stand.bring_up()
    stand.pass_time(10_100)
    armed = [asked for asked in stand.network.asked if asked.path == "/fapi/v1/countdownCancelAll"]
    assert {asked.query["symbol"] for asked in armed} == {"BTCUSDT"}
    assert armed[0].query["countdownTime"] == "30000"


# ---- backpressure and restart


def test_a_full_report_ring_stops_commands_and_loses_no_report() -> None:
    stand = Stand(report_slots=8)
    stand.bring_up()
    for _ in range(20):
        stand.place(SPOT)
        stand.work()
    for connection, request in stand.sent(SPOT):
        connection.say(ack(request, venue_order_id=request["id"]))
    stand.place(SPOT)
    stand.work()
    assert stand.sent(SPOT) == []  # Reports wait: no command is read.
    numbers = []
    while reports := stand.reports_now():
        numbers += [report.header.order_id & 0xFFFF for report in reports if report.header.kind == ReportKind.ACK]
        stand.work()
    assert sorted(numbers) == list(range(1, 21))
    assert len(stand.sent(SPOT)) == 1


def test_what_was_queued_before_a_restart_is_never_sent() -> None:
    producer, consumer = heap_ring(1024, SIZE["command"], VIEW["command"])

    class Recovered:
        """The ring as a successor finds it: two commands seen by the predecessor, one not."""

        def __init__(self) -> None:
            self.try_peek = consumer.try_peek
            self.release = consumer.release
            self.pending = consumer.pending

        def recovered(self, lane: int = 0) -> tuple[int, int, int]:
            return (0, 2, 3) if lane == 0 else (0, 0, 0)

    stand = Stand(rings=(producer, Recovered()))
    stand.bring_up()
    for _ in range(4):
        stand.place(SPOT)
    stand.work()
    reports = stand.reports_now()
    assert [ReportKind(r.header.kind).name for r in reports] == ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN", "NOT_SENT"]
    assert {r.reason for r in reports} == {int(Reason.QUEUED_BEFORE_RESTART)}
    assert len(stand.sent(SPOT)) == 1


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
