"""Looks through an event file the way a strategy will read it, and says what a person wants to know before trusting it.

Counts by kind, first and last, silences, crossed books, latencies, price range, numbers that are none, times that go back.
A verdict at the end: `problems` are what makes a backtest wrong, `remarks` what one should have seen.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactor._native import ffi, lib
from reactor.data.events import EXCH_EVENT, LOCAL_EVENT, EventArray, rows_pointer, validate_event_order
from reactor.data.fuse import LevelTables
from reactor.data.npz import load_npz
from reactor.domain.errors import DataError

GAP_SECONDS = 10.0  # Liquid markets speak several times a second; ten silent seconds are a lost connection.
PRICE_DECIMALS_MAX = 10
PLOT_POINTS = 2000  # Of the book: more than a picture has columns.
KIND_NAMES = {
    lib.EVENT_DEPTH: "depth",
    lib.EVENT_TRADE: "trade",
    lib.EVENT_DEPTH_CLEAR: "clear",
    lib.EVENT_DEPTH_SNAPSHOT: "snapshot",
    lib.EVENT_DEPTH_BBO: "best bid/offer",
    lib.EVENT_INDEX_PRICE: "index price",
    lib.EVENT_MARK_PRICE: "mark price",
    lib.EVENT_FUNDING_RATE: "funding rate",
    lib.EVENT_BEST_BID: "best bid",
    lib.EVENT_BEST_ASK: "best ask",
}


@dataclass
class ValidationReport:
    """What was found. Times are ns since epoch, latencies ns."""

    path: str
    events: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    first_exch_ns: int = 0
    last_exch_ns: int = 0
    first_local_ns: int = 0
    last_local_ns: int = 0
    price_min: float = 0.0
    price_max: float = 0.0
    tick_size: float = 0.0
    messages: int = 0
    crossed_messages: int = 0
    gaps: int = 0
    longest_gap_ns: int = 0
    negative_latencies: int = 0
    duplicate_trades: int = 0
    deleted_unknown: int = 0
    split_events: int = 0
    bad_numbers: int = 0
    latency_ns: dict[str, int] = field(default_factory=dict)
    latency_histogram: list[int] = field(default_factory=list)  # bucket b: [2^b, 2^(b+1)) ns
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """True if a backtest may use the file."""
        return not self.problems


def tick_size_of(prices: Any) -> float:
    """The largest step that all prices are multiples of, told from the prices themselves (0.0: no prices)."""
    scaled = np.round(np.unique(prices[np.isfinite(prices) & (prices > 0)]) * 10**PRICE_DECIMALS_MAX).astype(np.int64)
    if len(scaled) == 0:
        return 0.0
    step = int(np.gcd.reduce(scaled))
    scale: int = 10**PRICE_DECIMALS_MAX
    return step / scale


def validate_events(events: EventArray, path: str = "", gap_seconds: float = GAP_SECONDS) -> ValidationReport:
    """Looks through one ordered event array."""
    report = ValidationReport(path, events=len(events))
    if len(events) == 0:
        report.problems.append("there are no events in it")
        return report
    kinds, counts = np.unique(events["ev"] & np.uint64(0xFF), return_counts=True)
    report.kinds = {KIND_NAMES.get(int(kind), f"kind {kind}"): int(count) for kind, count in zip(kinds, counts, strict=True)}
    _times(report, events)
    is_priced = (events["ev"] & np.uint64(0xFF)) <= lib.EVENT_DEPTH_BBO
    prices = events["px"][is_priced]
    report.tick_size = tick_size_of(prices)
    finite = prices[np.isfinite(prices)]
    if len(finite):
        report.price_min, report.price_max = float(finite.min()), float(finite.max())
    report.duplicate_trades = _duplicate_trades(events)
    _audit(report, events, int(gap_seconds * 1e9))
    _judge(report, events, gap_seconds)
    return report


def validate_file(path: str | Path, gap_seconds: float = GAP_SECONDS) -> ValidationReport:
    """Looks through one npz file.

    Raises:
        DataError: it is no event file.
    """
    return validate_events(load_npz(path), str(path), gap_seconds)


def _times(report: ValidationReport, events: EventArray) -> None:
    report.first_exch_ns, report.last_exch_ns = int(events["exch_ts"].min()), int(events["exch_ts"].max())
    report.first_local_ns, report.last_local_ns = int(events["local_ts"].min()), int(events["local_ts"].max())
    both = np.uint64(EXCH_EVENT | LOCAL_EVENT)
    report.split_events = int(np.count_nonzero((events["ev"] & both) != both))
    latency = events["local_ts"] - events["exch_ts"]
    quantiles = np.quantile(latency, [0.0, 0.5, 0.9, 0.99, 1.0], method="nearest")
    report.latency_ns = dict(zip(("min", "p50", "p90", "p99", "max"), map(int, quantiles), strict=True))


def _duplicate_trades(events: EventArray) -> int:
    """Trades equal in every field to their predecessor: event rows carry no trade id, so it is a hint, not a proof."""
    local = np.uint64(LOCAL_EVENT)
    trades = events[((events["ev"] & np.uint64(0xFF)) == lib.EVENT_TRADE) & ((events["ev"] & local) == local)]
    same = np.ones(max(0, len(trades) - 1), bool)
    for name in ("ev", "exch_ts", "local_ts", "px", "qty"):
        same &= trades[name][1:] == trades[name][:-1]
    return int(np.count_nonzero(same))


def _audit(report: ValidationReport, events: EventArray, gap_ns: int) -> None:
    audit = ffi.new("audit_t *")
    tables = LevelTables(audit.books, report.tick_size or 1.0, 1.0)
    audit.gap_ns = gap_ns
    while not lib.audit_events(audit, rows_pointer(events), len(events)):
        tables.grow_if_needed()
    report.messages, report.crossed_messages = audit.messages, audit.crossed_messages
    report.gaps, report.longest_gap_ns = audit.gaps, audit.longest_gap_ns
    report.negative_latencies, report.deleted_unknown = audit.negative_latencies, audit.deleted_unknown
    report.bad_numbers = audit.bad_numbers
    report.latency_histogram = list(audit.latency_histogram)
    if audit.bad_numbers:
        report.problems.append(
            f"{audit.bad_numbers} rows have a price or quantity that is none; the first is row {audit.first_bad_row - 1}"
        )
    if audit.crossed_messages:
        share = audit.crossed_messages / max(1, audit.messages)
        first = audit.first_crossed_row - 1
        sentence = f"the book is crossed after {audit.crossed_messages} messages ({share:.2%}); first at row {first}"
        (report.problems if share > 0.01 else report.remarks).append(sentence)


def _judge(report: ValidationReport, events: EventArray, gap_seconds: float) -> None:
    try:
        validate_event_order(events)
    except ValueError as error:
        report.problems.append(str(error))
    if report.negative_latencies:
        report.problems.append(
            f"{report.negative_latencies} messages arrive before they were sent: correct the local timestamps"
        )
    if not report.kinds.keys() & {"snapshot", "clear"}:
        report.remarks.append("no snapshot: the book completes itself only as its levels change")
    if report.gaps:
        report.remarks.append(
            f"{report.gaps} silences of more than {gap_seconds:g} s; the longest {report.longest_gap_ns / 1e9:.1f} s"
        )
    if report.duplicate_trades:
        report.remarks.append(f"{report.duplicate_trades} trades equal their predecessor in every field")


def summary_lines(report: ValidationReport) -> list[str]:
    """The report as a person reads it, line by line."""
    span_s = (report.last_local_ns - report.first_local_ns) / 1e9
    lines = [
        f"{report.path or 'events'}: {report.events:,} events, {report.messages:,} messages, {span_s:,.1f} s",
        f"  from {_date(report.first_local_ns)} to {_date(report.last_local_ns)} (local clock)",
        "  " + ", ".join(f"{name} {count:,}" for name, count in report.kinds.items()),
        f"  prices {report.price_min:g} … {report.price_max:g}, step {report.tick_size:g}",
        f"  rows split by the order correction {report.split_events:,}",
    ]
    if report.latency_ns:
        quantiles = ", ".join(f"{name} {value / 1e6:,.3f}" for name, value in report.latency_ns.items())
        lines.append(f"  feed latency in ms: {quantiles}")
        lines += _histogram_lines(report.latency_histogram)
    lines += [f"  remark: {remark}" for remark in report.remarks]
    lines += [f"  PROBLEM: {problem}" for problem in report.problems]
    lines.append("  sound: fit for a backtest" if report.is_sound else "  NOT SOUND")
    return lines


def _histogram_lines(buckets: list[int]) -> list[str]:
    """One bar per power of two, without the thin tails (under a thousandth of all)."""
    least = sum(buckets) / 1000
    filled = [bucket for bucket, count in enumerate(buckets) if count > least]
    if not filled:
        return []
    most = max(buckets)
    lines = []
    for bucket in range(filled[0], filled[-1] + 1):
        bar = "█" * round(30 * buckets[bucket] / most)
        lines.append(f"    from {2**bucket / 1e6:>10,.3f} ms {bar:<30} {buckets[bucket]:,}")
    return lines


def _date(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def best_prices(events: EventArray, points: int = PLOT_POINTS) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(row, best bid, best ask) after so many messages, evenly chosen; NaN where a side of the book is empty."""
    ends = np.append(np.flatnonzero(np.diff(events["local_ts"])) + 1, len(events))
    rows = ends[np.unique(np.linspace(0, len(ends) - 1, min(points, len(ends))).astype(np.int64))]
    audit = ffi.new("audit_t *")
    is_priced = (events["ev"] & np.uint64(0xFF)) <= lib.EVENT_DEPTH_BBO
    tick_size = tick_size_of(events["px"][is_priced]) or 1.0
    tables = LevelTables(audit.books, tick_size, 1.0)
    bids, asks = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for place, row in enumerate(rows):
        while not lib.audit_events(audit, rows_pointer(events), row):
            tables.grow_if_needed()
        for prices, side in ((bids, audit.books.bid), (asks, audit.books.ask)):
            if side.count:
                prices[place] = abs(side.best_rank) * tick_size
    return rows - 1, bids, asks


def plot_events(events: EventArray, path: str | Path) -> None:
    """Draws price, spread, event rate and latency over time into a PNG.

    Raises:
        ImportError: matplotlib is not installed (extra `plot`).
        DataError: there are no events, or the file cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    if len(events) == 0:
        raise DataError(str(path), "there are no events to draw")
    start_ns = events["local_ts"].min()
    seconds = (events["local_ts"] - start_ns) / 1e9
    is_trade = (events["ev"] & np.uint64(0xFF)) == lib.EVENT_TRADE
    rows, bids, asks = best_prices(events)
    figure, (price, spread, rate, latency) = pyplot.subplots(
        4, 1, figsize=(12, 12), sharex=True, layout="constrained", gridspec_kw={"height_ratios": [3, 2, 2, 2]}
    )
    price.plot(seconds[is_trade], events["px"][is_trade], ".", markersize=1.5, color="tab:gray", label="trades")
    price.plot(seconds[rows], bids, drawstyle="steps-post", linewidth=0.8, color="tab:green", label="best bid")
    price.plot(seconds[rows], asks, drawstyle="steps-post", linewidth=0.8, color="tab:red", label="best ask")
    shown = np.concatenate((events["px"][is_trade], bids, asks))
    shown = shown[np.isfinite(shown)]
    if len(shown):  # A book that is not complete yet would hide the market.
        low, high = np.quantile(shown, [0.005, 0.995])
        margin = 0.1 * (high - low) or 1.0
        price.set_ylim(low - margin, high + margin)
    price.ticklabel_format(axis="y", useOffset=False)
    price.set_ylabel("price")
    price.legend(loc="upper right", markerscale=5)
    spread.plot(seconds[rows], asks - bids, drawstyle="steps-post", linewidth=0.8, color="tab:blue")
    spread.axhline(0.0, linewidth=0.5, color="black")
    spread.set_ylabel("spread")
    counts, edges = np.histogram(seconds, bins=max(10, min(600, int(seconds.max()) + 1)))
    rate.stairs(counts / np.diff(edges), edges, color="tab:green")
    rate.set_ylabel("events / s")
    latency.plot(seconds, (events["local_ts"] - events["exch_ts"]) / 1e6, ".", markersize=1, color="tab:red", rasterized=True)
    latency.set_ylabel("latency, ms")
    latency.set_xlabel(f"seconds since {_date(int(start_ns))} UTC, local clock")
    try:
        figure.savefig(str(path), dpi=110)
    except OSError as error:
        raise DataError(str(path), f"cannot be written: {error.strerror}") from None
    except ValueError as error:
        raise DataError(str(path), f"cannot be drawn: {error}") from None
    finally:
        pyplot.close(figure)
