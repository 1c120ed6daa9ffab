"""Every kernel after very many updates beside numpy over the window that is meant: rounding must not add up.

pytest tests/factors/test_drift.py -m long -s      10^8 updates each; prints how far off each one is
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from reactor.factors import kernels as k

MS = 1_000_000
BLOCK = 1_000_000
SHORT, LONG = 2 * BLOCK, 100 * BLOCK
START_NS = 1_700_000_000_000_000_000
RELATIVE_MAX = 1e-9


@dataclass
class Tail:
    """The last samples of a run, and what a judge computes from them."""

    times: np.ndarray
    samples: np.ndarray

    def since(self, duration_ns: int) -> np.ndarray:
        return self.samples[self.times > self.times[-1] - duration_ns]


@dataclass
class Kernel:
    """A kernel, how it is fed, what it says, and what it should say."""

    size: int
    init: Callable[[k.State], None]
    feed: Callable[[k.State, np.ndarray, np.ndarray, np.ndarray], None]  # state, times, samples, room for values
    says: Callable[[k.State, Tail], list[float]]
    judge: Callable[[Tail], list[float]]
    state: k.State = field(init=False)

    def __post_init__(self) -> None:
        self.state = k.state(self.size)
        self.init(self.state)


def judge_ema(alpha: np.ndarray, samples: np.ndarray) -> float:
    """By definition, over the last samples; what is older weighs less than 1e-15."""
    kept = np.concatenate([np.cumprod(1 - alpha[::-1])[::-1][1:], [1.0]])
    return float(np.sum(samples * alpha * kept))


def judge_guard(tail: Tail) -> list[float]:
    """A sample per millisecond, an interval of 10 ms: z of the last change among the 50 before it, of the last deviation."""
    changes = np.diff(tail.samples[::10])
    deviations = [changes[end - 50 : end].std() for end in range(len(changes) - 60, len(changes) + 1)]
    before = np.array(deviations[-51:-1])
    return [
        (changes[-1] - changes[-51:-1].mean()) / changes[-51:-1].std(),
        (deviations[-1] - before.mean()) / before.std(),
    ]


def feed_span(state: k.State, times: np.ndarray, samples: np.ndarray, room: np.ndarray) -> None:
    k.span_batch(state, k.times_of(times), k.doubles_of(samples), len(times), *[k.doubles_of(room)] * 3)


def feed_flow(state: k.State, times: np.ndarray, samples: np.ndarray, room: np.ndarray) -> None:
    centred = samples - 60_000.0
    last = times[-1:].copy()
    k.flow_batch(state, k.times_of(times), k.doubles_of(centred), len(times), k.times_of(last), 1, k.doubles_of(room))


KERNELS: dict[str, Callable[[], Kernel]] = {
    "rolling": lambda: Kernel(
        k.ROLLING_HEAD + 1_009,
        lambda state: k.rolling_init(state, 1_009),
        lambda state, times, samples, room: k.rolling_batch(
            state, k.doubles_of(samples), len(samples), k.doubles_of(room), k.doubles_of(room), 0.0
        ),
        lambda state, tail: [k.rolling_mean(state), k.rolling_std(state, 0)],
        lambda tail: [tail.samples[-1_009:].mean(), tail.samples[-1_009:].std()],
    ),
    "ema": lambda: Kernel(
        k.EMA_SIZE,
        lambda state: k.ema_init(state, 0.01),
        lambda state, times, samples, room: k.ema_batch(state, k.doubles_of(samples), len(samples), k.doubles_of(room)),
        lambda state, tail: [k.ema_value(state)],
        lambda tail: [judge_ema(np.full(5_000, 0.01), tail.samples[-5_000:])],
    ),
    "ema by time": lambda: Kernel(
        k.EMA_SIZE,
        lambda state: k.ema_time_init(state, 100.0 * MS),
        lambda state, times, samples, room: k.ema_time_batch(
            state, k.times_of(times), k.doubles_of(samples), len(samples), k.doubles_of(room)
        ),
        lambda state, tail: [k.ema_value(state)],
        lambda tail: [judge_ema(-np.expm1(-np.diff(tail.times[-5_001:]) / (100.0 * MS)), tail.samples[-5_000:])],
    ),
    "span": lambda: Kernel(
        k.span_size(1_024),
        lambda state: k.span_init(state, 1_024, 1_000 * MS),
        feed_span,
        lambda state, tail: [k.span_sum(state), k.span_min(state), k.span_max(state), float(k.span_count(state))],
        lambda tail: [
            float(math.fsum(tail.since(1_000 * MS))), tail.since(1_000 * MS).min(), tail.since(1_000 * MS).max(),
            float(len(tail.since(1_000 * MS))),
        ],
    ),
    "volatility": lambda: Kernel(
        k.volatility_size(97),
        lambda state: k.volatility_init(state, 97, 10 * MS, 2),
        lambda state, times, samples, room: k.volatility_batch(
            state, k.times_of(times), k.doubles_of(samples), len(samples), k.doubles_of(room)
        ),
        lambda state, tail: [k.volatility_value(state)],
        lambda tail: [np.diff(tail.samples[::10])[-97:].std()],
    ),
    "flow": lambda: Kernel(
        k.flow_size(1_024),
        lambda state: k.flow_init(state, 1_024, 1_000 * MS),
        feed_flow,
        lambda state, tail: [k.flow_value(state, int(tail.times[-1]))],
        lambda tail: [
            math.fsum(tail.since(1_000 * MS) - 60_000.0) / math.fsum(np.abs(tail.since(1_000 * MS) - 60_000.0)),
        ],
    ),
    "rank": lambda: Kernel(
        k.rank_size(307),
        lambda state: k.rank_init(state, 307),
        lambda state, times, samples, room: k.rank_batch(state, k.doubles_of(samples), len(samples), k.doubles_of(room)),
        lambda state, tail: [k.rank_value(state, float(tail.samples[-1]))],
        lambda tail: [((tail.samples[-307:] < tail.samples[-1]).sum() + 0.5) / 307],
    ),
    "stop loss": lambda: Kernel(
        k.guard_size(50, 50),
        lambda state: k.guard_init(state, 50, 50, 10 * MS, 8.0, 12.0),
        lambda state, times, samples, room: k.guard_batch(
            state, k.times_of(times), k.doubles_of(samples), len(samples), k.doubles_of(room)
        ),
        lambda state, tail: [k.guard_z_change(state), k.guard_z_volatility(state)],
        judge_guard,
    ),
}  # fmt: skip


def run(name: str, count: int) -> float:
    """Feeds `count` samples, one per millisecond. Returns the largest relative difference from the judge."""
    kernel = KERNELS[name]()
    block = np.random.default_rng(1).normal(60_000, 5, BLOCK)
    times = START_NS + np.arange(BLOCK, dtype=np.int64) * MS
    room = np.empty(BLOCK)
    # One sample beyond the blocks, so that a grid of ten milliseconds ends on it. Windows end in the middle of a round, where
    # rounding had time to add up: their lengths do not divide the blocks.
    for _ in range(count // BLOCK):
        kernel.feed(kernel.state, times, block, room)
        times += BLOCK * MS
    last = times[:1].copy()
    kernel.feed(kernel.state, last, block[:1].copy(), room)
    tail = Tail(np.append(times[-10_000:] - BLOCK * MS, last), np.append(block[-10_000:], block[0]))
    said, right = np.array(kernel.says(kernel.state, tail)), np.array(kernel.judge(tail))
    return float(np.max(np.abs(said - right) / np.maximum(np.abs(right), 1e-3)))


@pytest.mark.parametrize("name", KERNELS)
def test_it_does_not_drift(name: str) -> None:
    assert run(name, SHORT) < RELATIVE_MAX


@pytest.mark.long
@pytest.mark.parametrize("name", KERNELS)
def test_a_hundred_million_updates_do_not_drift(name: str) -> None:
    began = time.process_time()
    difference = run(name, LONG)
    print(f"\n{name}: {LONG:,} updates, {(time.process_time() - began) / LONG * 1e9:.0f} ns each, off by {difference:.1e}")
    assert difference < RELATIVE_MAX
