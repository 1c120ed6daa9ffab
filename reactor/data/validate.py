"""Looks through an event file the way a strategy will read it, and says what a person wants to know before trusting it.

Counts by kind, first and last, silences, crossed books, latencies, price range, numbers that are none, times that go back.
A verdict at the end: `problems` are what makes a backtest wrong, `remarks` what one should have seen.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from reactor._native import ffi, lib
from reactor.data.events import EXCH_EVENT, LOCAL_EVENT, EventArray, rows_pointer, validate_event_order
from reactor.data.fuse import LevelTables
from reactor.data.npz import load_npz

GAP_SECONDS = 10.0  # Liquid markets speak several times a second; ten silent seconds are a lost connection.
PRICE_DECIMALS_MAX = 10
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


def plot_events(events: EventArray, path: str | Path) -> None:
    """Draws price, spread, event rate and latency over time into a PNG.

    Raises:
        ImportError: matplotlib is not installed (extra `plot`).
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    seconds = (events["local_ts"] - events["local_ts"].min()) / 1e9
    kind = events["ev"] & np.uint64(0xFF)
    is_trade = kind == lib.EVENT_TRADE
    figure, axes = pyplot.subplots(3, 1, figsize=(12, 9), sharex=True, layout="constrained")
    axes[0].plot(seconds[is_trade], events["px"][is_trade], ".", markersize=1.5, color="tab:blue")
    axes[0].set_ylabel("trade price")
    rate, edges = np.histogram(seconds, bins=max(10, min(600, int(seconds.max()) + 1)))
    axes[1].step(edges[:-1], rate / np.diff(edges), where="post", color="tab:green")
    axes[1].set_ylabel("events / s")
    axes[2].plot(seconds, (events["local_ts"] - events["exch_ts"]) / 1e6, ".", markersize=1, color="tab:red")
    axes[2].set_ylabel("latency, ms")
    axes[2].set_xlabel("seconds since the first event")
    figure.savefig(str(path), dpi=110)
    pyplot.close(figure)
