"""The signals whose arithmetic is C say exactly what plain Python says, over random markets and positions."""

import random
from bisect import bisect_left, bisect_right

import pytest

from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import new
from reactor.feed.signals.adaptive_spread import AdaptiveSpread
from reactor.feed.signals.parameters import AdaptiveSpreadParameters, PositionCloseParameters
from reactor.feed.signals.position_close import PositionClose
from reactor.feed.signals.signal import SignalContext, are_fresh

MS = 1_000_000
SECOND = 1_000_000_000
RATIO = 0.1 / 0.01


def instrument(index, tick_size):
    return Instrument(
        instrument_index=index, venue=index, symbol="BTCUSDT", base_asset="BTC", quote_asset="USDT",
        price_decimals=2, tick_size=tick_size, quantity_decimals=3, lot_size=1, quantity_lots_min=1,
        quantity_lots_max=10**9, market_quantity_lots_max=10**9, price_ticks_min=1, price_ticks_max=10**9,
        notional_min_e8=0, maker_fee_e8=0, taker_fee_e8=0,
    )  # fmt: skip


INSTRUMENTS = Instruments([instrument(0, 1), instrument(1, 10)])


class PlainSpread:
    """AdaptiveSpread, without C."""

    def __init__(self, parameters):
        self.parameters, self.values, self.is_valid = parameters, [0.0] * 4, False
        self.samples, self.due_ns, self.short, self.long = 0, 0, [], []

    def rank(self, window, value):
        ordered = sorted(window)
        return (bisect_left(ordered, value) + bisect_right(ordered, value)) / (2 * len(ordered)) if ordered else 0.5

    def update(self, tops, now_ns):
        spot, perpetual = tops
        if not are_fresh(spot, perpetual):
            self.is_valid = False
            return False
        short = perpetual.bid_ticks * RATIO / spot.ask_ticks - 1.0
        long = spot.bid_ticks / (perpetual.ask_ticks * RATIO) - 1.0
        if now_ns >= self.due_ns:
            self.due_ns = now_ns + self.parameters.sample_interval_ms * MS
            self.short = [*self.short, short][-self.parameters.window_samples :]
            self.long = [*self.long, long][-self.parameters.window_samples :]
            self.samples += 1
        if self.samples < self.parameters.samples_min:
            return False
        is_changed = not self.is_valid or short != self.values[0] or long != self.values[2]
        self.values = [short, self.rank(self.short, short), long, self.rank(self.long, long)]
        self.is_valid = True
        return is_changed


class PlainClose:
    """PositionClose, without C."""

    def __init__(self, position, parameters):
        self.position, self.parameters, self.values, self.is_valid = position, parameters, [0.0] * 3, False

    def update(self, tops, now_ns):
        position, parameters, (spot, perpetual) = self.position, self.parameters, tops
        if not position.pair_direction or not position.pair_opened_ns:
            was_said = self.is_valid and self.values[0] != 0
            self.values, self.is_valid = [0.0] * 3, was_said
            return was_said
        age_s = (now_ns - position.pair_opened_ns) / SECOND
        is_old = bool(parameters.age_s_max) and age_s >= parameters.age_s_max
        earned, reason = 0.0, 0
        if are_fresh(spot, perpetual):
            entry = position.pair_entry_spread_e8 / 1e8
            if position.pair_direction < 0:
                earned = entry - (perpetual.ask_ticks * RATIO / spot.bid_ticks - 1.0)
            else:
                earned = (perpetual.bid_ticks * RATIO / spot.ask_ticks - 1.0) - entry
            if parameters.stop_loss and earned <= -parameters.stop_loss:
                reason = 2
            elif parameters.take_profit and earned >= parameters.take_profit:
                reason = 1
        elif not is_old:
            self.is_valid = False
            return False
        if not reason and is_old:
            reason = 3
        is_changed = not self.is_valid or reason != self.values[0]
        self.values, self.is_valid = [float(reason), earned, age_s], True
        return is_changed


def move(tops, rng):
    """One of both tops moves a little, now and then it is not to be believed or lacks a side."""
    index = rng.randrange(2)
    top, middle = tops[index], (10_000, 1_000)[index]
    top.bid_ticks = 0 if rng.random() < 0.03 else middle + rng.randrange(-4, 5)
    top.ask_ticks = 0 if rng.random() < 0.03 else top.bid_ticks + rng.randrange(1, 4)
    top.is_synchronised = rng.random() > 0.03


@pytest.mark.parametrize("seed", range(20))
def test_the_spreads_rank_is_that_of_plain_python(seed):
    rng = random.Random(seed)
    parameters = AdaptiveSpreadParameters(
        window_samples=rng.choice((1, 7, 40)), sample_interval_ms=100, samples_min=rng.randrange(9)
    )
    signal, twin = AdaptiveSpread(SignalContext(INSTRUMENTS, 0, 1), parameters), PlainSpread(parameters)
    tops, now_ns = [new("book_top"), new("book_top")], SECOND
    for _ in range(1_500):
        move(tops, rng)
        now_ns += rng.randrange(120) * MS
        assert (signal.update(tops, now_ns), signal.is_valid) == (twin.update(tops, now_ns), twin.is_valid)
        assert list(signal.values)[:4] == twin.values


@pytest.mark.parametrize("seed", range(20))
def test_a_close_is_that_of_plain_python(seed):
    rng = random.Random(seed)
    parameters = PositionCloseParameters(
        take_profit=rng.choice((0.0, 0.001)), stop_loss=rng.choice((0.0, 0.001)), age_s_max=rng.choice((0.0, 0.4, 2.0))
    )
    position = new("position")
    signal, twin = PositionClose(SignalContext(INSTRUMENTS, 0, 1, position), parameters), PlainClose(position, parameters)
    tops, now_ns = [new("book_top"), new("book_top")], SECOND
    for _ in range(1_500):
        move(tops, rng)
        now_ns += rng.randrange(50) * MS
        if rng.random() < 0.05:
            position.pair_direction = rng.choice((-1, 0, 1))
            position.pair_opened_ns = rng.choice((0, now_ns))
            position.pair_entry_spread_e8 = rng.randrange(-200_000, 200_001)
        assert (signal.update(tops, now_ns), signal.is_valid) == (twin.update(tops, now_ns), twin.is_valid)
        assert list(signal.values)[:3] == twin.values
