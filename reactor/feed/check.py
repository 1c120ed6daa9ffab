"""Is the local book the venue's? A second book is built from a fresh REST snapshot and the same deltas; then both are compared.

The comparison waits until both stand at the same update id, so a difference is a fault and never a race. Levels are compared
where both books can know them: no further from the best than the shallower of the two snapshots reached.
"""

from dataclasses import dataclass

from reactor.domain.messages import Side
from reactor.market.book import Book, KeptLevels, Level
from reactor.market.sync import BookSync, SyncRule, Verdict

BUY, SELL = int(Side.BUY), int(Side.SELL)
CHECK_LIFE_NS = 10_000_000_000  # A market that brings no delta in ten seconds cannot be compared: say so.


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far a snapshot reached: beyond, levels are unknown until they change."""

    bid_ticks: int  # the lowest bid in it
    ask_ticks: int  # the highest ask in it


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What the comparison found. `difference` describes the first one; "" if there is none."""

    levels: int  # compared
    differences: int
    difference: str = ""


class BookCheck:
    """One comparison in the making. Feed it every delta that the book gets."""

    def __init__(self, rule: SyncRule, started_ns: int, capacity: int) -> None:
        self.started_ns = started_ns
        self.sync: BookSync[KeptLevels] = BookSync(rule)
        self.book = Book(capacity)
        self.horizon = Horizon(0, 0)

    def on_delta(self, first_id: int, final_id: int, previous_id: int, levels: KeptLevels) -> None:
        """The same delta that the book under test got."""
        verdict = self.sync.on_delta(first_id, final_id, previous_id)
        if verdict is Verdict.KEEP:
            self.sync.keep(first_id, final_id, previous_id, levels)
        elif verdict is Verdict.APPLY:
            self.book.apply_kept(levels, final_id)

    def on_snapshot(self, levels: KeptLevels, last_update_id: int) -> bool:
        """The snapshot came. Returns False if it is too old: fetch again."""
        if self.sync.on_snapshot(last_update_id) is not Verdict.LOAD:
            return False
        self.book.load(levels.bids, levels.bid_count, levels.asks, levels.ask_count, last_update_id)
        self.horizon = horizon_of(levels)
        for delta in self.sync.take_ready():
            self.book.apply_kept(delta.payload, delta.final_id)
        return True

    def compare(self, book: Book, horizon: Horizon) -> CheckResult | None:
        """The result, or None while the two do not stand at the same update."""
        if not self.sync.is_synchronised or self.book.update_id != book.update_id:
            return None
        bid_limit = max(self.horizon.bid_ticks, horizon.bid_ticks)
        ask_limit = min(self.horizon.ask_ticks or horizon.ask_ticks, horizon.ask_ticks or self.horizon.ask_ticks)
        compared, differences, first = 0, 0, ""
        for side, name, limit in ((BUY, "bid", bid_limit), (SELL, "ask", ask_limit)):
            ours, theirs = _within(book, side, limit), _within(self.book, side, limit)
            compared += len(theirs)
            for price in ours.keys() | theirs.keys():
                mine, wanted = ours.get(price, 0), theirs.get(price, 0)
                if mine != wanted:
                    differences += 1
                    first = first or f"{name} at {price} ticks: {mine} lots here, {wanted} at the venue"
        return CheckResult(compared, differences, first)


def horizon_of(levels: KeptLevels) -> Horizon:
    """How far the levels of a snapshot reach (best first, as venues send them)."""
    bid = levels.bids[levels.bid_count - 1].price_ticks if levels.bid_count else 0
    ask = levels.asks[levels.ask_count - 1].price_ticks if levels.ask_count else 0
    return Horizon(bid, ask)


def _within(book: Book, side: int, limit_ticks: int) -> dict[int, int]:
    levels: list[Level] = book.levels(side, book.count(side))
    if side == BUY:
        return {price: lots for price, lots in levels if price >= limit_ticks}
    return {price: lots for price, lots in levels if not limit_ticks or price <= limit_ticks}
