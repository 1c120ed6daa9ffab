"""Every factor of the list: one by one, in batch and from compiled code it says the same; before it is warm it says nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from reactor.factors import kernels as k
from reactor.factors.sampling import Samples
from reactor.factors.streaming import (
    Combined,
    Factor,
    Imbalance,
    Microprice,
    SpreadPercentile,
    StopLoss,
    TradeImbalance,
    Volatility,
)

MS = 1_000_000
COUNT = 600
START_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def samples() -> Samples:
    """A market that walks about, a sample each 100 ms, a trade every 70 ms."""
    rng = np.random.default_rng(5)
    bid = 600_000 + np.cumsum(rng.integers(-3, 4, COUNT))
    trades = COUNT * 100 // 70
    return Samples(
        now_ns=START_NS + np.arange(COUNT) * 100 * MS,
        bid_ticks=bid,
        bid_lots=rng.integers(1, 500, COUNT),
        ask_ticks=bid + rng.integers(1, 6, COUNT),
        ask_lots=rng.integers(1, 500, COUNT),
        bids_within=rng.integers(0, 9_000, COUNT),
        asks_within=rng.integers(0, 9_000, COUNT),
        signed_lots=np.zeros(COUNT, np.int64),
        trade_ns=START_NS + np.arange(trades) * 70 * MS,
        trade_lots=rng.integers(1, 90, trades) * rng.choice([-1.0, 1.0], trades),
    )


@dataclass
class Case:
    make: Callable[[], Factor]
    update: Callable[[Factor, Samples, int], None]
    warm_after: int  # samples


def update_trades(factor: Factor, samples: Samples, index: int) -> None:
    assert isinstance(factor, TradeImbalance)
    before = samples.now_ns[index - 1] if index else 0
    for trade in np.flatnonzero((samples.trade_ns > before) & (samples.trade_ns <= samples.now_ns[index])):
        factor.update(int(samples.trade_ns[trade]), float(samples.trade_lots[trade]))
    factor.at(int(samples.now_ns[index]))


CASES = {
    "imbalance": Case(
        lambda: Imbalance(50),
        lambda factor, s, i: factor.update(int(s.bids_within[i]), int(s.asks_within[i])),  # type: ignore[attr-defined]
        50,
    ),
    "volatility": Case(
        lambda: Volatility(40, 200 * MS, 10),
        lambda factor, s, i: factor.update(int(s.now_ns[i]), float(s.mids[i])),  # type: ignore[attr-defined]
        21,
    ),
    "microprice": Case(
        Microprice,
        lambda factor, s, i: factor.update(  # type: ignore[attr-defined]
            float(s.bid_ticks[i]), float(s.ask_ticks[i]), float(s.bid_lots[i]), float(s.ask_lots[i])
        ),
        1,
    ),
    "spread percentile": Case(
        lambda: SpreadPercentile(30),
        lambda factor, s, i: factor.update(float(s.spreads[i])),  # type: ignore[attr-defined]
        30,
    ),
    "trade imbalance": Case(lambda: TradeImbalance(1_000 * MS, 64), update_trades, 1),
    "stop loss": Case(
        lambda: StopLoss(20, 200 * MS, 1.5, 2.5),
        lambda factor, s, i: factor.update(int(s.now_ns[i]), float(s.mids[i])),  # type: ignore[attr-defined]
        1 + 2 * 39,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_by_one_and_in_batch_are_the_same(samples: Samples, name: str):
    case = CASES[name]
    factor, values = case.make(), case.make().over(samples)
    for index in range(len(samples)):
        case.update(factor, samples, index)
        assert factor.value == values[index] or (math.isnan(factor.value) and math.isnan(values[index])), index
    assert len(set(values[~np.isnan(values)])) > 2, "a judge that sees one value only judges nothing"


@pytest.mark.parametrize("name", CASES)
def test_it_is_warm_when_it_has_seen_enough_and_cold_after_a_reset(samples: Samples, name: str):
    case = CASES[name]
    factor = case.make()
    for _ in range(2):
        assert not factor.is_warm
        assert math.isnan(factor.value) or (name == "stop loss" and factor.value == k.GUARD_NORMAL)
        for index in range(case.warm_after):
            assert not factor.is_warm, index
            case.update(factor, samples, index)
        assert factor.is_warm
        assert not math.isnan(factor.value)
        factor.reset()


@pytest.mark.parametrize("name", CASES)
def test_a_batch_begins_afresh(samples: Samples, name: str):
    factor = CASES[name].make()
    first, second = factor.over(samples), factor.over(samples)
    assert np.array_equal(first, second, equal_nan=True)


def test_a_combination_weighs_those_that_are_warm(samples: Samples):
    parts: list[Factor] = [Imbalance(50), TradeImbalance(1_000 * MS), Volatility(40, 200 * MS)]
    both = Combined(parts, (1.0, -2.0, 0.5))
    values = both.over(samples)
    columns = np.array([each.over(samples) for each in parts])
    weights = np.array([[1.0], [-2.0], [0.5]]) * ~np.isnan(columns)
    expected = np.nansum(weights * columns, axis=0) / np.abs(weights).sum(axis=0)
    assert values == pytest.approx(expected, rel=1e-12)
    assert both.value == pytest.approx(values[-1], rel=1e-12)
    assert both.is_warm
    both.reset()
    assert not both.is_warm


def test_a_compiled_function_updates_the_state_of_an_object(samples: Samples):
    numba = pytest.importorskip("numba", reason="the extra 'backtest' is not installed")
    import reactor.factors.compiled  # noqa: F401
    from reactor.factors.kernels import flow_push, guard_update, rank_push, rolling_push, volatility_update

    plain = (
        Imbalance(50),
        Volatility(40, 200 * MS, 10),
        SpreadPercentile(30),
        StopLoss(20, 200 * MS, 1.5, 2.5),
        TradeImbalance(MS),
    )
    other = (
        Imbalance(50),
        Volatility(40, 200 * MS, 10),
        SpreadPercentile(30),
        StopLoss(20, 200 * MS, 1.5, 2.5),
        TradeImbalance(MS),
    )

    @numba.njit
    def run(lean, volatility, rank, guard, flow, times, leans, mids, spreads):
        for index in range(len(times)):
            rolling_push(lean, leans[index])
            volatility_update(volatility, times[index], mids[index])
            rank_push(rank, spreads[index])
            guard_update(guard, times[index], mids[index])
            flow_push(flow, times[index], leans[index])

    run(*(each.array for each in other), samples.now_ns, samples.leans, samples.mids, samples.spreads)
    for index in range(len(samples)):
        now_ns, mid = int(samples.now_ns[index]), float(samples.mids[index])
        plain[0].update(int(samples.bids_within[index]), int(samples.asks_within[index]))
        plain[1].update(now_ns, mid)
        plain[2].update(float(samples.spreads[index]))
        plain[3].update(now_ns, mid)
        plain[4].update(now_ns, float(samples.leans[index]))
    assert [each.array.tobytes() for each in other] == [each.array.tobytes() for each in plain]


def test_a_batch_runs_from_compiled_code_too(samples: Samples):
    numba = pytest.importorskip("numba", reason="the extra 'backtest' is not installed")
    import reactor.factors.compiled  # noqa: F401
    from reactor.factors.kernels import volatility_batch

    @numba.njit
    def run(state, times, mids, values):
        volatility_batch(state, times, mids, len(times), values)

    plain, other = Volatility(40, 200 * MS, 10), Volatility(40, 200 * MS, 10)
    values = np.empty(len(samples))
    run(other.array, samples.now_ns, samples.mids, values)
    assert np.array_equal(values, plain.over(samples), equal_nan=True)
