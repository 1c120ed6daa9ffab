"""What no single value can be blamed for is refused all the same, in a sentence with its remedy."""

import pytest

from reactor.config.load import load
from reactor.domain.errors import ConfigError

PAIR = "{open: 'binance_spot:BTCUSDT', hedge: 'binance_usdm:BTCUSDT'}"


def problems_of(*assignments: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(assignments=assignments)
    return caught.value.problems


def test_contradictions_are_sentences_with_a_remedy() -> None:
    found = problems_of(
        "strategy.pairs=[{open: 'binance_spot:BTCUSDT', hedge: 'binance_spot:BTCUSDT'}, {open: 'kraken:X', hedge: BTC}]",
        "exchanges.binance.simulated.speed=0",
        "strategy.settlement.asks_funding=false",
    )
    assert "strategy.pairs.0: a leg cannot hedge itself; give two instruments" in found
    assert any(problem.startswith("strategy.pairs.1.open: no venue is called 'kraken'") for problem in found)
    assert any(problem.startswith("strategy.pairs.1.hedge: 'BTC' is no instrument") for problem in found)
    assert "exchanges.binance.simulated.speed: must be greater than 0" in found
    assert "strategy.settlement.asks_funding: funding must be booked where it is paid; leave it true" in found


def test_a_leg_belongs_to_one_pair() -> None:
    first = "{open: 'binance_spot:BTCUSDT', hedge: 'binance_usdm:BTCUSDT'}"
    second = "{open: 'binance_spot:BTCUSDT', hedge: 'binance_usdm:ETHUSDT'}"
    (problem,) = problems_of(f"strategy.pairs=[{first}, {second}]")
    assert problem.startswith("strategy.pairs.1: binance_spot:BTCUSDT is a leg of strategy.pairs.0 already")


def test_a_signal_about_an_instrument_that_no_feed_has_is_refused() -> None:
    (problem,) = problems_of("strategy.signals.book_top_instruments=['binance_spot:BTCUSD']")
    assert "no feed has 'binance_spot:BTCUSD'" in problem


def test_the_terms_of_one_pair_are_checked_like_those_of_all() -> None:
    pairs = "strategy.pairs=[{open: 'binance_spot:BTCUSDT', hedge: 'binance_usdm:BTCUSDT', terms: {clips: 1}}]"
    assert any(problem.startswith("strategy.pairs.0.terms.clips") for problem in problems_of(pairs))


@pytest.mark.parametrize("key", ["risk_control.clip_usdt", "system.stop.drain_ms", "risk_control.margin_ratio_min"])
def test_an_amount_below_zero_is_refused(key: str) -> None:
    assert problems_of(f"{key}=-3")[0].startswith(f"{key}: -3")


def test_a_spread_or_a_rate_may_be_below_zero() -> None:
    load(assignments=["strategy.triggers.mt.spread_min=-0.01", "strategy.signals.funding_risk.risk_rate=-0.0001"])


def test_a_risk_rule_that_does_not_exist_is_refused_before_anything_starts() -> None:
    (problem,) = problems_of("risk_control.rules=[kill_switch, nope]")
    assert problem.startswith("risk_control.rules: no rule is called 'nope'; there are ")


def test_a_trigger_that_does_not_exist_is_refused_before_anything_starts() -> None:
    (problem,) = problems_of("strategy.triggers.names=[hedge, nope]")
    assert problem.startswith("strategy.triggers.names: no trigger is called 'nope'; there are hedge, ")


def test_what_is_wrong_with_a_live_bot_is_said_with_its_remedy() -> None:
    bot = "name: grid, file: nowhere.py, function: trade, clock_speed: 10.0"
    found = problems_of(
        f"strategy.live_bots=[{{{bot}, instruments: ['kraken:X'], roi: {{'binance_spot:BTCUSDT': [1.0, 2.0]}}}},"
        f" {{{bot}, instruments: []}}]",
        "exchanges.binance.environment=testnet",
    )
    assert "strategy.live_bots.0.instruments: 'kraken:X' is no instrument of exchanges.binance.venues" in found
    assert "strategy.live_bots.0.roi: binance_spot:BTCUSDT is none of its instruments" in found
    assert "strategy.live_bots.0.file: nowhere.py: no such file" in found
    assert "strategy.live_bots.0.clock_speed: a real market has its own speed; leave it at 1" in found
    assert any(problem.startswith("strategy.live_bots.1.instruments: empty") for problem in found)
    assert "strategy.live_bots.1.name: there is a live bot 'grid' already" in found


def test_a_feed_has_a_book_for_itself_and_a_pair_has_one_feed() -> None:
    pairs = f"strategy.pairs=[{PAIR}]"
    twice = "system.feeds=[['binance_spot:BTCUSDT', 'binance_usdm:BTCUSDT'], ['binance_spot:BTCUSDT']]"
    assert problems_of(pairs, twice) == ["system.feeds: binance_spot:BTCUSDT is in two feeds; one feed owns a book"]
    apart = "system.feeds=[['binance_spot:BTCUSDT'], ['binance_usdm:BTCUSDT']]"
    sentence = "system.feeds: binance_spot:BTCUSDT and binance_usdm:BTCUSDT are one pair; put them into the same feed"
    assert problems_of(pairs, apart) == [sentence]
    half = "system.feeds=[['binance_spot:BTCUSDT']]"
    assert problems_of(pairs, half) == ["system.feeds: no feed has binance_usdm:BTCUSDT, which a pair needs; add it", sentence]


def test_what_is_wrong_with_a_hosted_strategy_is_said_with_its_remedy() -> None:
    own = "{name: mine, instrument: 'binance_usdm:ETHUSDT', file: mine.py}"
    found = problems_of(
        f"strategy.pairs=[{PAIR}]",
        f"strategy.hosted=[{{name: obi-mm, instrument: 'kraken:X', parameters: {{nope: 1}}}}, {own}]",
        "system.feeds=[['binance_spot:BTCUSDT', 'binance_usdm:BTCUSDT']]",
    )
    assert "strategy.hosted.0.instrument: 'kraken:X' is no instrument of exchanges.binance.venues" in found
    assert any(problem.startswith("strategy.hosted.0: ") and "nope" in problem for problem in found)
    assert "strategy.hosted.1.class_name: which class of mine.py?" in found
    assert "system.feeds: no feed has binance_usdm:ETHUSDT, which mine trades; add it" in found
