"""The collector's door, with the real rings in private memory."""

import gc
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from collector_bench import OTHER_PERPETUAL, OTHER_SPOT, PAIRS, PERPETUAL, SPOT, Bench, make_bench

from reactor.collector.parameters import CollectorParameters
from reactor.collector.role import Counter
from reactor.collector.triggers.parameters import MTParameters
from reactor.collector.triggers.registry import TriggersParameters, UserTrigger
from reactor.collector.triggers.trigger import problem_of
from reactor.domain.errors import ConfigError
from reactor.domain.messages import (
    FLAG_CLOSE,
    FLAG_HEDGE,
    FLAG_LAST_PART,
    FLAG_URGENT,
    NO_INSTRUMENT,
    NO_STRATEGY,
    ControlKind,
    EventKind,
    ResponseKind,
    Side,
    SignalType,
    Stage,
    clear,
    event_is_sound,
    new,
)
from shm.ring import NORMAL, URGENT


def test_spread_and_funding_that_agree_open_the_pair(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.funding(rate=0.0003, direction=-1)
    signal_id = feed.spread(spread=0.002, percentile=0.93)
    (event,) = bench.run()
    header = event.header
    assert header.kind == EventKind.OPEN
    assert (header.instrument_index, header.hedge_instrument_index, header.pair_id) == (SPOT, PERPETUAL, 0)
    assert (event.direction, event.side) == (-1, Side.BUY)
    assert list(event.values)[:3] == [0.002, 0.93, 0.0003]
    assert (event.bid_ticks, event.hedge_ask_ticks) == (6_000_000, 6_012_001)
    assert header.signal_id == signal_id
    assert header.source == 4
    assert header.flags == 0
    assert header.sequence == 1


def test_an_event_carries_the_stages_of_its_cause_and_its_own(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.funding()
    bench.run()
    feed.spread(age_ms=3)
    (event,) = bench.run()
    now_ns = bench.clock.monotonic_ns()
    stages = list(event.header.stage_ns)
    assert stages[Stage.RECEIVE] == now_ns - 3_005_000
    assert stages[Stage.SIGNAL] == now_ns - 3_000_000
    assert stages[Stage.EVENT] == now_ns
    assert stages[Stage.COMMAND] == 0
    assert event.header.exchange_ns == 1_700_000_000_000_000_000


def test_a_negative_funding_opens_the_other_way_round(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.funding(rate=-0.0003, direction=1)
    feed.send(SignalType.ADAPTIVE_SPREAD_DEVIATION, [-0.001, 0.05, 0.0007, 0.95])
    (event,) = bench.run()
    assert (event.direction, event.side) == (1, Side.SELL)
    assert list(event.values)[:3] == [0.0007, 0.95, -0.0003]


def test_signals_of_two_pairs_do_not_mix(bench: Bench) -> None:
    bench.feeds[0].spread()
    bench.feeds[0].funding(legs=(OTHER_SPOT, OTHER_PERPETUAL))
    assert bench.run() == []
    bench.feeds[0].spread(legs=(OTHER_SPOT, OTHER_PERPETUAL))
    (event,) = bench.run()
    assert event.header.pair_id == 1


def test_a_spread_against_another_hedge_leg_says_nothing(bench: Bench) -> None:
    bench.feeds[0].funding()
    bench.feeds[0].spread(legs=(SPOT, OTHER_PERPETUAL))
    assert bench.run() == []


def test_a_true_condition_fires_once_and_again_after_its_rearm_time(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.funding()
    feed.spread()
    assert len(bench.run()) == 1
    for _ in range(50):
        bench.clock.advance(10_000_000)
        feed.spread()
        assert bench.run() == []
    bench.clock.advance(500_000_000)
    feed.spread()
    assert len(bench.run()) == 1


def test_a_condition_seen_false_arms_the_trigger_again(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.funding()
    feed.spread()
    feed.spread(percentile=0.3)
    feed.spread()
    assert len(bench.run()) == 2


def test_a_closed_pair_arms_its_triggers_and_no_others(bench: Bench) -> None:
    feed = bench.feeds[0]
    for legs in PAIRS:
        feed.funding(legs=legs)
        feed.spread(legs=legs)
    assert len(bench.run()) == 2
    bench.respond(ResponseKind.PAIR_CLOSED, pair_id=1)
    for legs in PAIRS:
        feed.spread(legs=legs)
    (event,) = bench.run()
    assert event.header.pair_id == 1


def test_a_stale_spread_never_opens_however_high_it_was(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.spread(percentile=1.0, age_ms=501)
    feed.funding()
    assert bench.run() == []
    bench.role.on_stop(0)
    assert bench.metrics.get(Counter.STALE) >= 1


def test_a_signal_that_becomes_stale_does_not_arm_the_trigger_again(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.funding()
    feed.spread()
    assert len(bench.run()) == 1
    bench.clock.advance(600_000_000)
    feed.funding()  # Evaluated with a spread that is too old: nobody can tell.
    assert bench.run() == []
    feed.spread()
    assert bench.run() == []


@pytest.mark.parametrize(
    ("signal_type", "values", "reason"),
    [
        pytest.param(SignalType.POSITION_CLOSE, [1.0, 0.004, 60.0], 1, id="take profit"),
        pytest.param(SignalType.POSITION_CLOSE, [2.0, -0.01, 60.0], 2, id="stop loss"),
        pytest.param(SignalType.POSITION_CLOSE, [3.0, 0.0, 90_000.0], 3, id="age"),
        pytest.param(SignalType.REAL_TIME_FUNDING_RISK, [1.0, -0.0004, -1.0], 4, id="funding turned"),
    ],
)
def test_a_reason_to_close_closes_both_legs_urgently(bench: Bench, signal_type: int, values: list[float], reason: int) -> None:
    bench.feeds[0].send(signal_type, values)
    (event,) = bench.run()
    header = event.header
    assert header.kind == EventKind.CLOSE
    assert (header.instrument_index, header.hedge_instrument_index, header.pair_id) == (SPOT, PERPETUAL, 0)
    assert header.flags == FLAG_CLOSE | FLAG_URGENT
    assert event.reason == reason


def test_no_risk_and_no_reason_close_nothing(bench: Bench) -> None:
    bench.feeds[0].send(SignalType.REAL_TIME_FUNDING_RISK, [0.0, 0.0004, -1.0])
    bench.feeds[0].send(SignalType.POSITION_CLOSE, [0.0, 0.001, 5.0])
    assert bench.run() == []


@pytest.mark.parametrize(("lots", "side"), [(250, Side.BUY), (-250, Side.SELL)])
def test_a_required_hedge_becomes_an_urgent_event_every_time(bench: Bench, lots: int, side: int) -> None:
    bench.require_hedge(lots)
    bench.require_hedge(lots)
    first, second = bench.run()
    for event in (first, second):
        assert event.header.kind == EventKind.HEDGE
        assert event.header.flags == FLAG_HEDGE | FLAG_URGENT
        assert (event.side, event.quantity_lots) == (side, 250)
        assert (event.header.order_id, event.header.pair_sequence, event.header.pair_id) == (77, 3, 0)
    assert second.header.sequence == first.header.sequence + 1


def test_other_responses_cause_no_event(bench: Bench) -> None:
    for kind in (ResponseKind.ACCEPTED, ResponseKind.FILL, ResponseKind.CLOSED, ResponseKind.PAIR_OPENED):
        bench.respond(kind, 5)
    assert bench.run() == []
    assert bench.metrics.get(Counter.RESPONSES) == 4


def test_hedges_and_closes_go_out_on_the_urgent_lane_and_opens_on_the_normal_one(bench: Bench) -> None:
    feed = bench.feeds[0]
    feed.funding()
    feed.spread()
    feed.send(SignalType.POSITION_CLOSE, [2.0, 0.0, 1.0])
    bench.require_hedge(5)
    bench.role.do_work(bench.clock.monotonic_ns())
    assert bench.events.pending(URGENT) == 2
    assert [event.header.kind for event in bench.drain()] == [EventKind.HEDGE, EventKind.CLOSE, EventKind.OPEN]


def test_the_parts_of_a_grid_go_out_together_although_two_feeds_quote_at_once() -> None:
    bench = make_bench(feeds=2)
    left, right = bench.feeds
    left.part(strategy=1, is_last=False, signal_id=11)
    right.part(strategy=2, is_last=False, signal_id=21)
    right.part(strategy=2, is_last=True, signal_id=21)
    assert [event.strategy_index for event in bench.run()] == [2, 2]
    left.part(strategy=1, is_last=False, signal_id=11)
    left.part(strategy=1, is_last=True, signal_id=11)
    events = bench.run()
    assert [event.strategy_index for event in events] == [1, 1, 1]
    assert [bool(event.header.flags & FLAG_LAST_PART) for event in events] == [False, False, True]
    assert all(event.header.kind == EventKind.QUOTES and event.quotes[0].quantity_lots == 7 for event in events)


def test_a_grid_whose_rest_never_comes_does_not_block_its_lane_for_ever() -> None:
    bench = make_bench(capacity=8)
    feed = bench.feeds[0]
    feed.part(strategy=1, is_last=False, signal_id=1)
    bench.run()
    bench.clock.advance(1_100_000_000)
    bench.run()
    for number in range(20):
        feed.part(strategy=1, is_last=True, signal_id=2 + number)
        assert len(bench.run()) == 1
    assert "grid" in bench.log.records[-1][1]


def test_a_strategys_order_cancel_and_halt_become_events(bench: Bench) -> None:
    feed = bench.feeds[0]

    def order(signal: Any) -> None:
        signal.strategy_index, signal.order_type, signal.time_in_force = 3, 0, 3
        signal.quotes[0].price_ticks, signal.quotes[0].quantity_lots = 123, -45

    def cancel(signal: Any) -> None:
        signal.strategy_index, signal.header.order_id = 3, 99

    feed.send(SignalType.STRATEGY_ORDER, lane=URGENT, fill=order)
    feed.send(SignalType.STRATEGY_CANCEL, lane=URGENT, fill=cancel)
    feed.send(SignalType.STRATEGY_HALT, [27.0], legs=(NO_INSTRUMENT, NO_INSTRUMENT), lane=URGENT)
    urgent_cancel, halt, placed, late_cancel = bench.run()
    assert (urgent_cancel.header.kind, urgent_cancel.target_order_id) == (EventKind.CANCEL, 99)
    assert (halt.header.kind, halt.header.instrument_index, halt.reason) == (EventKind.HALT, NO_INSTRUMENT, 27)
    assert (placed.header.kind, placed.side, placed.quantity_lots, placed.price_ticks) == (EventKind.ORDER, Side.SELL, 45, 123)
    assert (placed.time_in_force, placed.strategy_index) == (3, 3)
    assert (late_cancel.header.kind, late_cancel.target_order_id) == (EventKind.CANCEL, 99)


def test_a_full_event_ring_stops_the_reading_and_loses_nothing() -> None:
    bench = make_bench(event_capacity=32, capacity=64)
    feed = bench.feeds[0]
    for number in range(40):
        feed.part(strategy=1, is_last=True, signal_id=100 + number)
    bench.role.do_work(bench.clock.monotonic_ns())
    bench.role.do_work(bench.clock.monotonic_ns())
    assert bench.metrics.get(Counter.BACKPRESSURE) == 1
    first = bench.drain()
    assert len(first) == 32
    assert len(bench.run()) == 8
    assert bench.metrics.get(Counter.SIGNALS_URGENT) == 40


def test_a_full_normal_lane_does_not_hold_up_a_hedge() -> None:
    bench = make_bench(event_capacity=32)
    for number in range(33):
        bench.feeds[0].part(strategy=1, is_last=True, signal_id=100 + number)
    bench.role.do_work(bench.clock.monotonic_ns())
    bench.require_hedge(5)
    bench.role.do_work(bench.clock.monotonic_ns())
    assert bench.events.pending(URGENT) == 1


def test_an_event_ring_that_could_never_take_a_grid_is_refused_at_start() -> None:
    with pytest.raises(ConfigError, match="too small"):
        make_bench(event_capacity=16)


def test_a_signal_nobody_looks_at_is_counted_and_dropped(bench: Bench) -> None:
    bench.feeds[0].send(SignalType.USER + 3, [1.0])
    assert bench.run() == []
    bench.role.on_stop(0)
    assert bench.metrics.get(Counter.SIGNALS_UNBOUND) == 1


def reload_with(parameters: CollectorParameters | Exception) -> Any:
    def load(generation: int) -> CollectorParameters:
        if isinstance(parameters, Exception):
            raise parameters
        return parameters

    return load


def send_reload(bench: Bench, generation: int = 7) -> None:
    message = bench.control.try_claim()
    clear(message, "control")
    message.header.kind = ControlKind.RELOAD
    message.header.sequence = bench.control.sequence()
    message.generation = generation
    bench.control.commit()


def test_a_reload_changes_thresholds_and_keeps_signals_and_edges() -> None:
    strict = CollectorParameters(pairs=PAIRS, triggers=TriggersParameters(mt=MTParameters(percentile_min=0.95)))
    bench = make_bench(strict, reload=reload_with(CollectorParameters(pairs=PAIRS)))
    feed = bench.feeds[0]
    feed.funding()
    feed.spread(percentile=0.9)
    assert bench.run() == []
    send_reload(bench)
    assert bench.run() == []
    feed.spread(percentile=0.9)  # The funding rate of before the reload is still known.
    assert len(bench.run()) == 1
    send_reload(bench, 8)
    feed.spread(percentile=0.9)
    assert bench.run() == []  # The edge too.
    assert bench.metrics.view.plan_generation == 8


def test_a_refused_reload_leaves_the_old_parameters() -> None:
    bench = make_bench(reload=reload_with(ConfigError("percentile_min: 1.5 is above 1")))
    send_reload(bench)
    bench.run()
    assert bench.metrics.get(Counter.RELOADS_REFUSED) == 1
    bench.feeds[0].funding()
    bench.feeds[0].spread()
    assert len(bench.run()) == 1


USER_FILE = """
from reactor.collector.triggers.trigger import Binding, Priority, Trigger, set_leg
from reactor.domain.messages import EventKind, Side, SignalType

class WideSpread(Trigger):
    name = "wide_spread"

    def __init__(self, context, instrument, spread_min, mistake=""):
        self.index = context.instruments.by_name(instrument).instrument_index
        self.spread_min = spread_min
        self.mistake = mistake

    def bindings(self):
        return (Binding(SignalType.BOOK_TOP, self.index, age_ms_max=100),)

    def evaluate(self, signals, now_ns):
        if self.mistake == "evaluate":
            return 1 // 0
        return signals[0].values[1] >= self.spread_min

    def write(self, event, signals):
        if self.mistake == "write":
            raise RuntimeError("half done")
        event.header.kind = EventKind.ORDER
        set_leg(event, 900 if self.mistake == "leg" else self.index)
        event.side = Side.BUY
        event.quantity_lots = 0 if self.mistake == "quantity" else 10
        event.price_ticks = signals[0].bid_ticks
"""


def user_bench(folder: Path, mistake: str = "") -> Bench:
    file = folder / "mine.py"
    file.write_text(USER_FILE)
    mine = UserTrigger(str(file), "WideSpread", {"instrument": "binance_spot:BTCUSDT", "spread_min": 2.0, "mistake": mistake})
    return make_bench(replace(CollectorParameters(pairs=PAIRS), triggers=TriggersParameters(users=(mine,))))


def test_a_trigger_of_the_users_own_fires_from_its_file(tmp_path: Path) -> None:
    bench = user_bench(tmp_path)
    bench.feeds[0].send(SignalType.BOOK_TOP, [60_000.0, 1.0])
    assert bench.run() == []
    bench.feeds[0].send(SignalType.BOOK_TOP, [60_000.0, 3.0])
    (event,) = bench.run()
    assert (event.header.kind, event.quantity_lots, event.price_ticks) == (EventKind.ORDER, 10, 6_000_000)
    assert event.strategy_index == NO_STRATEGY, "no hosted strategy hears of what a trigger of the user's own has ordered"


@pytest.mark.parametrize(("signal_type", "readers"), [("BOOK_TOP", 0), ("ORDER_RESPONSE", 1)])
def test_it_says_whether_a_trigger_of_the_user_looks_at_what_becomes_of_orders(
    tmp_path: Path, signal_type: str, readers: int
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(USER_FILE.replace("SignalType.BOOK_TOP, self.index", f"SignalType.{signal_type}, self.index"))
    mine = UserTrigger(str(file), "WideSpread", {"instrument": "binance_spot:BTCUSDT", "spread_min": 2.0})
    bench = make_bench(replace(CollectorParameters(pairs=PAIRS), triggers=TriggersParameters(users=(mine,))))
    assert bench.metrics.get(Counter.RESPONSE_READERS) == readers


@pytest.mark.parametrize("mistake", ["evaluate", "write", "leg", "quantity"])
def test_a_users_trigger_that_errs_is_switched_off_and_the_others_go_on(tmp_path: Path, mistake: str) -> None:
    bench = user_bench(tmp_path, mistake)
    feed = bench.feeds[0]
    for _ in range(3):
        feed.send(SignalType.BOOK_TOP, [60_000.0, 3.0])
    feed.funding()
    feed.spread()
    events = bench.run()
    assert [event.header.kind for event in events] == [EventKind.OPEN]
    assert bench.metrics.get(Counter.TRIGGERS_OFF) == 1
    reports = [fields for level, text, fields in bench.log.records if "switched off" in text]
    assert [report["trigger"] for report in reports] == ["wide_spread"]


def test_a_restarted_collector_begins_with_an_empty_table_and_fills_it_from_live_signals(bench: Bench) -> None:
    bench.feeds[0].funding()
    bench.run()
    successor = make_bench()
    successor.feeds[0].spread()
    assert successor.run() == []
    successor.feeds[0].funding()
    assert len(successor.run()) == 1


def test_a_warm_collector_allocates_nothing_that_stays(bench: Bench) -> None:
    feed = bench.feeds[0]

    def turn() -> None:
        for number in range(20):
            feed.spread(percentile=0.1 + 0.8 * (number % 2))
            feed.part(strategy=1, is_last=True, signal_id=number + 1)
        bench.require_hedge(5)
        bench.role.do_work(bench.clock.monotonic_ns())
        for lane in (URGENT, NORMAL):
            while bench.events.try_peek(lane) is not None:
                pass
            bench.events.release(lane)
        bench.clock.advance(1_000_000)

    feed.funding()
    for _ in range(50):
        turn()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(50):
        turn()
    assert sys.getallocatedblocks() - before < 20


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", 6), ("kind", 7), ("instrument_index", 4), ("instrument_index", NO_INSTRUMENT), ("hedge_instrument_index", 9),
     ("quote_count", 6), ("quote_count", 7), ("side", 0), ("side", -1), ("quantity_lots", 0), ("quantity_lots", -3)],
)  # fmt: skip
def test_what_makes_an_event_unsound_is_one_rule_in_c_and_in_words(field: str, value: int) -> None:
    for kind in EventKind:
        event = new("event")
        event.header.kind, event.header.instrument_index, event.header.hedge_instrument_index = kind, 0, NO_INSTRUMENT
        event.side, event.quantity_lots = 1, 5
        setattr(event if hasattr(event, field) else event.header, field, value)
        assert bool(event_is_sound(event, 4)) == (not problem_of(event, 4))
