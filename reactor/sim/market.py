"""One symbol's displayed market: strangers' levels plus our accounts' resting orders, and the streams cut from them.

    strangers' levels ─┐                      ┌─▶ bookTicker, at once, when a best level changed
                       ├─▶ touched ─commit()──┼─▶ one bucket per depth cadence, closed by close_buckets()
    our resting lots ──┘      (ids minted)    └─▶ last_update_id of snapshots

Every commit mints update ids; snapshots are taken between commits. Spot ids are contiguous per symbol; futures ids are shared
by the whole venue's engine, so a stream's ids have gaps and are chained by the previous event's last id.
Nothing is emitted when nothing changed.
"""

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from reactor.sim.events import (
    AggregateTradeEvent,
    BookTickerEvent,
    DepthEvent,
    Event,
    Levels,
    PublicTrade,
    TradeEvent,
)
from reactor.sim.symbols import SymbolRules

MS: Final = 1_000_000
SPOT_SPEEDS_MS: Final = (100, 1000)
USDM_SPEEDS_MS: Final = (0, 100, 250, 500)
REALTIME_INTERVAL_NS: Final = 50 * MS  # `@depth@0ms` is not every change: median spacing 52 ms in captures.
RECENT_TRADES_MAX: Final = 1000  # GET trades never gives more.
AVERAGE_WINDOW_NS: Final = 300_000 * MS  # avgPriceMins 5
AVERAGE_SLICE_NS: Final = 10_000 * MS
# Median growth of the id between two futures commits in captures is 72, the mean 414: other symbols' updates take ids too.
USDM_ID_JUMP_MASK: Final = 0x1FF


class UpdateIds:
    """Mints update ids. Contiguous for a spot symbol; with gaps for the futures engine that all symbols share."""

    __slots__ = ("_has_gaps", "_noise", "last")

    def __init__(self, first: int, *, has_gaps: bool) -> None:
        self.last = first - 1
        self._has_gaps = has_gaps
        self._noise = first | 1

    def mint(self, count: int) -> tuple[int, int]:
        """(first, last) of `count` consecutive ids."""
        first = self.last + 1
        if self._has_gaps:
            # A plain linear congruence: deterministic, and enough to keep anybody from expecting U == pu + 1.
            self._noise = (self._noise * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            first += (self._noise >> 40) & USDM_ID_JUMP_MASK
        self.last = first + count - 1
        return first, self.last


class BookSide:
    """Price levels of strangers on one side. `sign` +1: bids (best is highest), −1: asks."""

    __slots__ = ("_keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, int] = {}
        self._keys: list[int] = []  # sign · ticks, ascending: the best is last.

    def best(self) -> int:
        """Best price in ticks, 0 if empty."""
        return self._keys[-1] * self.sign if self._keys else 0

    def apply_level(self, ticks: int, lots: int) -> bool:
        """Sets one level; False if that changed nothing."""
        old = self.levels.get(ticks, 0)
        if old == lots:
            return False
        if lots == 0:
            del self.levels[ticks]
            key = ticks * self.sign
            if self._keys[-1] == key:
                self._keys.pop()
            else:
                del self._keys[bisect_left(self._keys, key)]
            return True
        self.levels[ticks] = lots
        if old == 0:
            insort(self._keys, ticks * self.sign)
        return True

    def better_than(self, ticks: int) -> list[int]:
        """Prices strictly better than `ticks`, best first."""
        key = ticks * self.sign
        keys, sign = self._keys, self.sign
        found = []
        for index in range(len(keys) - 1, -1, -1):
            if keys[index] <= key:
                break
            found.append(keys[index] * sign)
        return found

    def top(self, count: int) -> Levels:
        """The best `count` levels, best first."""
        levels, sign = self.levels, self.sign
        return [(key * sign, levels[key * sign]) for key in self._keys[: -count - 1 : -1]]

    def between(self, worst: int, best: int) -> list[int]:
        """Prices from `worst` to `best`, both included."""
        low, high = worst * self.sign, best * self.sign
        return [key * self.sign for key in self._keys[bisect_left(self._keys, low) : bisect_left(self._keys, high + 1)]]


class _Bucket:
    """What changed since the last event of one depth cadence."""

    __slots__ = ("asks", "bids", "close_ns", "first_id", "interval_ns", "previous_id", "speed_ms", "wanted")

    def __init__(self, speed_ms: int, previous_id: int) -> None:
        self.speed_ms = speed_ms
        self.interval_ns = speed_ms * MS or REALTIME_INTERVAL_NS
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.first_id = 0
        self.previous_id = previous_id
        self.close_ns = 0
        self.wanted = True


class SymbolMarket:
    """See the module's drawing. Events go to the list handed in as `events`."""

    def __init__(self, rules: SymbolRules, ids: UpdateIds, events: list[Event], first_trade_id: int, now_ns: int) -> None:
        self.rules = rules
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.own_bids: dict[int, int] = {}
        self.own_asks: dict[int, int] = {}
        self.touched_bids: dict[int, int] = {}
        self.touched_asks: dict[int, int] = {}
        self.ids = ids
        self.last_update_id = ids.mint(1)[1]
        self.transaction_ns = now_ns
        self.recent: deque[PublicTrade] = deque(maxlen=RECENT_TRADES_MAX)
        self.last_ticks = 0
        self.last_lots = 0
        self.open_ticks = self.high_ticks = self.low_ticks = 0
        self.volume_lots = self.quote_e8 = 0
        self.first_trade_id = first_trade_id
        self.next_trade_id = first_trade_id
        self.open_ns = now_ns
        self.top = (0, 0, 0, 0)
        self._events = events
        self._next_aggregate_id = first_trade_id // 2
        self._aggregate: list[int] | None = None  # ticks, lots, first id, last id, buyer_is_maker, trade_ns, event_ns
        self._slices: deque[list[int]] = deque()  # slice start ns, Σ price·lots, Σ lots
        speeds = USDM_SPEEDS_MS if rules.is_futures else SPOT_SPEEDS_MS
        self._buckets = [_Bucket(speed, self.last_update_id) for speed in speeds]
        self._wanted = list(self._buckets)
        for bucket in self._buckets:
            bucket.close_ns = _next_multiple(now_ns, bucket.interval_ns)
        self.next_close_ns = min(bucket.close_ns for bucket in self._buckets)

    # levels

    def apply_level(self, is_bid: bool, ticks: int, lots: int) -> None:
        """Sets a strangers' level; shows up at the next commit."""
        if is_bid:
            if self.bids.apply_level(ticks, lots):
                self.touched_bids[ticks] = lots + self.own_bids.get(ticks, 0)
        elif self.asks.apply_level(ticks, lots):
            self.touched_asks[ticks] = lots + self.own_asks.get(ticks, 0)

    def apply_levels(self, is_bid: bool, levels: Levels) -> None:
        """Many of them."""
        side, own, touched = (
            (self.bids, self.own_bids, self.touched_bids) if is_bid else (self.asks, self.own_asks, self.touched_asks)
        )
        apply_level = side.apply_level
        for ticks, lots in levels:
            if apply_level(ticks, lots):
                touched[ticks] = lots + own.get(ticks, 0)

    def apply_own(self, is_bid: bool, ticks: int, delta_lots: int) -> None:
        """Our accounts' resting lots at a price changed by `delta_lots`."""
        own, side, touched = (
            (self.own_bids, self.bids, self.touched_bids) if is_bid else (self.own_asks, self.asks, self.touched_asks)
        )
        lots = own.get(ticks, 0) + delta_lots
        assert lots >= 0, "our resting lots at a price are never negative"
        if lots:
            own[ticks] = lots
        else:
            del own[ticks]
        touched[ticks] = lots + side.levels.get(ticks, 0)

    def best_bid(self) -> int:
        """Best displayed bid, ours included; 0: none."""
        market = self.bids.best()
        return max(market, max(self.own_bids)) if self.own_bids else market

    def best_ask(self) -> int:
        """Best displayed ask, ours included; 0: none."""
        market = self.asks.best()
        if not self.own_asks:
            return market
        own = min(self.own_asks)
        return min(market, own) if market else own

    def displayed(self, is_bid: bool, ticks: int) -> int:
        """Lots shown at a price."""
        if is_bid:
            return self.bids.levels.get(ticks, 0) + self.own_bids.get(ticks, 0)
        return self.asks.levels.get(ticks, 0) + self.own_asks.get(ticks, 0)

    def mid_e8(self) -> int:
        """Mid price in 1e-8, 0 if a side is empty."""
        bid, ask = self.best_bid(), self.best_ask()
        return (bid + ask) * self.rules.tick_e8 // 2 if bid and ask else 0

    def depth(self, limit: int) -> tuple[Levels, Levels]:
        """The best `limit` displayed levels of each side."""
        return _merged(self.bids, self.own_bids, limit), _merged(self.asks, self.own_asks, limit)

    def commit(self, transaction_ns: int, event_ns: int) -> None:
        """Gives what was touched its update ids and puts it into the streams. Nothing touched: nothing happens."""
        bids, asks = self.touched_bids, self.touched_asks
        count = len(bids) + len(asks)
        if count == 0:
            return
        first, last = self.ids.mint(count)
        self.last_update_id = last
        self.transaction_ns = transaction_ns
        for bucket in self._wanted:
            if not bucket.first_id:
                bucket.first_id = first
            if bids:
                bucket.bids.update(bids)
            if asks:
                bucket.asks.update(asks)
        bids.clear()
        asks.clear()
        if self.own_bids or self.own_asks:
            bid, ask = self.best_bid(), self.best_ask()
            top = (bid, self.displayed(True, bid), ask, self.displayed(False, ask))
        else:
            bid, ask = self.bids.best(), self.asks.best()
            top = (bid, self.bids.levels.get(bid, 0), ask, self.asks.levels.get(ask, 0))
        if top != self.top:
            self.top = top
            self._events.append(BookTickerEvent(self.rules, last, *top, transaction_ns, event_ns))

    # streams

    def want_depth(self, speed_ms: int, wanted: bool, now_ns: int) -> None:
        """Switches one cadence on or off."""
        for bucket in self._buckets:
            if bucket.speed_ms == speed_ms and bucket.wanted != wanted:
                bucket.wanted = wanted
                bucket.bids.clear()
                bucket.asks.clear()
                bucket.first_id = 0
                bucket.previous_id = self.last_update_id
                bucket.close_ns = _next_multiple(now_ns, bucket.interval_ns)
        self._wanted = [bucket for bucket in self._buckets if bucket.wanted]
        self.next_close_ns = min((bucket.close_ns for bucket in self._wanted), default=1 << 62)

    def close_buckets(self, now_ns: int) -> None:
        """Emits every depth interval that is over at `now_ns`."""
        self.flush_aggregate()
        for bucket in self._wanted:
            if bucket.close_ns > now_ns:
                continue
            if bucket.first_id:
                self._events.append(
                    DepthEvent(
                        self.rules,
                        bucket.speed_ms,
                        bucket.first_id,
                        self.last_update_id,
                        bucket.previous_id,
                        sorted(bucket.bids.items(), reverse=True),
                        sorted(bucket.asks.items()),
                        self.transaction_ns,
                        bucket.close_ns,
                    )
                )
                bucket.previous_id = self.last_update_id
                bucket.first_id = 0
                bucket.bids = {}
                bucket.asks = {}
            bucket.close_ns = _next_multiple(now_ns, bucket.interval_ns)
        self.next_close_ns = min((bucket.close_ns for bucket in self._wanted), default=1 << 62)

    # trades

    def trade(self, ticks: int, lots: int, buyer_is_maker: bool, trade_ns: int, event_ns: int) -> int:
        """Prints one public trade and returns its id."""
        trade_id = self.next_trade_id
        self.next_trade_id = trade_id + 1
        self._events.append(TradeEvent(self.rules, trade_id, ticks, lots, buyer_is_maker, trade_ns, event_ns))
        self.recent.append(PublicTrade(trade_id, ticks, lots, buyer_is_maker, trade_ns))
        aggregate = self._aggregate
        if (
            aggregate is not None
            and aggregate[0] == ticks
            and aggregate[4] == buyer_is_maker
            and aggregate[5] // MS == trade_ns // MS
        ):
            aggregate[1] += lots
            aggregate[3] = trade_id
        else:
            self.flush_aggregate()
            self._aggregate = [ticks, lots, trade_id, trade_id, buyer_is_maker, trade_ns, event_ns]
        if not self.open_ticks:
            self.open_ticks = self.high_ticks = self.low_ticks = ticks
        elif ticks > self.high_ticks:
            self.high_ticks = ticks
        elif ticks < self.low_ticks:
            self.low_ticks = ticks
        self.last_ticks, self.last_lots = ticks, lots
        self.volume_lots += lots
        self.quote_e8 += self.rules.notional_e8(ticks, lots)
        slices = self._slices
        if slices and event_ns - slices[-1][0] < AVERAGE_SLICE_NS:
            slices[-1][1] += ticks * lots
            slices[-1][2] += lots
        else:
            slices.append([event_ns, ticks * lots, lots])
            while slices[0][0] < event_ns - AVERAGE_WINDOW_NS:
                slices.popleft()
        return trade_id

    def flush_aggregate(self) -> None:
        """Emits the aggregate trade that is being collected, if any."""
        if self._aggregate is not None:
            ticks, lots, first, last, maker, trade_ns, event_ns = self._aggregate
            self._aggregate = None
            self._events.append(
                AggregateTradeEvent(
                    self.rules, self._next_aggregate_id, ticks, lots, first, last, bool(maker), trade_ns, event_ns
                )
            )
            self._next_aggregate_id += 1

    def average_price_e8(self, now_ns: int) -> int:
        """Volume-weighted price of the last five minutes; without a trade the last price, else the mid."""
        while self._slices and self._slices[0][0] < now_ns - AVERAGE_WINDOW_NS:
            self._slices.popleft()
        lots = sum(row[2] for row in self._slices)
        if lots:
            return sum(row[1] for row in self._slices) * self.rules.tick_e8 // lots
        return self.last_ticks * self.rules.tick_e8 or self.mid_e8()


def _merged(side: BookSide, own: dict[int, int], limit: int) -> Levels:
    if not own:
        return side.top(limit)
    levels = dict(side.top(limit + len(own)))
    for ticks, lots in own.items():
        levels[ticks] = levels.get(ticks, 0) + lots
    return sorted(levels.items(), reverse=side.sign > 0)[:limit]


def _next_multiple(now_ns: int, interval_ns: int) -> int:
    return now_ns - now_ns % interval_ns + interval_ns
