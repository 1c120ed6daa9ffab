"""Strategies on the past."""

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("hftbacktest", reason="needs the extra 'backtest'")

from own_strategies import AtTheTouch, Failing, Follow, NotNumba, Story, flatten

from reactor.backtest.host import Run, decisions_of, run, scale_of
from reactor.backtest.ledger import account_of
from reactor.backtest.market import Market, open_market
from reactor.backtest.parameters import AssetParameters, BacktestParameters
from reactor.domain.errors import ConfigError
from reactor.domain.units import E8
from reactor.prepost.quotes import difference
from reactor.strategies.registry import make_strategy
from reactor.strategies.strategy import Quote, Strategy, Wishes

LIVELY = {"half_spread": 0.5, "window": 30, "order_qty": 0.01, "max_position": 0.1, "volatility_samples_min": 5}


def market_of(*files: str, **more: Any) -> Market:
    return open_market(AssetParameters("X", files, **more))


def parameters_of(*markets: Market, **more: Any) -> BacktestParameters:
    return BacktestParameters(tuple(market.parameters for market in markets), keeps_decisions=True, **more)


def played(market: Market, *strategies: Strategy, **more: Any) -> Run:
    return run(list(strategies), [market] * len(strategies), parameters_of(market, **more))


def equal(one: Run, other: Run) -> bool:
    names = ("fills", "samples", "decisions", "wanted")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_compiled_and_interpreted_do_the_same_to_the_last_order(small_market: str):
    market = market_of(small_market)
    runs = [played(market, make_strategy("obi-mm", 0, scale_of(market), LIVELY), is_interpreted=each) for each in (False, True)]
    assert [each.is_compiled for each in runs] == [True, False]
    assert equal(*runs)
    assert runs[0].counters == runs[1].counters
    assert len(runs[0].fills) > 5


def test_a_users_own_kernel_is_compiled_with_the_functions_it_calls(small_market: str):
    market = market_of(small_market)
    runs = [played(market, Follow(0, scale_of(market)), is_interpreted=each) for each in (False, True)]
    assert [each.is_compiled for each in runs] == [True, False]
    assert equal(*runs)
    assert len(runs[0].fills) > 5
    assert (runs[0].fills["is_maker"] == 0).any(), "it flattens now and then"
    assert decisions_of(runs[0])[-1].is_halt
    assert runs[0].live_at_end == [0], "a halt withdraws everything"


def test_the_same_run_twice_gives_the_same_fills(small_market: str):
    market = market_of(small_market)
    runs = [played(market, make_strategy("obi-mm", 0, scale_of(market), LIVELY)) for _ in range(2)]
    assert equal(*runs)


def test_money_in_integers_is_hftbacktests_own(perpetual: str):
    market = market_of(perpetual, maker_fee=-0.00005, taker_fee=0.0004)
    result = played(market, make_strategy("obi-mm", 0, scale_of(market), LIVELY))
    account = account_of(result.instruments[0], market.parameters, 0, result.fills, result.samples, [])
    last, theirs = account.points[-1], result.states[0]
    own = market.parameters
    assert last.position_lots * own.lot_size == pytest.approx(theirs["position"], abs=1e-9)
    assert last.fees_e8 / E8 == pytest.approx(theirs["fee"], abs=len(result.fills) / E8)
    mid = last.mid_half_ticks / 2 * own.tick_size
    assert last.gross_e8 / E8 == pytest.approx(theirs["balance"] + theirs["position"] * mid, abs=1e-6)
    assert account.totals.turnover_e8 / E8 == pytest.approx(theirs["trading_value"], abs=1e-6)
    assert len(result.fills) == theirs["num_trades"] > 100


def test_an_inverse_contract_is_settled_in_the_coin(inverse: str):
    market = market_of(inverse, is_inverse=True, contract_size=100.0)
    given = {"order_qty": 10, "max_position": 100, "window": 30, "half_spread": 0.5, "stop_change_z": 1e6}
    result = played(market, make_strategy("obi-mm", 0, scale_of(market), given))
    account = account_of(result.instruments[0], market.parameters, 0, result.fills, result.samples, [])
    last, theirs = account.points[-1], result.states[0]
    assert len(result.fills) > 10
    assert account.totals.turnover_e8 / E8 == pytest.approx(theirs["trading_value"], abs=1e-6)
    mid = last.mid_half_ticks / 2 * market.parameters.tick_size
    equity = -theirs["balance"] - 100.0 * theirs["position"] / mid
    assert last.gross_e8 / E8 == pytest.approx(equity, abs=1e-6)


def test_several_days_follow_each_other(spot_days: list[str]):
    market = market_of(*spot_days)
    result = played(market, make_strategy("obi-mm", 0, scale_of(market), {**LIVELY, "order_qty": 0.001}))
    times = result.decisions["now_ns"]
    assert (np.diff(times) >= 0).all()
    assert times[0] < open_market(AssetParameters("X", (spot_days[1],))).first_ns < times[-1]
    assert len(result.fills) > 20


def test_several_assets_run_on_one_clock_each_with_its_own_strategy(perpetual: str, spot_days: list[str]):
    markets = [market_of(perpetual), market_of(spot_days[0])]
    strategies = [make_strategy("obi-mm", number, scale_of(each), LIVELY) for number, each in enumerate(markets)]
    both = run(strategies, markets, parameters_of(*markets))
    assert both.is_compiled
    assert {0, 1} == set(both.decisions["asset"].tolist()) == set(both.fills["asset"].tolist())
    assert (np.diff(both.decisions["now_ns"]) >= 0).all()
    interpreted = [make_strategy("obi-mm", number, scale_of(each), LIVELY) for number, each in enumerate(markets)]
    assert equal(both, run(interpreted, markets, replace(parameters_of(*markets), is_interpreted=True)))


def test_nobody_is_asked_before_the_snapshot_or_after_the_end(small_market: str):
    market = market_of(small_market)
    times = played(market, Story(0, scale_of(market))).decisions["now_ns"]
    assert market.start_ns <= times[0]
    assert times[-1] <= market.last_ns


def test_it_is_asked_once_per_interval_and_at_least_once_a_second(small_market: str):
    market = market_of(small_market)
    gaps = np.diff(played(market, Story(0, scale_of(market))).decisions["now_ns"])
    assert gaps.min() >= 100_000_000
    assert gaps.max() <= 1_000_000_000


def test_a_plain_strategy_sees_book_tape_and_position_as_it_does_live(small_market: str):
    market = market_of(small_market)
    strategy = AtTheTouch(0, scale_of(market))
    result = played(market, strategy)
    assert len(result.fills) > 5
    for bid, ask, within, levels, deep, _, _, top in strategy.seen:
        assert bid[0] < ask[0]
        assert bid[1] > 0
        assert within == (bid[1], ask[1])
        assert (levels[0][0], levels[1][0]) == (bid, ask)
        assert levels[0][0][0] > levels[0][1][0] > levels[0][2][0]
        assert deep[0] == bid[0]
        assert deep[1] == levels[1][1][0]
        assert top == bid[0]
    assert strategy.seen[-1][5] > 0, "it saw trades"
    assert {seen[6] for seen in strategy.seen} != {0}, "it saw its position"


def test_a_quote_that_stands_where_it_is_wanted_stays(small_market: str):
    market = market_of(small_market)
    far = lambda view: [Quote(view.top.bid_ticks - 3000, 5), Quote(view.top.ask_ticks + 3000, -5)]  # noqa: E731
    first: list[Any] = []

    def same(view: Any) -> Any:
        first.append(far(view)) if not first else None
        return first[0]

    result = played(market, Story(0, scale_of(market), (same,) * 50))
    assert result.counters[0]["orders"] == 2
    assert result.counters[0]["cancelled"] == 0
    assert result.live_at_end == [2]


def test_two_quotes_at_one_price_are_one_order_and_a_smaller_wish_replaces_a_larger_order(small_market: str):
    market = market_of(small_market)
    price: list[int] = []

    def at(*lots: int) -> Any:
        def wish(view: Any) -> Any:
            price.append(view.top.bid_ticks - 3000)
            return [Quote(price[0], each) for each in lots]

        return wish

    result = played(market, Story(0, scale_of(market), (at(2, 3), at(5), at(7), at(4), at())))
    # 5 stays for a wish of 5 and for one of 7; for 4 it is replaced; then everything goes.
    assert (result.counters[0]["orders"], result.counters[0]["cancelled"], result.live_at_end) == (2, 2, [0])


def test_cancels_and_places_are_those_that_prepost_would_send(small_market: str):
    """Random grids far from the market, where nothing fills: prepost's own rule keeps a shadow of what must be live."""
    market, dice = market_of(small_market), random.Random(5)
    shadow: list[Any] = []
    counts = {"places": 0, "cancels": 0}

    def some_grid(view: Any) -> Any:
        base = 600_000 if view.top.bid_ticks > 610_000 else view.top.bid_ticks - 10_000
        grid = [(base + dice.randrange(4), dice.randrange(1, 4)) for _ in range(dice.randrange(6))]
        grid += [(base + 30_000 + dice.randrange(4), -dice.randrange(1, 4)) for _ in range(dice.randrange(6))]
        changes = difference(grid, shadow)
        counts["places"] += len(changes.places)
        counts["cancels"] += len(changes.cancels)
        shadow[:] = [order for order in shadow if order not in changes.cancels]
        for price, lots in changes.places:
            side = 1 if lots > 0 else -1
            shadow.append(SimpleNamespace(wants_cancel=False, side=side, price_ticks=price, remaining_lots=abs(lots)))
        return [Quote(*each) for each in grid]

    result = played(market, Story(0, scale_of(market), (some_grid,) * 250), latency="0")
    assert counts["places"] > 100
    assert result.counters[0]["orders"] == counts["places"]
    assert result.counters[0]["cancelled"] == counts["cancels"]
    assert result.live_at_end == [len(shadow)]
    assert len(result.fills) == 0


def test_an_order_that_only_reduces_never_opens(small_market: str):
    market = market_of(small_market)
    at_touch = lambda view: [Quote(view.top.bid_ticks, 3)]  # noqa: E731
    story = (flatten,) * 3 + (at_touch,) * 60 + (flatten,) * 3
    result = played(market, Story(0, scale_of(market), story))
    assert len(result.fills) >= 2
    assert result.samples["position_lots"][-1] == 0
    assert (np.cumsum(result.fills["quantity_lots"]) >= 0).all()


def test_no_wish_leaves_what_stands(small_market: str):
    market = market_of(small_market)
    far = lambda view: [Quote(view.top.bid_ticks - 3000, 5)]  # noqa: E731
    result = played(market, Story(0, scale_of(market), (far, None, None)))
    assert result.live_at_end == [1]
    assert [each.wants for each in decisions_of(result)[1:3]] == [None, None]


def test_decisions_say_what_was_wanted_and_seen(small_market: str):
    market = market_of(small_market)
    decisions = decisions_of(played(market, AtTheTouch(0, scale_of(market))))
    assert len(decisions) > 100
    for each in decisions:
        assert each.wants == ((each.bid_ticks, 1, 0), (each.ask_ticks, -1, 0))


def test_a_longer_latency_costs_fills(perpetual: str):
    market = market_of(perpetual)
    fills = [
        len(played(market, make_strategy("obi-mm", 0, scale_of(market), LIVELY), latency=latency).fills)
        for latency in ("0", "200")
    ]
    assert fills[0] != fills[1]


@pytest.mark.parametrize("queue", ["risk-averse", "log-prob", "log-prob2", "power-prob:2", "power-prob2:2", "power-prob3:2"])
def test_every_queue_model_of_hftbacktest_runs(small_market: str, queue: str):
    from reactor.backtest.parameters import QueueModel

    market = market_of(small_market)
    result = played(market, make_strategy("obi-mm", 0, scale_of(market), LIVELY), queue=QueueModel.parse(queue))
    assert result.counters[0]["orders"] > 0


def test_a_strategy_that_fails_ends_the_run_in_one_sentence(small_market: str):
    market = market_of(small_market)
    with pytest.raises(ConfigError, match=r"strategy failing failed at .*ZeroDivisionError"):
        played(market, Failing(0, scale_of(market)))


def test_a_kernel_that_cannot_be_compiled_says_so_and_what_to_do(small_market: str):
    market = market_of(small_market)
    with pytest.raises(ConfigError, match=r"cannot be compiled .*--interpreted"):
        played(market, NotNumba(0, scale_of(market)))


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wishes(cancels=(5,)), "no order ids"),
        ([Quote(1, 1)] * 65, "65 wishes at once; at most 64"),
    ],
    ids=["cancels", "a grid too large"],
)
def test_wishes_that_a_backtest_cannot_grant_are_refused(small_market: str, wish: Any, words: str):
    market = market_of(small_market)
    with pytest.raises(ConfigError, match=words):
        played(market, Story(0, scale_of(market), (wish,)))


def test_orders_without_end_are_stopped(small_market: str):
    market = market_of(small_market)

    def another(view: Any) -> Any:
        number = story.asked
        return [Quote(view.top.bid_ticks - 2000 - 64 * number - rung, 1) for rung in range(64)]

    story = Story(0, scale_of(market), (another,) * 20)
    with pytest.raises(ConfigError, match="more than 256 orders"):
        played(market, story, latency="5000")  # Nothing is acknowledged, so nothing can be cancelled.
