"""What the spread of a pair says, kept in C: the Python face of the updates in cffi_build/include/signals.h."""

from collections.abc import Callable
from typing import Any, Final

from reactor._native import ffi, lib
from reactor.factors.window import Window

HOLDS: Final[int] = lib.SIGNAL_HOLDS
NEW: Final[int] = lib.SIGNAL_NEW

Update = Callable[[Any, Any, Any, Any, int], int]
"""(native, open top, hedge top, doubles to fill, now_ns) → HOLDS and NEW as bits."""

adaptive_spread_update: Update = lib.adaptive_spread_update
position_close_update: Update = lib.position_close_update


def adaptive_spread(short: Window, long: Window, ratio: float, interval_ns: int, samples_min: int) -> Any:
    """An adaptive_spread_t. Keep the windows alive as long as it."""
    native = ffi.new("adaptive_spread_t *")
    native.window_short, native.window_long = short.native, long.native
    native.ratio, native.interval_ns, native.samples_min = ratio, interval_ns, samples_min
    return native


def position_close(position: Any, ratio: float, take_profit: float, stop_loss: float, age_s_max: float) -> Any:
    """A position_close_t. Keep the position's row alive as long as it."""
    native = ffi.new("position_close_t *")
    native.position, native.ratio = position, ratio
    native.take_profit, native.stop_loss, native.age_s_max = take_profit, stop_loss, age_s_max
    return native
