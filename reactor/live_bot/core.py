"""The C bot (cffi_build/include/live_bot.h) and the memory it lives in.

core = BotCore(assets, wires, …)      every ring, row and array is plugged in once
with core.locked(): core.pump()       the main thread, while the strategy sleeps or has not begun
core.address                          what the strategy's `hbt` is made from (surface.py)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from reactor._native import ffi, lib
from reactor.domain.instrument import Instrument
from reactor.live_bot.parameters import AssetParameters, roi_ticks
from reactor.loop.counters import Metrics
from reactor.market.book import Book
from shm.ring import NORMAL, URGENT, Consumer, Producer
from shm.seqlock import RowsReader

BOOK_CAPACITY: Final = 8192  # Levels per side, as the feed's.
REASONS: Final[int] = lib.LIVE_REASONS
SIGNAL_SHIFT: Final = 48  # of the writer's number in a signal id


@dataclass
class BotWires:
    """The rings and rows of one bot."""

    signals: Producer
    markets: Sequence[Consumer]
    responses: Consumer
    positions: RowsReader | None = None
    metrics_segment: int = 0  # address of the metrics rows; 0: nobody watches
    wake_fd: int = -1


class BotCore:
    """One bot."""

    def __init__(
        self,
        assets: Sequence[AssetParameters],
        instruments: Sequence[Instrument],
        wires: BotWires,
        metrics: Metrics,
        source_index: int,
        strategy_index: int,
        orders_max: int,
        trades_kept: int,
        clock_speed: float,
    ) -> None:
        """`instruments`: one per asset, in the same order."""
        self.wires = wires
        self._kept: list[Any] = [metrics.view]  # What C points to.
        bot = self._bot = ffi.new("live_bot_t *")
        bot.assets = self._assets = self._new("live_asset_t[]", len(assets))
        bot.asset_count = len(assets)
        for asset, parameters, instrument in zip(self._assets, assets, instruments, strict=True):
            self._lay_out(asset, parameters, instrument, trades_kept)
        bot.order_capacity = orders_max
        bot.orders = self._new("live_order_t[]", orders_max)
        bot.notes = self._new("live_note_t[]", orders_max)
        bot.free_places = self._new("uint32_t[]", orders_max)
        buckets = 1 << (2 * orders_max - 1).bit_length()
        bot.buckets = self._new("uint32_t[]", buckets)
        bot.bucket_mask = buckets - 1
        bot.market_count = len(wires.markets)
        bot.market_consumers = self._pointers([each.address for each in wires.markets])
        bot.market_lanes = self._pointers([each.lane_address(NORMAL) for each in wires.markets])
        bot.response_consumer = ffi.cast("void *", wires.responses.address)
        bot.response_lane = ffi.cast("void *", wires.responses.lane_address(NORMAL))
        bot.signal_lane = ffi.cast("void *", wires.signals.lane_address(URGENT))
        bot.metrics = metrics.view
        bot.metrics_segment = ffi.cast("void *", wires.metrics_segment)
        bot.wake_fd = wires.wake_fd
        bot.source = source_index
        bot.strategy_index = strategy_index
        bot.signal_base = (source_index + 1) << SIGNAL_SHIFT  # Feeds number theirs by feed: a smaller number than any role's.
        bot.clock_speed = clock_speed
        lib.live_bot_init(bot)

    def _new(self, ctype: str, count: int) -> Any:
        memory = ffi.new(ctype, max(count, 1))
        self._kept.append(memory)
        return memory

    def _pointers(self, addresses: Sequence[int]) -> Any:
        pointers = self._new("void *[]", len(addresses))
        for place, address in enumerate(addresses):
            pointers[place] = ffi.cast("void *", address)
        return pointers

    def _lay_out(self, asset: Any, parameters: AssetParameters, instrument: Instrument, trades_kept: int) -> None:
        asset.instrument_index = parameters.instrument_index
        asset.tick_size = instrument.price_float(1)
        asset.lot_size = instrument.quantity_float(1)
        asset.lot_units = instrument.lot_size
        asset.lot_scale = float(10**instrument.quantity_decimals)
        asset.trades = self._new("event_row_t[]", trades_kept)
        asset.trade_capacity = trades_kept
        asset.levels = self._new("event_row_t[]", 2 * BOOK_CAPACITY)
        asset.level_capacity = 2 * BOOK_CAPACITY
        book = Book(BOOK_CAPACITY)
        self._kept.append(book)
        asset.book = book.native
        asset.room = self._new("level_t[]", BOOK_CAPACITY)
        asset.room_count = BOOK_CAPACITY
        if parameters.roi_ub > 0:
            asset.roi_lb_tick, asset.roi_ub_tick = roi_ticks(parameters, instrument)
            count = asset.roi_ub_tick - asset.roi_lb_tick + 1
            asset.bid_depth, asset.ask_depth = self._new("double[]", count), self._new("double[]", count)
        positions = self.wires.positions
        if positions is not None:
            asset.position_row = ffi.cast("void *", positions.row_address(parameters.instrument_index))
            asset.position = positions.view(parameters.instrument_index)

    # -- the lock

    @property
    def address(self) -> int:
        """The live_bot_t. Valid while this object lives."""
        return int(ffi.cast("uintptr_t", self._bot))

    def lock(self) -> None:
        """Waits for it; the interpreter runs on."""
        lib.live_bot_lock(self._bot)

    def try_lock(self) -> bool:
        """False: the strategy is computing."""
        return bool(lib.live_bot_try_lock(self._bot))

    def unlock(self) -> None:
        """Gives it back."""
        lib.live_bot_unlock(self._bot)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the lock."""
        self.lock()
        try:
            yield
        finally:
            self.unlock()

    def stop(self) -> None:
        """Every wait of the strategy returns 1 from now on. From any thread, without the lock."""
        lib.live_bot_stop(self._bot)

    # -- under the lock

    def pump(self) -> None:
        """Takes everything that has come in."""
        lib.live_bot_pump(self._bot)

    def beat(self) -> None:
        """Life sign."""
        lib.live_bot_beat(self._bot)

    def withdraw(self) -> int:
        """Asks for the end of every open order. How many are open still."""
        return int(lib.live_bot_withdraw(self._bot))

    def forget(self) -> int:
        """Prepost has begun anew: what was open is over. How many that were."""
        return int(lib.live_bot_forget(self._bot))

    def is_synchronised(self) -> bool:
        """Every book may be believed."""
        return bool(lib.live_bot_is_synchronised(self._bot))

    def refusals(self) -> dict[int, int]:
        """How often our risk rules said no, by reason_e."""
        counts = self._bot.refusals
        return {reason: int(counts[reason]) for reason in range(REASONS) if counts[reason]}
