"""The factors over real captures beside an independent implementation: a book of dicts, rolling windows of numpy (pandas).

Integers must be equal, the rest to 1e-9 relative. CRYPTO_TRADE_DATA names the folder of the captures.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from reactor.factors import kernels as k
from reactor.factors.sampling import Samples, sample
from reactor.factors.streaming import Imbalance, Microprice, SpreadPercentile, StopLoss, TradeImbalance, Volatility

INTERVAL_NS = 100_000_000
LOOKING_DEPTH = 0.001
KIND, CLEAR, TRADE, LOCAL, BUY = 0xFF, 3, 2, 0x40000000, 0x20000000


@pytest.fixture(scope="module")
def samples(capture: Any) -> Samples:
    events, tick_size, lot_size = capture
    return sample(events, tick_size, lot_size, INTERVAL_NS, LOOKING_DEPTH)


def naive_samples(events: Any, tick_size: float, lot_size: float) -> list[tuple[int, ...]]:
    """A book of two dicts, walked row by row; a sample when the next row is later than the grid."""
    sides: dict[bool, dict[int, int]] = {True: {}, False: {}}
    made: list[tuple[int, ...]] = []
    due_ns = signed = 0
    names = ("ev", "local_ts", "px", "qty")
    for ev, now_ns, price, quantity in zip(*(events[name].tolist() for name in names), strict=True):
        if not ev & LOCAL:
            continue
        bids, asks = sides[True], sides[False]
        while due_ns and due_ns < now_ns:
            bid, ask = max(bids), min(asks)
            mid = (bid + ask) / 2
            lowest, highest = math.ceil(mid * (1 - LOOKING_DEPTH)), math.floor(mid * (1 + LOOKING_DEPTH))
            within = sum(q for p, q in bids.items() if p >= lowest), sum(q for p, q in asks.items() if p <= highest)
            made.append((due_ns, bid, bids[bid], ask, asks[ask], *within, signed))
            signed = 0
            due_ns += INTERVAL_NS
        ticks, lots, is_buy = round(price / tick_size), round(quantity / lot_size), bool(ev & BUY)
        kind = ev & KIND
        if kind == TRADE:
            signed += lots if is_buy else -lots
        elif kind == CLEAR:
            side = sides[is_buy]
            for level in [level for level in side if (level >= ticks) == is_buy or level == ticks]:
                del side[level]
        elif lots:
            sides[is_buy][ticks] = lots
        else:
            sides[is_buy].pop(ticks, None)
        if not due_ns and sides[True] and sides[False]:
            due_ns = now_ns
    return made


def test_the_book_over_time_is_that_of_dicts(capture: Any):
    events, tick_size, lot_size = capture
    events = events[:120_000]
    ours = sample(events, tick_size, lot_size, INTERVAL_NS, LOOKING_DEPTH)
    names = ("now_ns", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots", "bids_within", "asks_within", "signed_lots")
    assert list(zip(*(getattr(ours, name).tolist() for name in names), strict=True)) == naive_samples(
        events, tick_size, lot_size
    )
    assert len(ours) > 500


def windows(values: np.ndarray, size: int) -> np.ndarray:
    return sliding_window_view(values, size)


def equal(ours: np.ndarray, theirs: np.ndarray, absolute: float = 1e-12) -> None:
    assert len(ours) == len(theirs) > 1_000
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    known = ~np.isnan(theirs)
    np.testing.assert_allclose(ours[known], theirs[known], rtol=1e-9, atol=absolute)


def late(values: np.ndarray, missing: int) -> np.ndarray:
    return np.concatenate([np.full(missing, math.nan), values])


def test_the_imbalance_is_the_rolling_zscore(samples: Samples):
    seen = windows(samples.leans, 300)
    mean, std = seen.mean(axis=1), seen.std(axis=1)
    equal(Imbalance(300).over(samples), late((samples.leans[299:] - mean) / std, 299))


def test_the_volatility_is_the_rolling_deviation_of_the_changes_of_the_mid(samples: Samples):
    changes = np.diff(samples.mids[::2])  # 200 ms on a grid of 100 ms
    known = np.array([changes[max(0, end - 100) : end].std() if end >= 20 else math.nan for end in range(len(changes) + 1)])
    equal(Volatility(100, 2 * INTERVAL_NS, 20).over(samples), np.repeat(known, 2)[: len(samples)])


def test_the_microprice_is_the_mid_weighed_by_the_other_side(samples: Samples):
    bid, ask, bids, asks = (
        np.asarray(each, float) for each in (samples.bid_ticks, samples.ask_ticks, samples.bid_lots, samples.ask_lots)
    )
    equal(Microprice().over(samples), (bid * asks + ask * bids) / (bids + asks))


def test_the_percentile_of_the_spread_is_its_mid_rank(samples: Samples):
    seen = windows(samples.spreads, 200)
    last = seen[:, -1:]
    rank = ((seen < last).sum(axis=1) + 0.5 * (seen == last).sum(axis=1)) / 200
    ours = SpreadPercentile(200).over(samples)
    assert np.array_equal(ours, late(rank, 199), equal_nan=True), "counted, not summed: the same double"


def test_the_trade_imbalance_is_the_sum_over_the_last_seconds(samples: Samples):
    duration_ns = 5_000_000_000
    ours = TradeImbalance(duration_ns, 1 << 16).over(samples)
    total = np.concatenate([[0.0], np.cumsum(samples.trade_lots)])  # whole lots: exact in doubles
    absolute = np.concatenate([[0.0], np.cumsum(np.abs(samples.trade_lots))])
    first = np.searchsorted(samples.trade_ns, samples.now_ns - duration_ns, side="right")
    behind = np.searchsorted(samples.trade_ns, samples.now_ns, side="right")
    volume = absolute[behind] - absolute[first]
    assert np.array_equal(ours, np.divide(total[behind] - total[first], volume, out=np.zeros(len(ours)), where=volume > 0))


def test_the_stop_loss_cries_where_the_zscores_say(samples: Samples):
    window, verdicts = 50, []
    changes = np.diff(samples.mids)
    deviations: list[float] = []
    for index, change in enumerate(changes):
        before = changes[max(0, index - window) : index]
        z_change = 0.0
        if len(before) == window:
            z_change = (change - before.mean()) / before.std() if before.std() > 0 else 0.0
        z_volatility = 0.0
        if index + 1 >= window:
            deviation = changes[index + 1 - window : index + 1].std()
            known = np.array(deviations[-window:])
            if len(known) == window and known.std() > 0:
                z_volatility = (deviation - known.mean()) / known.std()
            deviations.append(float(deviation))
        verdicts.append(k.GUARD_CHANGE if abs(z_change) > 6 else k.GUARD_VOLATILITY if z_volatility > 4 else k.GUARD_NORMAL)
    ours = StopLoss(window, INTERVAL_NS, 4.0, 6.0).over(samples)
    assert ours.astype(int).tolist() == [k.GUARD_NORMAL, *verdicts]
    assert len(set(verdicts)) == 3, "a real market made it cry for both reasons"


def over(init: Callable[[Any], None], size: int, batch: Callable[..., None], *arrays: Any, outs: int = 1) -> list[np.ndarray]:
    state = k.state(size)
    init(state)
    made = [np.empty(len(arrays[-1])) for _ in range(outs)]
    given = [k.times_of(each) if each.dtype == np.int64 else k.doubles_of(each) for each in arrays]
    batch(state, *given, len(arrays[-1]), *map(k.doubles_of, made))
    return made


def test_rolling_and_exponential_averages_are_those_of_pandas(samples: Samples):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    mids = samples.mids
    series = pandas.Series(mids)

    def rolling(state: Any, values: Any, count: int, means: Any, stds: Any) -> None:
        k.rolling_batch(state, values, count, means, stds, 1.0)

    means, stds = over(lambda state: k.rolling_init(state, 250), k.ROLLING_HEAD + 250, rolling, mids, outs=2)
    equal(means, series.rolling(250, min_periods=1).mean().to_numpy())
    direct = np.array([mids[max(0, end - 250) : end].std(ddof=1) if end > 1 else math.nan for end in range(1, len(mids) + 1)])
    equal(stds, direct)
    (values,) = over(lambda state: k.ema_init(state, 0.05), k.EMA_SIZE, k.ema_batch, mids)
    equal(values, series.ewm(alpha=0.05, adjust=False).mean().to_numpy())


def test_an_average_by_time_and_a_span_of_time_follow_their_definition(samples: Samples):
    mids, times = samples.mids, samples.now_ns
    tau_ns, duration_ns = 3e9, 2_000_000_000
    (values,) = over(lambda state: k.ema_time_init(state, tau_ns), k.EMA_SIZE, k.ema_time_batch, times, mids)
    expected = [mids[0]]
    for step_ns, mid in zip(np.diff(times), mids[1:], strict=True):
        weight = math.exp(-float(step_ns) / tau_ns)
        expected.append(expected[-1] * weight + mid * (1 - weight))
    equal(values, np.array(expected))
    first = np.searchsorted(times, times - duration_ns, side="right")
    size = k.span_size(64)
    made = over(lambda state: k.span_init(state, 64, duration_ns), size, k.span_batch, times, mids, outs=3)
    for ours, fold in zip(made, (np.sum, np.min, np.max), strict=True):
        assert np.array_equal(ours, [fold(mids[a : b + 1]) for b, a in enumerate(first)]), "halves of ticks: exact"
