"""What the rows of one decision tell."""

from typing import Any, Final

from reactor.monitor.story import Step, Story, tell
from reactor.prepost.orders import Leg, OrderEvent, OrderState

BOOT_NS: Final = 1_764_000_000_000_000_000  # the wall time of the host's start
PASS_NS: Final = 20_000  # A pass begins so long before the last stamp that it writes.
STATES: Final = {state: state.name.lower() for state in OrderState}


def order_row(order_id: int, what: OrderEvent, to: OrderState, leg: Leg = Leg.OPEN, **values: Any) -> dict[str, Any]:
    """One transition. Stamps are µs since the host's start."""
    stamps = {f"{name}_ns": values.pop(name, 0) * 1_000 for name in ("receive", "signal", "event", "command", "send", "ack")}
    stamps["report_ns"] = values.pop("report", 0) * 1_000
    wall_ns = BOOT_NS + max(stamps.values()) - PASS_NS
    row = {
        "order_id": order_id, "client_order_id": f"ct{order_id}", "venue_order_id": 0, "venue": "binance_spot",
        "symbol": "BTCUSDT", "side": "buy", "order_type": "limit", "time_in_force": "ioc", "price": "60000.00",
        "quantity": "0.00200", "filled": "0.00000", "filled_lots": 0, "state_to": STATES[to], "state_to_code": int(to),
        "event": what.name.lower(), "event_code": int(what), "reason": "", "leg": int(leg), "pair_id": 1, "pair_sequence": 3,
        "signal_id": 77, "flags": 0, "exchange_ns": 0, "wall_ns": wall_ns,
    }  # fmt: skip
    return row | stamps | values


def fill_row(order_id: int, filled_lots: int, **values: Any) -> dict[str, Any]:
    row = {
        "order_id": order_id, "filled_lots": filled_lots, "quantity": "0.00100", "price": "59999.99", "is_maker": 0,
        "is_liquidation": 0, "fee": "0.06", "fee_asset": "USDT", "trade_id": 900 + filled_lots, "exchange_ns": 0, "wall_ns": 0,
    }  # fmt: skip
    return row | values


WAY: Final[dict[str, Any]] = {"receive": 1_000, "signal": 1_010, "event": 1_035, "command": 1_105}
OPEN: Final = [
    order_row(1, OrderEvent.SUBMIT, OrderState.SUBMITTED, **WAY, exchange_ns=BOOT_NS - 2_000_000),
    order_row(1, OrderEvent.ACK, OrderState.ACKNOWLEDGED, **WAY, send=1_205, ack=1_900, report=1_950, venue_order_id=5),
    order_row(
        1, OrderEvent.PARTIAL_FILL, OrderState.PARTIALLY_FILLED, **WAY, send=1_205, ack=2_300, report=2_350, filled_lots=100
    ),
    order_row(1, OrderEvent.FILL, OrderState.FILLED, **WAY, send=1_205, ack=2_500, report=2_560, filled_lots=200),
]
HEDGE_WAY: Final[dict[str, Any]] = {"receive": 2_300, "signal": 2_450, "event": 2_500, "command": 2_570, "flags": 2}
HEDGE: Final = [
    order_row(2, OrderEvent.SUBMIT, OrderState.SUBMITTED, Leg.HEDGE, **HEDGE_WAY),
    order_row(2, OrderEvent.ACK, OrderState.ACKNOWLEDGED, Leg.HEDGE, **HEDGE_WAY, send=2_650, ack=4_000, report=4_060),
]


def stages(story: Story, order: str) -> list[tuple[str, float]]:
    """The steps of an order, with µs since the tick."""
    return [(step.stage, step.since_tick_ns / 1_000) for step in story.steps if step.order == order]


def step(story: Story, stage: str, order: str = "ct1") -> Step:
    return next(each for each in story.steps if each.stage == stage and each.order == order)


def test_a_decision_is_told_from_the_tick_to_the_last_fill() -> None:
    story = tell(OPEN, [fill_row(1, 100), fill_row(1, 200)])
    assert stages(story, "ct1") == [
        ("tick", 0), ("signal", 10), ("event", 35), ("command", 105), ("sent", 205), ("ack", 900), ("fill", 1_300),
        ("fill", 1_500), ("closed", 1_560),
    ]  # fmt: skip
    assert (story.signal_id, story.tick_to_sent_ns, story.sent_to_ack_ns) == (77, 205_000, 695_000)
    assert step(story, "ack").since_before_ns == 695_000
    assert step(story, "ack").applied_after_ns == 50_000
    assert step(story, "ack").text == "venue order id 5"


def test_stamps_are_put_on_the_wall_by_the_pass_that_came_nearest() -> None:
    late = [dict(row) for row in OPEN]
    late[0]["wall_ns"] -= 3_000_000  # a long pass
    story = tell(late)
    assert story.steps[0].wall_ns == BOOT_NS + 1_000_000 - PASS_NS


def test_each_fill_stands_where_its_own_report_came() -> None:
    story = tell(OPEN, [fill_row(1, 200, is_maker=1), fill_row(1, 100)])
    texts = [step.text for step in story.steps if step.stage == "fill"]
    assert [text.rpartition(" ")[2] for text in texts] == ["1000", "1100"]
    assert "taker" in texts[0]
    assert "maker" in texts[1]


def test_the_hedge_follows_with_stages_of_its_own() -> None:
    story = tell([*OPEN[:3], *HEDGE, OPEN[3]], [fill_row(1, 100)])
    assert stages(story, "ct2") == [
        ("fill seen", 1_300), ("signal", 1_450), ("event", 1_500), ("command", 1_570), ("sent", 1_650), ("ack", 3_000),
    ]  # fmt: skip
    assert story.fill_to_hedge_sent_ns == 350_000
    assert [line.leg for line in story.orders] == ["open", "hedge"]
    assert story.orders[1].is_urgent


def test_what_the_exchanges_clock_said_stands_with_the_tick_and_the_fills() -> None:
    story = tell(OPEN, [fill_row(1, 100, exchange_ns=BOOT_NS + 7)])
    assert step(story, "tick").exchange_ns == BOOT_NS - 2_000_000
    assert step(story, "fill").exchange_ns == BOOT_NS + 7


def test_what_has_no_stamp_stands_where_it_was_written_and_measures_nothing() -> None:
    asked = order_row(1, OrderEvent.CANCEL_REQUEST, OrderState.PENDING_CANCEL, wall_ns=BOOT_NS + 2_000_000)
    story = tell([*OPEN[:2], asked])
    assert step(story, "cancel asked").since_tick_ns == 1_020_000
    assert not step(story, "cancel asked").is_measured


def test_stamps_of_another_boot_are_not_mixed_with_these() -> None:
    after = order_row(1, OrderEvent.CANCELLED, OrderState.CANCELLED, ack=7, report=9, wall_ns=BOOT_NS + 3_600_000_000_000)
    story = tell([*OPEN[:2], after])
    assert step(story, "cancelled").wall_ns == BOOT_NS + 3_600_000_000_000
    assert not step(story, "cancelled").is_measured
    assert step(story, "closed").text == "cancelled"


def test_a_fill_whose_transition_was_refused_is_told_all_the_same() -> None:
    story = tell(OPEN[:2], [fill_row(1, 100, wall_ns=BOOT_NS + 9_000_000)])
    assert step(story, "fill").wall_ns == BOOT_NS + 9_000_000


def test_an_end_says_why() -> None:
    refused = order_row(
        1, OrderEvent.REJECT, OrderState.REJECTED, **WAY, send=1_205, ack=1_900, report=1_950, reason="insufficient_balance"
    )
    story = tell([OPEN[0], refused])
    assert story.steps[-1].text == "rejected: insufficient_balance"
    assert story.orders[0].is_closed


def test_what_the_pair_did_meanwhile_stands_between() -> None:
    pair = {
        "state_from": "opening", "state_to": "open", "open_quantity": "0.002", "hedge_quantity": "-0.002", "reason": "",
        "realised_pnl_e8": 0, "fees_e8": 5, "funding_e8": 0, "wall_ns": BOOT_NS + 2_000_000,
    }  # fmt: skip
    story = tell(OPEN, [], [pair])
    assert [each.stage for each in story.steps if each.leg == "pair"] == ["opening → open"]


def test_a_journal_without_stamps_is_told_by_its_wall_times() -> None:
    bare = [
        order_row(1, OrderEvent.SUBMIT, OrderState.SUBMITTED, wall_ns=BOOT_NS),
        order_row(1, OrderEvent.ACK, OrderState.ACKNOWLEDGED, wall_ns=BOOT_NS + 1_000),
    ]
    story = tell(bare)
    assert stages(story, "ct1") == [("command", 0), ("ack", 1)]
    assert story.tick_to_sent_ns is None
