"""The live half of a comparison against its own tape: needs no backtest, and so runs wherever tests run."""

import pytest

from reactor.backtest.choice import Choice
from reactor.backtest.parity_live import LiveParameters, LiveRun, run_live
from reactor.data.events import BUY_EVENT, DEPTH_EVENT

LIVELY = Choice(
    "obi-mm",
    parameters={
        "order_qty": 0.004, "max_position": 0.02, "grid_interval": 1.0, "window": 10, "half_spread": 0.5,
        "volatility_interval_ms": 100, "volatility_samples_min": 5, "live_seconds": 2.0,
    },
)  # fmt: skip
KINDS = 0xFF  # of an event's bits: those that say what it is


@pytest.fixture(scope="module")
def live() -> LiveRun:
    return run_live(LiveParameters(LIVELY, seconds=12.0))


def test_without_latency_a_decision_sees_the_position_of_every_fill_until_then(live: LiveRun) -> None:
    assert len(live.decisions) > 100
    assert len(live.fills) > 10
    seen = [(each.now_ns, each.position_lots) for each in live.decisions]
    assert seen == [
        (now_ns, sum(fill.quantity_lots for fill in live.fills if fill.exchange_ns <= now_ns)) for now_ns, _ in seen
    ]


def test_without_latency_a_decision_sees_the_top_that_the_market_has(live: LiveRun) -> None:
    seen = [(each.now_ns, each.bid_ticks, each.ask_ticks) for each in live.decisions]
    assert seen == [(now_ns, *top_of(live, now_ns)) for now_ns, _, _ in seen]


def test_our_own_risk_rules_refuse_nothing(live: LiveRun) -> None:
    assert live.refusals == 0


def top_of(live: LiveRun, now_ns: int) -> tuple[int, int]:
    """Best bid and ask in ticks, of everything told until then."""
    bids: dict[int, float] = {}
    asks: dict[int, float] = {}
    tick_size, events = live.instrument.price_float(1), live.events
    told = events[(events["local_ts"] <= now_ns) & ((events["ev"] & KINDS) == DEPTH_EVENT)]
    for event, price, quantity in zip(told["ev"].tolist(), told["px"].tolist(), told["qty"].tolist(), strict=True):
        levels, ticks = bids if event & BUY_EVENT == BUY_EVENT else asks, round(price / tick_size)
        levels[ticks] = quantity
    return max(ticks for ticks, lots in bids.items() if lots), min(ticks for ticks, lots in asks.items() if lots)
