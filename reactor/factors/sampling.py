"""Event arrays (hftbacktest's record) → the book at equal distances of time: the batch side of the factors.

    samples = sample(events, tick_size=0.1, lot_size=0.001, interval_ns=100_000_000, looking_depth=0.001)
    Imbalance(300).over(samples)      # one value per sample, by the very kernels that run live

The Python face of cffi_build/include/sampling.h.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactor._native import ffi, lib
from reactor.market.book import Book
from shm.layout import dtype_of

EVENT_DTYPE: Final[np.dtype[Any]] = dtype_of(ffi, "event_row_t")
SAMPLE_DTYPE: Final[np.dtype[Any]] = dtype_of(ffi, "market_sample_t")
TRADE: Final[int] = lib.EVENT_TRADE
BUY: Final[int] = lib.EVENT_BUY
SELL: Final[int] = lib.EVENT_SELL
LOCAL: Final[int] = lib.EVENT_LOCAL
VIEWS: Final[int] = lib.EVENT_EXCH | lib.EVENT_LOCAL
KIND: Final = 0xFF
STEP_SAMPLES: Final = 65_536
NO_BOUND: Final = 1 << 53

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """The book over time, and the trades. Prices in ticks, quantities in lots, times in ns; all arrays in one piece."""

    now_ns: Times
    bid_ticks: Times
    bid_lots: Times
    ask_ticks: Times
    ask_lots: Times
    bids_within: Times  # lots within the limit of depth
    asks_within: Times
    signed_lots: Times  # bought less sold by takers since the sample before
    trade_ns: Times
    trade_lots: Floats  # > 0 bought, < 0 sold by the taker

    def __len__(self) -> int:
        return len(self.now_ns)

    @property
    def mids(self) -> Floats:
        """In ticks; a half is possible."""
        return (self.bid_ticks + self.ask_ticks) / 2.0

    @property
    def spreads(self) -> Floats:
        """In ticks."""
        return (self.ask_ticks - self.bid_ticks).astype(np.float64)

    @property
    def leans(self) -> Floats:
        """Lots bid less lots asked within the limit of depth."""
        return (self.bids_within - self.asks_within).astype(np.float64)


def sample(
    events: NDArray[Any],
    tick_size: float,
    lot_size: float,
    interval_ns: int = 0,
    looking_depth: float = 0.0,
    roi_lb_ticks: int = 0,
    roi_ub_ticks: int = NO_BOUND,
) -> Samples:
    """Walks once over the rows as the local side saw them.

    Args:
        interval_ns: between samples, from the first moment on at which both sides have a price; 0: one per distinct time.
        looking_depth: share of the mid within which bids_within and asks_within count; 0: they stay 0.

    Raises:
        ValueError: the array has another dtype than hftbacktest's events, or lies in pieces.
    """
    if events.dtype.itemsize != EVENT_DTYPE.itemsize or events.dtype.names != EVENT_DTYPE.names:
        raise ValueError(f"events have the dtype {events.dtype}; it must be hftbacktest's event dtype")
    if not events.flags.c_contiguous:
        raise ValueError("events lie in pieces: make them contiguous first")
    walk, book = ffi.new("market_walk_t *"), Book()
    walk.tick_size, walk.lot_size, walk.looking_depth = tick_size, lot_size, looking_depth
    walk.roi_lb_ticks, walk.roi_ub_ticks, walk.interval_ns = roi_lb_ticks, roi_ub_ticks, interval_ns
    parts, done = [], 0
    while done < len(events):
        part = np.empty(STEP_SAMPLES, SAMPLE_DTYPE)
        rows = ffi.cast("event_row_t *", events.ctypes.data + done * EVENT_DTYPE.itemsize)
        room = ffi.cast("market_sample_t *", part.ctypes.data)
        lib.market_walk(walk, book.native, rows, len(events) - done, room, len(part))
        done += walk.rows
        parts.append(part[: walk.samples].copy())
    taken = np.concatenate(parts) if parts else np.empty(0, SAMPLE_DTYPE)
    ev = events["ev"]
    mask = ((ev & KIND) == TRADE) & ((ev & (BUY | SELL)) != 0) & (((ev & VIEWS) == 0) | ((ev & LOCAL) != 0))
    trades = events[mask]
    lots = np.rint(trades["qty"] / lot_size)
    columns = {name: np.ascontiguousarray(taken[name]) for name in SAMPLE_DTYPE.names or ()}
    columns["trade_ns"] = np.ascontiguousarray(trades["local_ts"])
    return Samples(**columns, trade_lots=np.where((trades["ev"] & BUY) != 0, lots, -lots))
