"""The engine against a network in memory: the test plays prepost and the venues."""

from engine_stand import OPEN_ORDERS, SPOT, USDM, Stand, ack, name_of, order_row

from reactor.domain.messages import (
    SIZE,
    VIEW,
    CommandKind,
    Reason,
    ReportKind,
)
from reactor.net.network import Failure
from shm.ring import URGENT, heap_ring

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
            self.try_take = consumer.try_take
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
