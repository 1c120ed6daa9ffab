"""The same market through the backtest and through the live path: equal, or where they part for the first time.

    parity_live.py ─▶ decisions, fills, the market's rows ─┐
                                                           ├─▶ compare ─▶ Parity: equal, first divergence, figures
    host.run on those rows ─▶ decisions, fills ────────────┘

Without latency both must be equal: every decision at the same nanosecond, on the same top, with the same position, for the same
quotes; every fill at the same time and price. With latency they part; by how much is told in figures.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

from reactor.backtest.host import Decision, Run, decisions_of, run, scale_of
from reactor.backtest.market import BOOK_MARGIN, Market
from reactor.backtest.parameters import AssetParameters, BacktestParameters, QueueModel
from reactor.backtest.parity_live import Fill, LiveParameters, LiveRun, run_live
from reactor.domain.errors import ConfigError
from reactor.domain.units import E8
from reactor.strategies.strategy import WISH_QUOTE

SECOND: Final = 1_000_000_000
FILL_NS_MAX: Final = SECOND  # Two fills of the same side and price that are closer than this are the same one.
MS: Final = 1_000_000


@dataclass(frozen=True)
class Divergence:
    """The first place where the two sides are not the same."""

    what: str  # "decision" or "fill"
    number: int  # from 0
    live: Decision | Fill | None  # None: this side has no more
    past: Decision | Fill | None
    before: Decision | None = None  # the last decision that both made


@dataclass(frozen=True)
class Differences:
    """How far the sides are apart."""

    decisions_live: int
    decisions_past: int
    decisions_equal: int  # identical in everything, from the first on until they part
    quotes_equal_share: float  # of the live decisions: the past one nearest in time wanted exactly the same
    quote_ticks_mean: float  # between the first bids and asks of those two
    time_ms_mean: float  # between those two
    fills_live: int
    fills_past: int
    fills_common: int  # same side, same price, within a second
    position_lots_mean: float  # absolute, between the two at the live decisions
    pnl_live: float  # quote currency: fills at cost, position at the last mid, fees
    pnl_past: float


@dataclass(frozen=True)
class Parity:
    """The result."""

    divergence: Divergence | None
    differences: Differences
    refusals: int  # our own risk rules said no: a backtest has none
    events: int
    is_compiled: bool

    @property
    def is_equal(self) -> bool:
        """Every decision and every fill."""
        return self.divergence is None


def market_of(live: LiveRun) -> Market:
    """The rows of a live run as a market that begins with its first decision."""
    if not live.decisions:
        raise ConfigError("the strategy was never asked: a longer run is needed")
    own, events = live.instrument, live.events
    prices = events["px"][events["px"] > 0]
    tick_size = own.price_float(1)
    parameters = AssetParameters(own.symbol, (), tick_size, own.quantity_float(1), own.maker_fee_e8 / E8, own.taker_fee_e8 / E8)
    lower = max(0, int(float(prices.min()) * (1 - BOOK_MARGIN) / tick_size))
    upper = int(float(prices.max()) * (1 + BOOK_MARGIN) / tick_size) + 1
    first_ns = int(events["local_ts"].min())
    return Market(parameters, (events,), lower, upper, live.decisions[0].now_ns, first_ns, live.end_ns)


def run_past(live: LiveRun, wanted: LiveParameters, *, is_interpreted: bool = False) -> Run:
    """The backtest of the same strategy on the market of a live run, with hftbacktest's risk-averse queue."""
    market = market_of(live)
    strategy = wanted.choice.make(0, scale_of(market))
    latency_ms = (wanted.latency_ns + wanted.jitter_ns / 2) / MS
    parameters = BacktestParameters(
        (market.parameters,), latency=f"{latency_ms:f}", queue=QueueModel("risk-averse", 0.0), keeps_decisions=True,
        is_interpreted=is_interpreted,
    )  # fmt: skip
    return run([strategy], [market], parameters)


def parity(wanted: LiveParameters, *, is_interpreted: bool = False) -> Parity:
    """Both ways, and what differs.

    Raises:
        ConfigError: hftbacktest is missing, or the strategy, its parameters or the symbol cannot be.
        DataError: a capture cannot be played.
    """
    live = run_live(wanted)
    past = run_past(live, wanted, is_interpreted=is_interpreted)
    fills = [
        Fill(row["exchange_ns"], row["price_ticks"], row["quantity_lots"], bool(row["is_maker"]))
        for row in ({name: int(each[name]) for name in each.dtype.names} for each in past.fills)
    ]
    return compare(live, decisions_of(past), fills, is_compiled=past.is_compiled, is_timed=not wanted.latency_ns)


def compare(
    live: LiveRun, decisions: Sequence[Decision], fills: Sequence[Fill], *, is_compiled: bool = True, is_timed: bool = True
) -> Parity:
    """Two runs through the same market.

    Args:
        is_timed: they shall be equal in time, too; otherwise the first divergence is the first decision whose quotes are not
            those of the other side's decision nearest in time.
    """
    # A backtest ends with the last event that its local side sees.
    end_ns = int(live.events["local_ts"].max())
    live = replace(live, decisions=[each for each in live.decisions if each.now_ns <= end_ns])
    decisions = [each for each in decisions if each.now_ns <= end_ns]
    live_fills = sorted((each for each in live.fills if each.exchange_ns <= end_ns), key=_fill_order)
    fills = sorted((each for each in fills if each.exchange_ns <= end_ns), key=_fill_order)
    equal = _equal_count(live.decisions, decisions)
    if is_timed:
        divergence = _first_divergence(live.decisions, decisions, live_fills, fills, equal)
    else:
        divergence = _first_other_quotes(live.decisions, decisions)
    return Parity(
        divergence,
        _differences(live, live_fills, decisions, fills, equal),
        live.refusals,
        len(live.events),
        is_compiled,
    )


def _fill_order(fill: Fill) -> tuple[int, int, int]:
    return fill.exchange_ns, fill.price_ticks, fill.quantity_lots


def _equal_count(live: Sequence[Any], past: Sequence[Any]) -> int:
    """How many are the same from the first on."""
    count = 0
    for ours, theirs in zip(live, past, strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _first_divergence(
    live: Sequence[Decision], past: Sequence[Decision], live_fills: Sequence[Fill], past_fills: Sequence[Fill], equal: int
) -> Divergence | None:
    """The earlier one of the first decision and the first fill that differ."""
    found: list[tuple[int, Divergence]] = []
    for what, ours, theirs in (("fill", live_fills, past_fills), ("decision", live, past)):
        pairs: Any = zip_longest(ours, theirs)
        for number, (left, right) in enumerate(pairs):
            if left == right:
                continue
            at_ns = min(_time_of(each) for each in (left, right) if each is not None)
            known = live[:equal]
            place = bisect_left([each.now_ns for each in known], at_ns)
            before = known[place - 1] if place else None
            found.append((at_ns, Divergence(what, number, left, right, before)))
            break
    return min(found, key=lambda each: each[0])[1] if found else None


def _first_other_quotes(live: Sequence[Decision], past: Sequence[Decision]) -> Divergence | None:
    times = [each.now_ns for each in past]
    for number, ours in enumerate(live):
        theirs = _nearest(past, times, ours.now_ns)
        if theirs is None or theirs.wants != ours.wants:
            return Divergence("decision", number, ours, theirs, live[number - 1] if number else None)
    return None


def _time_of(what: Decision | Fill) -> int:
    return what.now_ns if isinstance(what, Decision) else what.exchange_ns


def _differences(
    live: LiveRun, live_fills: Sequence[Fill], past: Sequence[Decision], fills: Sequence[Fill], equal: int
) -> Differences:
    times = [each.now_ns for each in past]
    same = quote_ticks = quote_pairs = time_ns = position_lots = 0
    for ours in live.decisions:
        theirs = _nearest(past, times, ours.now_ns)
        if theirs is None:
            continue
        same += ours.wants == theirs.wants
        time_ns += abs(ours.now_ns - theirs.now_ns)
        position_lots += abs(ours.position_lots - theirs.position_lots)
        for side in (1, -1):
            left, right = _first_price(ours, side), _first_price(theirs, side)
            if left and right:
                quote_ticks += abs(left - right)
                quote_pairs += 1
    count = max(len(live.decisions), 1)
    last = live.decisions[-1]
    mid = (last.bid_ticks + last.ask_ticks) / 2
    return Differences(
        len(live.decisions), len(past), equal, same / count, quote_ticks / max(quote_pairs, 1), time_ns / count / MS,
        len(live_fills), len(fills), _common(live_fills, fills), position_lots / count,
        _pnl(live, live_fills, mid), _pnl(live, fills, mid),
    )  # fmt: skip


def _nearest(past: Sequence[Decision], times: Sequence[int], now_ns: int) -> Decision | None:
    place = bisect_left(times, now_ns)
    near = [past[index] for index in (place - 1, place) if 0 <= index < len(past)]
    return min(near, key=lambda each: abs(each.now_ns - now_ns), default=None)


def _first_price(decision: Decision, side: int) -> int:
    """The best quote wanted on a side; 0: none."""
    prices = [price for price, lots, kind in decision.wants or () if kind == WISH_QUOTE and lots * side > 0]
    return (max(prices) if side > 0 else min(prices)) if prices else 0


def _common(live: Sequence[Fill], past: Sequence[Fill]) -> int:
    """Pairs of fills, each used once."""
    free, count = list(past), 0
    for ours in live:
        for index, theirs in enumerate(free):
            if theirs.exchange_ns > ours.exchange_ns + FILL_NS_MAX:
                break
            same = replace(theirs, exchange_ns=ours.exchange_ns) == ours
            if same and abs(theirs.exchange_ns - ours.exchange_ns) <= FILL_NS_MAX:
                del free[index]
                count += 1
                break
    return count


def _pnl(live: LiveRun, fills: Sequence[Fill], mid: float) -> float:
    """Quote currency."""
    own = live.instrument
    cash = position = fees = 0.0
    for fill in fills:
        value = fill.price_ticks * fill.quantity_lots
        cash -= value
        position += fill.quantity_lots
        fees += abs(value) * (own.maker_fee_e8 if fill.is_maker else own.taker_fee_e8) / E8
    return (cash + position * mid - fees) * own.price_float(1) * own.quantity_float(1)
