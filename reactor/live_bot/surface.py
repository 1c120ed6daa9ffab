"""What a strategy holds in its hands: the calls of hftbacktest's live bots and backtests, as Numba classes over our C.

    hbt = LiveBot(core.address)          then, inside @njit:  while hbt.elapse(100_000_000) == 0: …

One class serves both kinds of hftbacktest: `depth()` has what HashMapMarketDepth and what ROIVectorMarketDepth have. Results:
0 done or time over, 1 stop, 2 a feed, 3 an order response, from 10 on refusals (live_result_e in live_bot.h).
Pointers travel as unsigned integers; nearly every method is one call of a C function, made without the interpreter.
"""

# What C returns has no type that a checker could see: Numba checks it.
# mypy: disable-error-code="no-any-return, untyped-decorator"

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Final

import numba
import numba.core.cgutils
import numba.experimental
import numba.extending
import numpy as np

from reactor._native import ffi, lib
from shm.layout import dtype_of

Address = int  # of something in C
_HIDDEN: Final = frozenset({"pad", "_q1", "_q2"})
_CTYPES: Final[dict[str, Any]] = {
    "double": ctypes.c_double, "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64, "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32, "void": None,
}  # fmt: skip


def _record_dtype(struct_name: str) -> np.dtype[Any]:
    """A C struct as Numba reads it: without its pads."""
    whole = dtype_of(ffi, struct_name)
    assert whole.fields is not None, "a struct has fields"
    names = [name for name in whole.names or () if name not in _HIDDEN]
    fields = [whole.fields[name] for name in names]
    return np.dtype(
        {
            "names": names,
            "formats": [field[0] for field in fields],
            "offsets": [field[1] for field in fields],
            "itemsize": whole.itemsize,
        }
    )


EVENT_DTYPE: Final = _record_dtype("event_row_t")
ORDER_DTYPE: Final = _record_dtype("live_order_t")
STATE_DTYPE: Final = _record_dtype("live_state_t")


def _function(name: str) -> Callable[..., Any]:
    """A C function in the form that Numba calls directly; pointers become integers."""
    pointer = ffi.addressof(lib, name)
    kind = ffi.typeof(pointer)
    result = ctypes.c_uint64 if kind.result.kind == "pointer" else _CTYPES[kind.result.cname]
    arguments: Sequence[Any] = [ctypes.c_uint64 if each.kind == "pointer" else _CTYPES[each.cname] for each in kind.args]
    made: Callable[..., Any] = ctypes.CFUNCTYPE(result, *arguments)(int(ffi.cast("uintptr_t", pointer)))
    return made


_elapse = _function("live_bot_elapse")
_wait_next_feed = _function("live_bot_wait_next_feed")
_wait_order_response = _function("live_bot_wait_order_response")
_submit = _function("live_bot_submit")
_modify = _function("live_bot_modify")
_cancel = _function("live_bot_cancel")
_clear_inactive_orders = _function("live_bot_clear_inactive_orders")
_clear_last_trades = _function("live_bot_clear_last_trades")
_current_timestamp = _function("live_bot_current_timestamp")
_num_assets = _function("live_bot_num_assets")
_asset = _function("live_bot_asset")
_state_values = _function("live_bot_state_values")
_last_trades = _function("live_bot_last_trades")
_trade_count = _function("live_bot_trade_count")
_feed_latency = _function("live_bot_feed_latency")
_order_latency = _function("live_bot_order_latency")
_order = _function("live_bot_order")
_order_count = _function("live_bot_order_count")
_next_place = _function("live_bot_next_place")
_order_at = _function("live_bot_order_at")
_stop = _function("live_bot_stop")
_best_bid_tick = _function("live_depth_best_bid_tick")
_best_ask_tick = _function("live_depth_best_ask_tick")
_best_bid = _function("live_depth_best_bid")
_best_ask = _function("live_depth_best_ask")
_best_bid_qty = _function("live_depth_best_bid_qty")
_best_ask_qty = _function("live_depth_best_ask_qty")
_tick_size = _function("live_depth_tick_size")
_lot_size = _function("live_depth_lot_size")
_bid_qty_at_tick = _function("live_depth_bid_qty_at_tick")
_ask_qty_at_tick = _function("live_depth_ask_qty_at_tick")
_bid_depth = _function("live_depth_bid_depth")
_ask_depth = _function("live_depth_ask_depth")
_roi_lb_tick = _function("live_depth_roi_lb_tick")
_roi_ub_tick = _function("live_depth_roi_ub_tick")
_snapshot = _function("live_depth_snapshot")
_level_count = _function("live_depth_level_count")

_numba: Any = numba  # Untyped where it is installed, unknown where it is not.
_jitclass = _numba.experimental.jitclass
_carray = _numba.carray
_ADDRESS: Final = [("address", _numba.uint64)]
_ITERATOR: Final = [("address", _numba.uint64), ("asset_no", _numba.uint64), ("place", _numba.int64)]
_DICTIONARY: Final = [("address", _numba.uint64), ("asset_no", _numba.uint64)]
_ORDER_FIELDS: Final = [("arr", _numba.from_dtype(ORDER_DTYPE)[:])]
_STATE_FIELDS: Final = [("arr", _numba.from_dtype(STATE_DTYPE)[:])]
NEW, PARTIALLY_FILLED, NONE = int(lib.LIVE_NEW), int(lib.LIVE_PARTIALLY_FILLED), int(lib.LIVE_NONE)


def lean(made: Any) -> Any:
    """A Numba class whose methods only compiled code calls: without their entries for Python a strategy compiles in a third of
    the time."""
    kind = made.class_type
    properties = [each for accessors in kind.jit_props.values() for each in accessors.values()]
    for method in [*kind.jit_methods.values(), *properties]:
        method.targetoptions.update(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    return made


@_numba.extending.intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """An address as a pointer that carray() takes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], _numba.core.cgutils.voidptr_t)

    return _numba.types.voidptr(address), generate


@lean
@_jitclass(_ORDER_FIELDS)
class Order:
    """One own order: hftbacktest's fields. Its bytes are the table's: it changes in the waits."""

    def __init__(self, arr: Any) -> None:
        self.arr = arr

    @property
    def price(self) -> float:
        return self.arr[0].price_tick * self.arr[0].tick_size

    @property
    def exec_price(self) -> float:
        return self.arr[0].exec_price_tick * self.arr[0].tick_size

    @property
    def cancellable(self) -> bool:
        return (self.arr[0].status == NEW or self.arr[0].status == PARTIALLY_FILLED) and self.arr[0].req == NONE

    @property
    def qty(self) -> float:
        return self.arr[0].qty

    @property
    def leaves_qty(self) -> float:
        return self.arr[0].leaves_qty

    @property
    def price_tick(self) -> int:
        return self.arr[0].price_tick

    @property
    def tick_size(self) -> float:
        return self.arr[0].tick_size

    @property
    def exch_timestamp(self) -> int:
        return self.arr[0].exch_timestamp

    @property
    def local_timestamp(self) -> int:
        return self.arr[0].local_timestamp

    @property
    def exec_price_tick(self) -> int:
        return self.arr[0].exec_price_tick

    @property
    def exec_qty(self) -> float:
        return self.arr[0].exec_qty

    @property
    def order_id(self) -> int:
        return self.arr[0].order_id

    @property
    def order_type(self) -> int:
        return self.arr[0].order_type

    @property
    def req(self) -> int:
        return self.arr[0].req

    @property
    def status(self) -> int:
        return self.arr[0].status

    @property
    def side(self) -> int:
        return self.arr[0].side

    @property
    def time_in_force(self) -> int:
        return self.arr[0].time_in_force

    @property
    def maker(self) -> bool:
        return self.arr[0].maker != 0


@lean
@_jitclass(_STATE_FIELDS)
class StateValues:
    """hftbacktest's state values."""

    def __init__(self, arr: Any) -> None:
        self.arr = arr

    @property
    def position(self) -> float:
        return self.arr[0].position

    @property
    def balance(self) -> float:
        return self.arr[0].balance

    @property
    def fee(self) -> float:
        return self.arr[0].fee

    @property
    def num_trades(self) -> int:
        return self.arr[0].num_trades

    @property
    def trading_volume(self) -> float:
        return self.arr[0].trading_volume

    @property
    def trading_value(self) -> float:
        return self.arr[0].trading_value


@lean
@_jitclass(_ITERATOR)
class OrderValues:
    """The orders of an asset, one after another: `while values.has_next(): order = values.get()`, or `next()` until None."""

    def __init__(self, address: Address, asset_no: int) -> None:
        self.address = address
        self.asset_no = asset_no
        self.place = -1

    def has_next(self) -> bool:
        if self.place == -2:
            return False
        self.place = _next_place(self.address, self.asset_no, self.place)
        if self.place < 0:
            self.place = -2
            return False
        return True

    def get(self) -> Any:
        if self.place < 0:
            raise RuntimeError
        return Order(_carray(_pointer(_order_at(self.address, self.place)), 1, ORDER_DTYPE))

    def next(self) -> Any:
        if not self.has_next():
            return None
        return Order(_carray(_pointer(_order_at(self.address, self.place)), 1, ORDER_DTYPE))


@lean
@_jitclass(_DICTIONARY)
class OrderDict:
    """The orders of an asset by the strategy's own ids."""

    def __init__(self, address: Address, asset_no: int) -> None:
        self.address = address
        self.asset_no = asset_no

    def values(self) -> Any:
        return OrderValues(self.address, self.asset_no)

    def get(self, order_id: int) -> Any:
        found = _order(self.address, self.asset_no, order_id)
        if found == 0:
            return None
        return Order(_carray(_pointer(found), 1, ORDER_DTYPE))

    def __len__(self) -> int:
        return _order_count(self.address, self.asset_no)

    def __contains__(self, order_id: int) -> bool:
        return _order(self.address, self.asset_no, order_id) != 0


@lean
@_jitclass(_ADDRESS)
class MarketDepth:
    """The depth of one asset. Without a book that can be believed it is empty: best_bid and best_ask are NaN."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def best_bid_tick(self) -> int:
        return _best_bid_tick(self.address)

    @property
    def best_ask_tick(self) -> int:
        return _best_ask_tick(self.address)

    @property
    def best_bid(self) -> float:
        return _best_bid(self.address)

    @property
    def best_ask(self) -> float:
        return _best_ask(self.address)

    @property
    def best_bid_qty(self) -> float:
        return _best_bid_qty(self.address)

    @property
    def best_ask_qty(self) -> float:
        return _best_ask_qty(self.address)

    @property
    def tick_size(self) -> float:
        return _tick_size(self.address)

    @property
    def lot_size(self) -> float:
        return _lot_size(self.address)

    def bid_qty_at_tick(self, price_tick: int) -> float:
        return _bid_qty_at_tick(self.address, price_tick)

    def ask_qty_at_tick(self, price_tick: int) -> float:
        return _ask_qty_at_tick(self.address, price_tick)

    @property
    def roi_lb_tick(self) -> int:
        return _roi_lb_tick(self.address)

    @property
    def roi_ub_tick(self) -> int:
        return _roi_ub_tick(self.address)

    @property
    def bid_depth(self) -> Any:
        """Quantities from roi_lb_tick to roi_ub_tick. Without a region of interest in the config it raises."""
        depth = _bid_depth(self.address)
        if depth == 0:
            raise RuntimeError("no region of interest: give the asset roi_lb and roi_ub in the config")
        return _carray(_pointer(depth), _roi_ub_tick(self.address) - _roi_lb_tick(self.address) + 1, np.float64)

    @property
    def ask_depth(self) -> Any:
        """As bid_depth."""
        depth = _ask_depth(self.address)
        if depth == 0:
            raise RuntimeError("no region of interest: give the asset roi_lb and roi_ub in the config")
        return _carray(_pointer(depth), _roi_ub_tick(self.address) - _roi_lb_tick(self.address) + 1, np.float64)

    def snapshot(self) -> Any:
        """All levels as events, best first, bids then asks. Valid until the next call."""
        rows = _snapshot(self.address)
        return _carray(_pointer(rows), _level_count(self.address), EVENT_DTYPE)

    def snapshot_free(self, arr: Any) -> None:
        """Nothing to do: the memory stays."""


@lean
@_jitclass(_ADDRESS)
class LiveBot:
    """The bot. Numbers of time are ns; asset numbers follow the config; order ids are the strategy's own."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def current_timestamp(self) -> int:
        return _current_timestamp(self.address)

    @property
    def num_assets(self) -> int:
        return _num_assets(self.address)

    def depth(self, asset_no: int) -> Any:
        return MarketDepth(_asset(self.address, asset_no))

    def position(self, asset_no: int) -> float:
        return StateValues(_carray(_pointer(_state_values(self.address, asset_no)), 1, STATE_DTYPE)).position

    def state_values(self, asset_no: int) -> Any:
        return StateValues(_carray(_pointer(_state_values(self.address, asset_no)), 1, STATE_DTYPE))

    def last_trades(self, asset_no: int) -> Any:
        return _carray(_pointer(_last_trades(self.address, asset_no)), _trade_count(self.address, asset_no), EVENT_DTYPE)

    def clear_last_trades(self, asset_no: int) -> None:
        _clear_last_trades(self.address, asset_no)

    def orders(self, asset_no: int) -> Any:
        return OrderDict(self.address, asset_no)

    def submit_buy_order(
        self, asset_no: int, order_id: int, price: float, qty: float, time_in_force: int, order_type: int, wait: bool
    ) -> int:
        return _submit(self.address, asset_no, order_id, price, qty, 1, time_in_force, order_type, 1 if wait else 0)

    def submit_sell_order(
        self, asset_no: int, order_id: int, price: float, qty: float, time_in_force: int, order_type: int, wait: bool
    ) -> int:
        return _submit(self.address, asset_no, order_id, price, qty, -1, time_in_force, order_type, 1 if wait else 0)

    def modify(self, asset_no: int, order_id: int, price: float, qty: float, wait: bool) -> int:
        return _modify(self.address, asset_no, order_id, price, qty, 1 if wait else 0)

    def cancel(self, asset_no: int, order_id: int, wait: bool) -> int:
        return _cancel(self.address, asset_no, order_id, 1 if wait else 0)

    def clear_inactive_orders(self, asset_no: int) -> None:
        _clear_inactive_orders(self.address, asset_no)

    def wait_order_response(self, asset_no: int, order_id: int, timeout: int) -> int:
        return _wait_order_response(self.address, asset_no, order_id, timeout)

    def wait_next_feed(self, include_order_resp: bool, timeout: int) -> int:
        return _wait_next_feed(self.address, 1 if include_order_resp else 0, timeout)

    def elapse(self, duration: int) -> int:
        return _elapse(self.address, duration)

    def elapse_bt(self, duration: int) -> int:
        """Time that only a backtest has to be told of."""
        return 0

    def close(self) -> int:
        """The strategy is done: its orders go, further waits return 1."""
        _stop(self.address)
        return 0

    def feed_latency(self, asset_no: int) -> Any:
        """(exch_ts, local_ts) of the last feed, or None."""
        found = _feed_latency(self.address, asset_no)
        if found == 0:
            return None
        times = _carray(_pointer(found), 2, np.int64)
        return times[0], times[1]

    def order_latency(self, asset_no: int) -> Any:
        """(req_ts, exch_ts, resp_ts) of the last order response, or None."""
        found = _order_latency(self.address, asset_no)
        if found == 0:
            return None
        times = _carray(_pointer(found), 3, np.int64)
        return times[0], times[1], times[2]
