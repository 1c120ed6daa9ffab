"""The streaming statistics of cffi_build/include/factors.h: what a strategy and its compiled twin both call.

A state is an array of doubles (`state(size)`). Plain Python calls the functions below; a function compiled by Numba calls
the same C directly, once reactor/factors/compiled.py is imported. Nothing here knows which of the two it serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reactor._native import ffi, lib

if TYPE_CHECKING:  # Who calls the kernels one by one does without numpy.
    import numpy as np
    from numpy.typing import NDArray

State = Any
"""double[]: of cffi, or a float64 array's pointer."""

ROLLING_HEAD: int = lib.ROLLING_HEAD
EMA_SIZE: int = lib.EMA_SIZE
GUARD_NORMAL: int = lib.GUARD_NORMAL
GUARD_VOLATILITY: int = lib.GUARD_VOLATILITY
GUARD_CHANGE: int = lib.GUARD_CHANGE


def state(size: int) -> State:
    """A zeroed state of so many doubles; an _init function must prepare it."""
    return ffi.new("double[]", size)


def integers(count: int) -> State:
    """A zeroed int64[]: a strategy's own memory of ticks and times."""
    return ffi.new("int64_t[]", count)


def integer_rows(rows: int, columns: int) -> State:
    """A zeroed int64[rows][columns]."""
    return ffi.new(f"int64_t[{rows}][{columns}]")


def array_of(owned: State) -> NDArray[Any]:
    """The same memory as a numpy array: for compiled code and for looking at it. It lives as long as `owned`."""
    import numpy as np

    what = ffi.typeof(owned)
    shape: Sequence[int] = (len(owned),) if what.item.kind != "array" else (len(owned), what.item.length)
    item = what.item if what.item.kind != "array" else what.item.item
    kind = np.float64 if item.cname == "double" else np.int64
    return np.frombuffer(ffi.buffer(owned), kind).reshape(shape)


def doubles_of(array: NDArray[np.float64]) -> State:
    """The C view of a contiguous float64 array. Keep the array alive while it is used."""
    assert array.dtype == "f8", "a state is made of doubles"
    assert array.flags.c_contiguous, "a state lies in one piece"
    return ffi.cast("double *", array.ctypes.data)


def times_of(array: NDArray[np.int64]) -> State:
    """The C view of a contiguous int64 array of times. Keep the array alive while it is used."""
    assert array.dtype == "i8", "times are whole nanoseconds"
    assert array.flags.c_contiguous, "an array lies in one piece"
    return ffi.cast("int64_t *", array.ctypes.data)


def rolling_init(state: State, capacity: int) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.rolling_init(state, capacity)


def rolling_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.rolling_reset(state)


def rolling_push(state: State, sample: float) -> int:
    """1: taken; 0: refused, not finite."""
    return int(lib.rolling_push(state, sample))


def rolling_count(state: State) -> int:
    """How many samples it holds."""
    return int(lib.rolling_count(state))


def rolling_is_full(state: State) -> int:
    """1 once every place is taken."""
    return int(lib.rolling_is_full(state))


def rolling_mean(state: State) -> float:
    """NaN while empty."""
    return float(lib.rolling_mean(state))


def rolling_std(state: State, ddof: float) -> float:
    """NaN while count <= ddof."""
    return float(lib.rolling_std(state, ddof))


def rolling_zscore(state: State, sample: float) -> float:
    """(sample − mean) / std(0); 0 where std is 0; NaN while empty."""
    return float(lib.rolling_zscore(state, sample))


def rolling_at(state: State, age: int) -> float:
    """0: the newest; NaN if there is none so old."""
    return float(lib.rolling_at(state, age))


def rolling_batch(state: State, samples: State, count: int, means: State, stds: State, ddof: float) -> None:
    """Takes a whole array; mean and deviation after each sample."""
    lib.rolling_batch(state, samples, count, means, stds, ddof)


def rolling_zscore_batch(state: State, samples: State, count: int, zscores: State) -> None:
    """Takes a whole array; the z-score of each sample in the window that ends with it."""
    lib.rolling_zscore_batch(state, samples, count, zscores)


def ema_init(state: State, alpha: float) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.ema_init(state, alpha)


def ema_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.ema_reset(state)


def ema_update(state: State, sample: float) -> float:
    """The new value."""
    return float(lib.ema_update(state, sample))


def ema_time_init(state: State, tau_ns: float) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.ema_time_init(state, tau_ns)


def ema_time_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.ema_time_reset(state)


def ema_time_update(state: State, now_ns: int, sample: float) -> float:
    """The new value; older samples weigh e^(−age/tau)."""
    return float(lib.ema_time_update(state, now_ns, sample))


def ema_value(state: State) -> float:
    """Of both kinds; NaN while empty."""
    return float(lib.ema_value(state))


def ema_count(state: State) -> int:
    """How many samples it has taken."""
    return int(lib.ema_count(state))


def ema_time_batch(state: State, times: State, samples: State, count: int, values: State) -> None:
    """Takes a whole array with its times (int64, ns); the value after each sample."""
    lib.ema_time_batch(state, times, samples, count, values)


def ema_batch(state: State, samples: State, count: int, values: State) -> None:
    """Takes a whole array; the value after each sample."""
    lib.ema_batch(state, samples, count, values)


def span_size(capacity: int) -> int:
    """Doubles that the state takes."""
    return int(lib.span_size(capacity))


def span_init(state: State, capacity: int, duration_ns: int) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.span_init(state, capacity, duration_ns)


def span_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.span_reset(state)


def span_push(state: State, now_ns: int, sample: float) -> int:
    """Takes a sample; times must not go back. 1: taken."""
    return int(lib.span_push(state, now_ns, sample))


def span_expire(state: State, now_ns: int) -> None:
    """Lets go what has become too old."""
    lib.span_expire(state, now_ns)


def span_count(state: State) -> int:
    """How many samples it holds."""
    return int(lib.span_count(state))


def span_dropped(state: State) -> int:
    """How many left before their time because the room was full."""
    return int(lib.span_dropped(state))


def span_sum(state: State) -> float:
    """0 while empty."""
    return float(lib.span_sum(state))


def span_min(state: State) -> float:
    """NaN while empty."""
    return float(lib.span_min(state))


def span_max(state: State) -> float:
    """NaN while empty."""
    return float(lib.span_max(state))


def span_batch(state: State, times: State, samples: State, count: int, sums: State, mins: State, maxs: State) -> None:
    """Takes a whole array with its times; sum, least and greatest after each sample."""
    lib.span_batch(state, times, samples, count, sums, mins, maxs)


def volatility_size(capacity: int) -> int:
    """Doubles that the state takes."""
    return int(lib.volatility_size(capacity))


def volatility_init(state: State, capacity: int, interval_ns: int, samples_min: int) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.volatility_init(state, capacity, interval_ns, samples_min)


def volatility_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.volatility_reset(state)


def volatility_update(state: State, now_ns: int, mid: float) -> int:
    """1: a sample was taken."""
    return int(lib.volatility_update(state, now_ns, mid))


def volatility_value(state: State) -> float:
    """NaN until samples_min changes are there."""
    return float(lib.volatility_value(state))


def volatility_batch(state: State, times: State, mids: State, count: int, values: State) -> None:
    """Takes a whole array with its times; the value after each mid."""
    lib.volatility_batch(state, times, mids, count, values)


def flow_size(capacity: int) -> int:
    """Doubles that the state takes."""
    return int(lib.flow_size(capacity))


def flow_init(state: State, capacity: int, duration_ns: int) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.flow_init(state, capacity, duration_ns)


def flow_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.flow_reset(state)


def flow_push(state: State, now_ns: int, signed_quantity: float) -> int:
    """Takes a trade: > 0 bought, < 0 sold by the taker."""
    return int(lib.flow_push(state, now_ns, signed_quantity))


def flow_value(state: State, now_ns: int) -> float:
    """In [−1, 1]; 0 while nothing traded."""
    return float(lib.flow_value(state, now_ns))


def flow_count(state: State) -> int:
    """How many trades it holds."""
    return int(lib.flow_count(state))


def flow_batch(
    state: State, times: State, signed_quantities: State, count: int, asked: State, asked_count: int, values: State
) -> None:
    """Takes all trades; the value at each time of `asked`, with every trade up to and including then."""
    lib.flow_batch(state, times, signed_quantities, count, asked, asked_count, values)


def rank_size(capacity: int) -> int:
    """Doubles that the state takes."""
    return int(lib.rank_size(capacity))


def rank_init(state: State, capacity: int) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.rank_init(state, capacity)


def rank_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.rank_reset(state)


def rank_push(state: State, sample: float) -> int:
    """Takes a sample; the oldest leaves a full window. 1: taken."""
    return int(lib.rank_push(state, sample))


def rank_value(state: State, value: float) -> float:
    """In [0, 1], equal ones counted half; 0.5 while empty."""
    return float(lib.rank_value(state, value))


def rank_count(state: State) -> int:
    """How many samples it holds."""
    return int(lib.rank_count(state))


def rank_is_full(state: State) -> int:
    """1 once every place is taken."""
    return int(lib.rank_is_full(state))


def rank_batch(state: State, samples: State, count: int, values: State) -> None:
    """Takes a whole array; the rank of each sample in the window that ends with it."""
    lib.rank_batch(state, samples, count, values)


def guard_size(changes: int, volatilities: int) -> int:
    """Doubles that the state takes."""
    return int(lib.guard_size(changes, volatilities))


def guard_init(
    state: State, changes: int, volatilities: int, interval_ns: int, volatility_z_max: float, change_z_max: float
) -> None:
    """Prepares a state; see the drawing in factors.h for its size."""
    lib.guard_init(state, changes, volatilities, interval_ns, volatility_z_max, change_z_max)


def guard_reset(state: State) -> None:
    """Forgets every sample; the settings stay."""
    lib.guard_reset(state)


def guard_update(state: State, now_ns: int, mid: float) -> int:
    """Guard_verdict_e; NORMAL while windows fill."""
    return int(lib.guard_update(state, now_ns, mid))


def guard_verdict(state: State) -> int:
    """guard_verdict_e of the last update."""
    return int(lib.guard_verdict(state))


def guard_z_change(state: State) -> float:
    """How unusual the last change was; 0 while its window fills."""
    return float(lib.guard_z_change(state))


def guard_z_volatility(state: State) -> float:
    """How unusual the volatility is; 0 while its window fills."""
    return float(lib.guard_z_volatility(state))


def guard_is_full(state: State) -> int:
    """1 once it can cry for either reason."""
    return int(lib.guard_is_full(state))


def guard_batch(state: State, times: State, mids: State, count: int, verdicts: State) -> None:
    """Takes a whole array with its times; the verdict after each mid, as doubles."""
    lib.guard_batch(state, times, mids, count, verdicts)


def microprice(bid: float, ask: float, bid_quantity: float, ask_quantity: float) -> float:
    """The mid if both are 0."""
    return float(lib.microprice(bid, ask, bid_quantity, ask_quantity))


def imbalance(bid_quantity: float, ask_quantity: float) -> float:
    """In [−1, 1]; 0 if both are 0."""
    return float(lib.imbalance(bid_quantity, ask_quantity))


def combine(weights: State, values: State, count: int) -> float:
    """Σ w·v / Σ |w| over finite values; NaN: none."""
    return float(lib.combine(weights, values, count))


def combine_batch(weights: State, columns: int, values: State, count: int, combined: State) -> None:
    """Column-wise: values[columns][count] in one piece."""
    lib.combine_batch(weights, columns, values, count, combined)
