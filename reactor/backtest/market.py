"""Event files → markets that may be traded: checked, with their steps and the range of prices that a book must hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reactor.backtest.parameters import AssetParameters
from reactor.data.batch import find_inputs, load_events
from reactor.data.events import (
    DEPTH_EVENT,
    DEPTH_SNAPSHOT_EVENT,
    LOCAL_EVENT,
    TRADE_EVENT,
    EventArray,
    validate_event_order,
)
from reactor.data.validate import tick_size_of
from reactor.domain.errors import DataError

BOOK_MARGIN = 0.10  # The book reaches a tenth beyond the prices traded: farther levels are no part of any decision.
BOOK_TICKS_MAX = 16_000_000  # 128 MB per side and copy; a range beyond this is a mistake in the data or the tick size.
KIND_MASK = np.uint64(0xFF)
STEPS_SURE = 100  # So many distinct values on a coarser step than the one given: the one given is wrong.
OFF_STEP_MAX = 1e-3  # of a step: rounding of decimal fractions is a millionth of that.


@dataclass(frozen=True)
class Market:
    """One asset's recorded market."""

    parameters: AssetParameters  # with the steps filled in
    events: tuple[EventArray, ...]  # one array per file
    lower_ticks: int  # the book's range
    upper_ticks: int
    start_ns: int  # local time at which the book may be believed: after the first snapshot, if there is one
    first_ns: int  # local times of the data
    last_ns: int
    is_tick_told: bool = False  # the steps were told from the data
    has_snapshot: bool = False

    @property
    def event_count(self) -> int:
        """In all files."""
        return sum(len(each) for each in self.events)


def open_market(asset: AssetParameters) -> Market:
    """Loads and checks every file of an asset.

    Raises:
        DataError: a file is missing, damaged, empty or out of order, or the steps are not those of its prices.
    """
    files = tuple(find_inputs(asset.files))
    arrays = tuple(_load(path) for path in files)
    last_ns = -(1 << 62)
    for path, events in zip(files, arrays, strict=True):
        first = _first_local(events)
        if first < last_ns:
            raise DataError(
                path, "begins before the file in front of it ends: the files of one asset follow each other in time"
            )
        last_ns = int(events["local_ts"].max())
    prices = [events["px"][_is_kind(events, DEPTH_EVENT, TRADE_EVENT, DEPTH_SNAPSHOT_EVENT)] for events in arrays]
    quantities = [events["qty"][_is_kind(events, TRADE_EVENT)] for events in arrays]
    tick_size = _step("tick", "price", asset.tick_size, files, prices, is_finer_refused=True)
    lot_size = _step("lot", "traded quantity", asset.lot_size, files, quantities, is_finer_refused=False)
    lower, upper = _range(files[0], arrays, tick_size)
    start_ns, has_snapshot = _start(arrays)
    return Market(
        replace(asset, files=files, tick_size=tick_size, lot_size=lot_size),
        arrays, lower, upper, start_ns, _first_local(arrays[0]), last_ns,
        is_tick_told=not (asset.tick_size and asset.lot_size), has_snapshot=has_snapshot,
    )  # fmt: skip


def _load(path: str) -> EventArray:
    events = load_events(path)
    if len(events) == 0:
        raise DataError(path, "holds no events")
    try:
        validate_event_order(events)
    except ValueError as error:
        raise DataError(path, f"cannot be backtested: {error}") from None
    kinds = events["ev"] & KIND_MASK
    for kind, word in ((TRADE_EVENT, "trades"), (DEPTH_EVENT, "depth updates")):
        if not bool((kinds == np.uint64(kind)).any()):
            raise DataError(path, f"holds no {word}: a backtest needs the book and the trades")
    return events


def _is_kind(events: EventArray, *kinds: int) -> Any:
    return np.isin(events["ev"] & KIND_MASK, np.array(kinds, np.uint64))


def _first_local(events: EventArray) -> int:
    return int(events["local_ts"].min())


def _step(word: str, what: str, given: float, files: Sequence[str], values: Sequence[Any], *, is_finer_refused: bool) -> float:
    """The step of prices or quantities: the one given if the data stand on it, the data's own if none was given.

    Raises:
        DataError: the data do not stand on it.
    """
    distinct = np.unique(np.concatenate([np.unique(each) for each in values]))
    distinct = distinct[np.isfinite(distinct) & (distinct > 0)]
    own = tick_size_of(distinct)
    if not given:
        if not own:
            raise DataError(files[0], f"--{word}-size: the data do not tell it; give it")
        return own
    option = f"--{word}-size {given:g}"
    if not 0 < given < float("inf"):
        raise DataError(option, "must be greater than 0")
    steps = distinct / given
    is_off = np.abs(steps - np.round(steps)) > OFF_STEP_MAX
    if is_off.any():
        first = distinct[int(np.argmax(is_off))]
        raise DataError(option, f"the {what} {first:.12g} in {files[0]} is no multiple of it; the data stand on {own:g}")
    if is_finer_refused and len(distinct) >= STEPS_SURE and own > given * 1.5:
        raise DataError(option, f"every {what} in {files[0]} stands on steps of {own:g}: that is the {word} size")
    return given


def _range(path: str, arrays: Sequence[EventArray], tick_size: float) -> tuple[int, int]:
    lowest, highest = float("inf"), 0.0
    for events in arrays:
        traded = events["px"][_is_kind(events, TRADE_EVENT)]
        lowest, highest = min(lowest, float(traded.min())), max(highest, float(traded.max()))
    lower = max(0, int(lowest * (1 - BOOK_MARGIN) / tick_size))
    upper = int(highest * (1 + BOOK_MARGIN) / tick_size) + 1
    if upper - lower > BOOK_TICKS_MAX:
        raise DataError(path, f"trades from {lowest:g} to {highest:g}: too many ticks of {tick_size:g} for one book")
    return lower, upper


def _start(arrays: Sequence[EventArray]) -> tuple[int, bool]:
    local = np.uint64(LOCAL_EVENT)
    for events in arrays:
        is_snapshot = _is_kind(events, DEPTH_SNAPSHOT_EVENT) & ((events["ev"] & local) == local)
        if is_snapshot.any():
            return int(events["local_ts"][int(np.argmax(is_snapshot))]), True
    return _first_local(arrays[0]), False
