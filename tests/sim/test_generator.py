"""The market made of dice: the same every time, and shaped like the captures it was measured on."""

import statistics
from typing import Any

import pytest

from reactor.domain.errors import ConfigError
from reactor.sim.events import BookTickerEvent, DepthEvent, TradeEvent
from reactor.sim.exchange import SimulatedExchange
from reactor.sim.generator import Generator, GeneratorParameters
from reactor.sim.updates import BookUpdate, TopUpdate

START_NS = 1_700_000_000_000_000_000


def played(seconds: float, **parameters: Any) -> tuple[SimulatedExchange, list[Any]]:
    exchange = SimulatedExchange(Generator(GeneratorParameters(**{"symbols": ("BTCUSDT",)} | parameters)), START_NS)
    events: list[Any] = []
    for step in range(int(seconds * 10) + 1):
        exchange.advance(START_NS + step * 100_000_000)
        events += exchange.spot.take_events() + exchange.usdm.take_events()
    return exchange, events


def basis_bps(events: list[Any]) -> list[float]:
    """Perpetual mid over spot mid at every change of either, sampled once per 100 ms."""
    mids = {"spot": 0.0, "usdm": 0.0}
    samples: dict[int, float] = {}
    for event in sorted((event for event in events if isinstance(event, BookTickerEvent)), key=lambda event: event.event_ns):
        rules = event.rules
        mids[rules.product] = (event.bid_ticks + event.ask_ticks) * rules.tick_e8 / 2e8
        if all(mids.values()):
            samples[event.event_ns // 100_000_000] = (mids["usdm"] / mids["spot"] - 1) * 1e4
    return list(samples.values())


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    first, second, other = (played(2, seed=seed)[1] for seed in (5, 5, 6))
    key = [(type(event).__name__, event.event_ns) for event in first]
    assert key == [(type(event).__name__, event.event_ns) for event in second]
    assert key != [(type(event).__name__, event.event_ns) for event in other]


def test_one_symbol_does_not_disturb_another() -> None:
    alone = [event.event_ns for event in played(2)[1] if event.rules.symbol == "BTCUSDT"]
    both = [event.event_ns for event in played(2, symbols=("BTCUSDT", "ETHUSDT"))[1] if event.rules.symbol == "BTCUSDT"]
    assert alone == both


def test_message_rates_are_about_the_captured_ones() -> None:
    _, events = played(60, seed=3)
    rates = {
        (product, kind): sum(type(event) is kind and event.rules.product == product for event in events) / 60
        for product in ("spot", "usdm")
        for kind in (BookTickerEvent, TradeEvent)
    }
    assert 60 < rates[("spot", BookTickerEvent)] < 180
    assert 120 < rates[("usdm", BookTickerEvent)] < 280
    assert 15 < rates[("spot", TradeEvent)] < 60
    assert 30 < rates[("usdm", TradeEvent)] < 120
    depth = [event for event in events if isinstance(event, DepthEvent)]
    assert sum(event.rules.product == "usdm" and event.speed_ms == 0 for event in depth) / 60 == pytest.approx(20, abs=1)
    assert sum(event.rules.product == "spot" and event.speed_ms == 100 for event in depth) / 60 == pytest.approx(10, abs=0.5)


def test_density_thins_the_market() -> None:
    full, thin = (len(played(10, density=density)[1]) for density in (1.0, 0.2))
    assert thin < full * 0.5


def test_speed_compresses_time() -> None:
    slow = len(played(10, speed=1.0)[1])
    fast = len([event for event in played(10, speed=4.0)[1] if isinstance(event, BookTickerEvent | TradeEvent)])
    assert fast > slow * 2


def test_the_spread_is_one_tick_most_of_the_time_and_the_book_is_never_crossed() -> None:
    _, events = played(30)
    tops = [event for event in events if isinstance(event, BookTickerEvent)]
    assert all(0 < event.bid_ticks < event.ask_ticks for event in tops)
    assert sum(event.ask_ticks - event.bid_ticks == 1 for event in tops) > 0.8 * len(tops)


def test_the_basis_reverts_and_the_knobs_make_it_lively() -> None:
    calm = basis_bps(played(60, swing_bps=0.0, basis_mean_bps=-3.7)[1])
    assert statistics.mean(calm) == pytest.approx(-3.7, abs=0.6)
    assert 0.35 < statistics.pstdev(calm) < 1.0
    lively = basis_bps(played(60, swing_bps=2.0, basis_liveliness=2.0)[1])
    assert statistics.pstdev(lively) > 2 * statistics.pstdev(calm)


def test_a_threshold_strategy_finds_openings_and_closings_several_times_a_minute() -> None:
    """With the default knobs, the basis leaves its rolling middle on both sides often enough to trade."""
    basis = basis_bps(played(120)[1])
    middle, spread = statistics.mean(basis), statistics.pstdev(basis)
    crossings, is_open = 0, False
    for value in basis:
        if not is_open and value > middle + 0.7 * spread:
            is_open = True
        elif is_open and value < middle:
            is_open = False
            crossings += 1
    assert crossings >= 6


def test_depth_never_dries_up() -> None:
    exchange, _ = played(60)
    for venue in (exchange.spot, exchange.usdm):
        view: Any = venue.depth("BTCUSDT", 1000)
        assert len(view.bids) > 300
        assert len(view.asks) > 300


def test_levels_stay_behind_the_best_prices() -> None:
    source = Generator(GeneratorParameters(symbols=("BTCUSDT",)))
    source.start(START_NS)
    tops: dict[str, TopUpdate] = {}
    due_ns = 0
    for _ in range(5_000):
        assert source.next_due_ns() >= due_ns, "time never goes back"
        due_ns = source.next_due_ns()
        update = source.take()
        if isinstance(update, TopUpdate):
            tops[update.product] = update
        elif isinstance(update, BookUpdate) and not update.is_snapshot and update.product in tops:
            top = tops[update.product]
            assert all(ticks < top.bid_ticks for ticks, _ in update.bids)
            assert all(ticks > top.ask_ticks for ticks, _ in update.asks)


def test_made_up_coins_trade_beside_the_others_each_with_a_price_of_its_own() -> None:
    parameters = GeneratorParameters(symbols=("BTCUSDT",), coins=20)
    source = Generator(parameters)
    assert len(source.symbols()) == 42
    assert {rules.symbol for rules in source.symbols()} == {"BTCUSDT", *(f"COIN{number}USDT" for number in range(1, 21))}
    assert len({coin.price for coin, _, _ in parameters.listed()}) == 21
    with pytest.raises(ConfigError, match="has no COIN0USDT, XYZ"):
        Generator(GeneratorParameters(symbols=("BTCUSDT", "COIN0USDT", "XYZ")))
