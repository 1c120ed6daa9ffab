"""Each kernel beside a plain twin: numpy or pandas over the window that is meant."""

import math
from collections import deque

import numpy as np
import pytest

from reactor.factors import kernels as k

MS = 1_000_000


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def rolling(capacity):
    state = k.state(k.ROLLING_HEAD + capacity)
    k.rolling_init(state, capacity)
    return state


def test_rolling_mean_and_deviation_are_those_of_the_window(rng):
    state, window = rolling(37), deque(maxlen=37)
    for sample in rng.normal(60_000, 3, 5_000):
        assert k.rolling_push(state, sample) == 1
        window.append(sample)
        assert k.rolling_mean(state) == pytest.approx(np.mean(window), rel=1e-9)
        assert k.rolling_std(state, 0) == pytest.approx(np.std(window), rel=1e-9, abs=1e-9)
    assert k.rolling_at(state, 0) == window[-1]
    assert k.rolling_at(state, 36) == window[0]
    assert math.isnan(k.rolling_at(state, 37))
    assert k.rolling_zscore(state, 60_010) == pytest.approx((60_010 - np.mean(window)) / np.std(window), rel=1e-9)


def test_an_outlier_leaves_nothing_behind_when_it_leaves(rng):
    state, samples = rolling(50), rng.normal(0, 1e-6, 400)
    samples[60] = 1e12
    for index, sample in enumerate(samples):
        k.rolling_push(state, sample)
        if index > 120:
            assert k.rolling_std(state, 0) == pytest.approx(np.std(samples[index - 49 : index + 1]), rel=1e-9)


def test_a_constant_has_no_deviation_and_no_zscore():
    state = rolling(10)
    for _ in range(100):
        k.rolling_push(state, 0.1)
    assert k.rolling_std(state, 0) == pytest.approx(0, abs=1e-16)
    assert k.rolling_zscore(state, 0.1) == pytest.approx(0, abs=10)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_and_changes_nothing(bad):
    state = rolling(3)
    k.rolling_push(state, 1.0)
    before = bytes(k.array_of(state).tobytes())
    assert k.rolling_push(state, bad) == 0
    assert k.array_of(state).tobytes() == before


def test_an_empty_window_says_that_it_knows_nothing_and_a_reset_makes_one():
    state = rolling(3)
    for _ in range(2):
        assert math.isnan(k.rolling_mean(state))
        assert math.isnan(k.rolling_std(state, 0))
        assert math.isnan(k.rolling_zscore(state, 1.0))
        for sample in (1.0, 2.0, 3.0, 4.0):
            k.rolling_push(state, sample)
        assert k.rolling_is_full(state)
        assert k.rolling_mean(state) == 3.0
        k.rolling_reset(state)


def drift(samples_count):
    capacity = 1_000
    state = rolling(capacity)
    block = np.random.default_rng(1).normal(60_000, 5, 1_000_000 if samples_count > 1_000_000 else samples_count)
    out = np.empty(len(block)), np.empty(len(block))
    for _ in range(samples_count // len(block)):
        k.rolling_batch(state, k.doubles_of(block), len(block), *map(k.doubles_of, out), 0.0)
    # In the middle of a round, where rounding had the longest time to add up.
    half = capacity // 2
    for sample in block[:half]:
        k.rolling_push(state, sample)
    window = np.concatenate([block[-(capacity - half) :], block[:half]])
    assert k.rolling_mean(state) == pytest.approx(window.mean(), rel=1e-12)
    assert k.rolling_std(state, 0) == pytest.approx(window.std(), rel=1e-9)


def test_a_long_run_does_not_drift():
    drift(1_000_000)


def test_averages_by_samples_and_by_time(rng):
    by_samples, by_time = k.state(k.EMA_SIZE), k.state(k.EMA_SIZE)
    k.ema_init(by_samples, 0.1)
    k.ema_time_init(by_time, 50.0 * MS)
    assert math.isnan(k.ema_value(by_samples))
    value = timed = None
    now_ns = 1_700_000_000_000_000_000
    for sample in rng.normal(0, 1, 1_000):
        step_ns = int(rng.integers(0, 100 * MS))
        now_ns += step_ns
        value = sample if value is None else 0.1 * sample + 0.9 * value
        weight = math.exp(-step_ns / (50.0 * MS))
        timed = sample if timed is None else sample * (1 - weight) + timed * weight
        assert k.ema_update(by_samples, sample) == pytest.approx(value, rel=1e-9, abs=1e-12)
        assert k.ema_time_update(by_time, now_ns, sample) == pytest.approx(timed, rel=1e-9, abs=1e-12)


def test_a_span_of_time_knows_its_least_its_greatest_and_its_sum(rng):
    capacity, duration_ns = 64, 1_000 * MS
    state = k.state(k.span_size(capacity))
    k.span_init(state, capacity, duration_ns)
    kept, dropped, now_ns = deque(), 0, 1_700_000_000_000_000_000
    for sample in rng.integers(-50, 50, 20_000):
        now_ns += int(rng.integers(0, 40 * MS)) * (10 if rng.random() < 0.01 else 1)
        while kept and kept[0][0] <= now_ns - duration_ns:
            kept.popleft()
        if len(kept) == capacity:
            kept.popleft()
            dropped += 1
        kept.append((now_ns, float(sample)))
        k.span_push(state, now_ns, float(sample))
        values = [each for _, each in kept]
        assert k.span_count(state) == len(values)
        assert (k.span_min(state), k.span_max(state), k.span_sum(state)) == (min(values), max(values), sum(values))
    assert k.span_dropped(state) == dropped
    k.span_expire(state, now_ns + duration_ns)
    assert k.span_count(state) == 0
    assert k.span_sum(state) == 0
    assert math.isnan(k.span_min(state))


def test_volatility_is_the_deviation_of_the_changes_on_the_grid(rng):
    state = k.state(k.volatility_size(20))
    k.volatility_init(state, 20, 100 * MS, 5)
    mids, now_ns, mid = [], 1_700_000_000_000_000_000, 600_000.0
    for step in range(3_000):
        mid += rng.normal()
        if k.volatility_update(state, now_ns + step * 10 * MS, mid) or step == 0:
            mids.append(mid)
        changes = np.diff(mids)[-20:]
        if len(changes) >= 5:
            assert k.volatility_value(state) == pytest.approx(np.std(changes), rel=1e-9)
        else:
            assert math.isnan(k.volatility_value(state))
    assert len(mids) == 300


def test_trade_flow_is_what_takers_bought_less_what_they_sold():
    state = k.state(k.flow_size(8))
    k.flow_init(state, 8, 1_000 * MS)
    assert k.flow_value(state, 0) == 0
    k.flow_push(state, 0, 3.0)
    k.flow_push(state, 500 * MS, -1.0)
    assert k.flow_value(state, 600 * MS) == 0.5
    assert k.flow_value(state, 1_000 * MS) == -1.0
    assert k.flow_value(state, 1_500 * MS) == 0


def test_a_rank_counts_what_is_below_and_half_of_what_is_equal(rng):
    state, window = k.state(k.rank_size(40)), deque(maxlen=40)
    k.rank_init(state, 40)
    assert k.rank_value(state, 1.0) == 0.5
    for sample in rng.integers(1, 9, 2_000).astype(float):
        k.rank_push(state, sample)
        window.append(sample)
        below = sum(each < sample for each in window) + 0.5 * sum(each == sample for each in window)
        assert k.rank_value(state, sample) == pytest.approx(below / len(window), rel=1e-12)


def test_the_guard_cries_at_a_jump_and_at_a_storm_and_is_calm_otherwise(rng):
    def fresh():
        state = k.state(k.guard_size(50, 50))
        k.guard_init(state, 50, 50, 100 * MS, 6.0, 8.0)
        return state

    state, now_ns, mid = fresh(), 0, 1_000.0
    for _ in range(1_000):
        now_ns, mid = now_ns + 100 * MS, mid + rng.choice((-1.0, 1.0))
        assert k.guard_update(state, now_ns, mid) == k.GUARD_NORMAL
    assert k.guard_update(state, now_ns + 100 * MS, mid + 100.0) == k.GUARD_CHANGE

    state, now_ns, verdicts = fresh(), 0, set()
    for step in range(400):
        size = 1.0 if step < 300 else 5.0
        now_ns, mid = now_ns + 100 * MS, mid + rng.choice((-size, size))
        verdicts.add(k.guard_update(state, now_ns, mid))
    assert verdicts == {k.GUARD_NORMAL, k.GUARD_VOLATILITY}


def test_factors_without_memory():
    assert k.microprice(100.0, 101.0, 3.0, 1.0) == 100.75
    assert k.microprice(100.0, 101.0, 0.0, 0.0) == 100.5
    assert k.imbalance(3.0, 1.0) == 0.5
    assert k.imbalance(0.0, 0.0) == 0
    weights, values = np.array([1.0, -2.0, 1.0]), np.array([2.0, 1.0, math.nan])
    assert k.combine(k.doubles_of(weights), k.doubles_of(values), 3) == 0.0
    assert math.isnan(k.combine(k.doubles_of(weights), k.doubles_of(values) + 2, 1))


def test_a_batch_is_the_same_as_one_by_one(rng):
    samples, one, many = rng.normal(0, 1, 500), rolling(30), rolling(30)
    means, stds = np.empty(500), np.empty(500)
    k.rolling_batch(many, k.doubles_of(samples), 500, k.doubles_of(means), k.doubles_of(stds), 1.0)
    for index, sample in enumerate(samples):
        k.rolling_push(one, sample)
        assert (k.rolling_mean(one), k.rolling_std(one, 1.0)) == pytest.approx((means[index], stds[index]), nan_ok=True, rel=0)
    assert k.array_of(one).tobytes() == k.array_of(many).tobytes()


def test_a_function_of_numba_calls_the_same_kernels(rng):
    numba = pytest.importorskip("numba", reason="the extra 'backtest' is not installed")
    import reactor.factors.compiled  # noqa: F401
    from reactor.factors.kernels import rolling_push, rolling_zscore

    @numba.njit
    def run(state, samples):
        last = 0.0
        for sample in samples:
            rolling_push(state, sample)
            last = rolling_zscore(state, sample)
        return last

    samples, compiled, plain = rng.normal(0, 1, 300), rolling(30), rolling(30)
    for sample in samples:
        k.rolling_push(plain, sample)
    assert run(k.array_of(compiled), samples) == k.rolling_zscore(plain, samples[-1])
    assert k.array_of(compiled).tobytes() == k.array_of(plain).tobytes()
