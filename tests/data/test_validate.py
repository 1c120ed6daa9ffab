"""What validation says of an event array, and what it draws."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reactor.data.events import (
    BUY_EVENT,
    DEPTH_EVENT,
    EVENT_DTYPE,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
    EventArray,
)
from reactor.data.npz import save_npz
from reactor.data.validate import best_prices, plot_events, summary_lines, validate_events
from reactor.domain.errors import DataError

START_NS = 1_723_161_600_000_000_000
MS = 1_000_000
BOTH = EXCH_EVENT | LOCAL_EVENT


def market(*rows: tuple[int, int, float, float], step_ms: int = 100, latency_ms: int = 5) -> EventArray:
    """(message number, kind and side, price, quantity)"""
    events = np.zeros(len(rows), EVENT_DTYPE)
    for place, (number, kind, price, quantity) in enumerate(rows):
        exch_ns = START_NS + number * step_ms * MS
        events[place] = (kind | BOTH, exch_ns, exch_ns + latency_ms * MS, price, quantity, 0, 0, 0.0)
    return events


BID, ASK, TRADE = DEPTH_EVENT | BUY_EVENT, DEPTH_EVENT | SELL_EVENT, TRADE_EVENT | BUY_EVENT
QUIET = ((0, BID, 99.5, 1.0), (0, ASK, 100.5, 1.0), (1, TRADE, 100.5, 0.2), (2, BID, 100.0, 3.0), (3, ASK, 100.5, 0.0),
         (3, ASK, 101.0, 2.0))  # fmt: skip


def test_the_best_prices_follow_the_book() -> None:
    rows, bids, asks = best_prices(market(*QUIET))
    assert rows.tolist() == [1, 2, 3, 5], "the last row of each message"
    assert bids.tolist() == [99.5, 99.5, 100.0, 100.0]
    assert asks.tolist() == [100.5, 100.5, 100.5, 101.0]


def test_a_side_that_is_empty_has_no_best_price() -> None:
    _, bids, asks = best_prices(market((0, BID, 99.5, 1.0), (1, BID, 99.5, 0.0), (2, ASK, 100.0, 1.0)))
    assert bids[0] == 99.5
    assert np.isnan(bids[1:]).all()
    assert np.isnan(asks[:2]).all()


def test_a_long_day_is_drawn_with_a_bounded_number_of_points() -> None:
    rows, bids, _ = best_prices(market(*((number, BID, 100.0 + number % 7, 1.0) for number in range(5000))), points=300)
    assert 250 <= len(rows) == len(bids) <= 300


def test_a_quiet_market_is_sound_and_a_crossed_or_late_or_broken_one_is_not() -> None:
    assert validate_events(market(*QUIET)).is_sound
    crossed = validate_events(market(*QUIET, (4, BID, 102.0, 1.0)))
    assert crossed.crossed_messages == 1
    assert not crossed.is_sound
    assert any("arrive before they were sent" in problem for problem in validate_events(market(*QUIET, latency_ms=-1)).problems)
    assert any("none" in problem for problem in validate_events(market(*QUIET, (4, TRADE, float("nan"), 1.0))).problems)
    assert "no events" in validate_events(market()).problems[0]


def test_the_summary_names_gaps_steps_latency_and_doubles() -> None:
    report = validate_events(market(*QUIET, (400, TRADE, 100.5, 0.2), (400, TRADE, 100.5, 0.2)))
    text = "\n".join(summary_lines(report))
    assert (report.gaps, report.duplicate_trades, report.tick_size) == (1, 1, 0.5)
    for words in ("8 events", "1 silences of more than 10 s; the longest 39.7 s", "step 0.5", "p50 5.000", "1 trades equal"):
        assert words in text


def test_price_spread_rate_and_latency_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    path = tmp_path / "day.npz"
    save_npz(path, market(*QUIET))
    command = [sys.executable, "-m", "reactor", "validate", str(path), "--plot", str(tmp_path / "day.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_a_panel_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the extra `plot` is not installed")
    figures = []
    monkeypatch.setattr(pyplot, "close", figures.append)
    plot_events(market(*QUIET), tmp_path / "day.png")
    price, spread, rate, latency = figures[0].axes
    assert [axes.get_ylabel() for axes in figures[0].axes] == ["price", "spread", "events / s", "latency, ms"]
    assert [len(line.get_xdata()) for line in price.lines] == [1, 4, 4]
    assert spread.lines[0].get_ydata().tolist() == [1.0, 1.0, 0.5, 1.0]
    assert rate.patches[0].get_data().values.sum() * 0.03 == pytest.approx(6.0)
    assert latency.lines[0].get_ydata().tolist() == [5.0] * 6


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    with pytest.raises(DataError, match="no events to draw"):
        plot_events(market(), tmp_path / "day.png")
    with pytest.raises(DataError, match="cannot be written"):
        plot_events(market(*QUIET), tmp_path / "nowhere" / "day.png")
