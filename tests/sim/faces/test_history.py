"""Candles and aggregate trades of the past."""

import pytest

from reactor.sim.events import TradeEvent
from reactor.sim.faces.history import History, interval_start_ms
from reactor.sim.faces.refusal import VenueError
from reactor.sim.symbols import SPOT_SYMBOLS

RULES = SPOT_SYMBOLS["BTCUSDT"]
MINUTE_NS = 60_000_000_000
START_NS = 1_699_999_800 * 1_000_000_000  # 22:10:00


def trade(history: History, number: int, minute: float, ticks: int, lots: int, buyer_is_maker: bool = False) -> None:
    time_ns = START_NS + int(minute * MINUTE_NS)
    history.on_trade(TradeEvent(RULES, number, ticks, lots, buyer_is_maker, time_ns, time_ns))


def test_minutes_join_to_longer_candles() -> None:
    history = History(RULES)
    trade(history, 1, 0.1, 6_000_000, 100)
    trade(history, 2, 0.5, 6_000_500, 200, buyer_is_maker=True)
    trade(history, 3, 1.0, 5_999_000, 300)
    first, second = history.candles("1m", None, None, 10)
    assert (first.open_ticks, first.high_ticks, first.close_ticks, first.count) == (6_000_000, 6_000_500, 6_000_500, 2)
    assert (first.volume_lots, first.taker_buy_lots) == (300, 100)
    assert second.open_ms == first.close_ms + 1
    (joined,) = history.candles("5m", None, None, 10)
    assert (joined.open_ticks, joined.low_ticks, joined.close_ticks, joined.count) == (6_000_000, 5_999_000, 5_999_000, 3)
    assert first.count == 2, "joining changes nothing of the past"


def test_a_range_and_a_limit_narrow_the_answer() -> None:
    history = History(RULES)
    for minute in range(5):
        trade(history, minute, minute, 6_000_000 + minute, 1)
    start_ms = START_NS // 1_000_000
    assert [row.open_ticks for row in history.candles("1m", None, None, 2)] == [6_000_003, 6_000_004]
    assert [row.open_ticks for row in history.candles("1m", start_ms + 60_000, None, 2)] == [6_000_001, 6_000_002]
    assert len(history.candles("1m", None, start_ms + 60_000, 10)) == 2


def test_weeks_begin_on_monday() -> None:
    assert interval_start_ms(1_700_000_000_000, "1w") == 1_699_833_600_000  # Monday, 13 November 2023


def test_an_unknown_interval_is_refused() -> None:
    with pytest.raises(VenueError) as refusal:
        History(RULES).candles("7m", None, None, 1)
    assert refusal.value.code == -1120
