"""The backtest and the live path take the same decisions in the same market; where they do not, the first place is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

pytest.importorskip("hftbacktest", reason="the extra 'backtest' is not installed")

from conftest import CAPTURES

from reactor.backtest import parity_commands
from reactor.backtest.choice import Choice
from reactor.backtest.commands import terminal
from reactor.backtest.host import Decision, decisions_of
from reactor.backtest.parity import compare, parity, run_past
from reactor.backtest.parity_commands import parity as command
from reactor.backtest.parity_commands import show
from reactor.backtest.parity_live import Fill, LiveParameters, LiveRun, run_live
from reactor.domain.errors import ConfigError

CONFIG = Path(__file__).parents[2] / "deploy" / "config" / "obi-mm.yaml"
QUICK = Choice(
    "obi-mm",
    parameters={
        "order_qty": 0.004, "max_position": 0.02, "grid_interval": 1.0, "window": 10, "half_spread": 0.5,
        "volatility_interval_ms": 100, "volatility_samples_min": 5, "live_seconds": 2.0,
    },
)  # fmt: skip
JUMPY = QUICK.with_parameters({"stop_volatility_z": 2.0, "stop_change_z": 3.0, "stop_window": 20, "stop_seconds": 1.0})
ETH = QUICK.with_parameters({"order_qty": 0.02, "max_position": 0.2, "grid_interval": 0.1, "half_spread": 0.05})
MS = 1_000_000
SECOND = 1000 * MS


@pytest.fixture(scope="module")
def wanted() -> LiveParameters:
    return LiveParameters(QUICK, seconds=12.0)


@pytest.fixture(scope="module")
def live(wanted: LiveParameters) -> LiveRun:
    return run_live(wanted)


def past_of(live: LiveRun, wanted: LiveParameters, **options: Any) -> tuple[list[Decision], list[Fill]]:
    run = run_past(live, wanted, **options)
    fills = [
        Fill(int(row["exchange_ns"]), int(row["price_ticks"]), int(row["quantity_lots"]), bool(row["is_maker"]))
        for row in run.fills
    ]
    return decisions_of(run), fills


# -- both ways


def test_without_latency_every_decision_and_every_fill_is_the_same(live: LiveRun, wanted: LiveParameters):
    result = compare(live, *past_of(live, wanted))
    assert result.divergence is None
    assert result.differences.decisions_live == result.differences.decisions_equal > 100
    assert result.differences.fills_live == result.differences.fills_common > 10
    assert result.differences.pnl_live == pytest.approx(result.differences.pnl_past, rel=1e-12)
    assert result.refusals == 0


def test_interpreted_and_compiled_are_the_same(live: LiveRun, wanted: LiveParameters):
    assert past_of(live, wanted, is_interpreted=True) == past_of(live, wanted)


def test_the_same_seed_trades_the_same(live: LiveRun, wanted: LiveParameters):
    again = run_live(wanted)
    assert (again.decisions, again.fills) == (live.decisions, live.fills)
    assert np.array_equal(again.events, live.events)


def test_a_stop_loss_strikes_on_both_sides_alike():
    result = parity(LiveParameters(JUMPY, seconds=20.0, seed=5))
    assert result.divergence is None


def test_another_parameter_is_found_at_the_first_decision_that_it_changes(live: LiveRun, wanted: LiveParameters):
    other = replace(wanted, choice=QUICK.with_parameters({"half_spread": 3.0}))
    result = compare(live, *past_of(live, other))
    assert result.divergence is not None
    assert result.divergence.what == "decision"
    ours, theirs = result.divergence.live, result.divergence.past
    assert isinstance(ours, Decision)
    assert isinstance(theirs, Decision)
    assert (ours.now_ns, ours.bid_ticks, ours.position_lots) == (theirs.now_ns, theirs.bid_ticks, theirs.position_lots)
    assert ours.wants != theirs.wants
    first = next(number for number, each in enumerate(live.decisions) if each.wants)
    assert result.divergence.number == first, "until then neither quotes"


def test_latency_is_told_as_a_figure():
    result = parity(LiveParameters(QUICK, seconds=10.0, latency_ns=2 * MS, jitter_ns=2 * MS))
    figures = result.differences
    assert figures.decisions_live > 50
    assert figures.decisions_equal < figures.decisions_live
    assert 0.5 < figures.quotes_equal_share <= 1.0
    assert 0 < figures.time_ms_mean < 100


def test_the_command_says_equal_and_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    told = tmp_path / "parity.json"
    command("obi-mm", config=CONFIG, param=["window=10"], seconds=8.0, json_path=told)
    assert "equal: every decision and every fill" in capsys.readouterr().out
    written = json.loads(told.read_text())
    assert written["is_equal"]
    assert written["differences"]["decisions_live"] > 50


def test_the_command_shows_what_each_side_saw_where_they_part(live: LiveRun, capsys: pytest.CaptureFixture[str]):
    other = [*live.decisions[:60], replace(live.decisions[60], wants=((1, 2, 1),))]
    result = compare(live, other, live.fills[:1])
    show(result, LiveParameters(QUICK), terminal())
    printed = capsys.readouterr().out
    assert "they part at" in printed
    assert "live path" in printed
    assert "backtest" in printed


def test_two_sides_that_part_without_latency_end_with_an_exit_code(monkeypatch: pytest.MonkeyPatch, live: LiveRun):
    parted = compare(live, live.decisions[:5], live.fills)
    monkeypatch.setattr(parity_commands, "run_both", lambda wanted, is_interpreted: parted)
    with pytest.raises(typer.Exit) as ended:
        command("obi-mm", config=CONFIG)
    assert ended.value.exit_code == 1


def test_a_symbol_that_nobody_lists_is_refused_by_its_name():
    with pytest.raises(ConfigError, match="NOPE"):
        run_live(LiveParameters(QUICK, symbol="NOPEUSDT"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("symbol", "choice", "seed"),
    [("BTCUSDT", QUICK, 11), ("BTCUSDT", JUMPY, 12), ("ETHUSDT", ETH, 13), ("BTCUSDT", QUICK, 14), ("BTCUSDT", JUMPY, 15)],
)
def test_minutes_of_many_markets_are_the_same(symbol: str, choice: Choice, seed: int):
    result = parity(LiveParameters(choice, seconds=120.0, seed=seed, symbol=symbol))
    assert result.divergence is None
    assert result.differences.fills_live > 20


@pytest.mark.long
def test_the_recorded_market_is_the_same():
    capture = CAPTURES / "usdm" / "btcusdt_20240808.gz"
    if not capture.is_file():
        pytest.skip(f"no captures: {capture}; CRYPTO_TRADE_DATA names their folder")
    result = parity(LiveParameters(QUICK, seconds=300.0, replay=(capture,)))
    assert result.divergence is None
    assert result.differences.fills_live > 100


# -- the comparison alone


def decision(at_ms: int, price: int = 1000, position: int = 0) -> Decision:
    return Decision(at_ms * MS, 0, 1001, 1002, position, ((price, 4, 0), (price + 10, -4, 0)))


def fill(at_ms: int, lots: int = 4) -> Fill:
    return Fill(at_ms * MS, 1000, lots, True)


def side(live: LiveRun, decisions: list[Decision], fills: list[Fill]) -> LiveRun:
    return replace(live, decisions=decisions, fills=fills, refusals=0)


def test_the_earlier_one_of_fill_and_decision_is_the_first_divergence(live: LiveRun):
    ours = side(live, [decision(0), decision(100), decision(200, position=4)], [fill(150)])
    result = compare(ours, [decision(0), decision(100), decision(200)], [])
    assert result.divergence is not None
    assert (result.divergence.what, result.divergence.number) == ("fill", 0)
    assert (result.divergence.live, result.divergence.past) == (fill(150), None)
    assert result.divergence.before == decision(100)


def test_a_side_that_stops_early_has_parted(live: LiveRun):
    result = compare(side(live, [decision(0)], []), [decision(0), decision(100)], [])
    assert result.divergence is not None
    assert (result.divergence.number, result.divergence.live, result.divergence.past) == (1, None, decision(100))


def test_fills_a_little_apart_are_common_each_once(live: LiveRun):
    ours = side(live, [decision(0)], [fill(100), fill(200), fill(5_000)])
    figures = compare(ours, [decision(0)], [fill(110), fill(9_000)]).differences
    assert (figures.fills_live, figures.fills_past, figures.fills_common) == (3, 2, 1)


def test_quotes_are_compared_with_those_nearest_in_time(live: LiveRun):
    ours = side(live, [decision(0), decision(100, 1003), decision(200)], [])
    result = compare(ours, [decision(1), decision(99), decision(202)], [], is_timed=False)
    assert result.differences.quotes_equal_share == pytest.approx(2 / 3)
    assert result.differences.quote_ticks_mean == pytest.approx(1.0)
    assert result.differences.time_ms_mean == pytest.approx(4 / 3)
    assert result.divergence is not None
    assert result.divergence.number == 1


def test_profit_is_cash_and_position_at_the_last_mid_less_fees(live: LiveRun):
    ours = side(live, [decision(0)], [Fill(0, 1000, 4, True), Fill(1, 1010, -3, False)])
    maker, taker = live.instrument.maker_fee_e8 / 1e8, live.instrument.taker_fee_e8 / 1e8
    gross = -4 * 1000 + 3 * 1010 + 1 * 1001.5
    expected = (gross - 4000 * maker - 3030 * taker) * live.instrument.price_float(1) * live.instrument.quantity_float(1)
    assert compare(ours, [decision(0)], []).differences.pnl_live == pytest.approx(expected)
