"""How long an order takes to the exchange and its answer back.

    --latency 1            1 ms there, 1 ms back          --latency 0.5,1.5      there, back
    --latency feed         each way as long as the feed took at that time (interpolated); feed:2 twice as long,
                           feed:1.5,0.3 one and a half times as long and 0.3 ms more
    --latency FILE         measured ones, interpolated: CSV (req_ns,exch_ns,resp_ns per line), npz with hftbacktest's rows, or
                           the journal of a session of ours (runs/NAME/journal.sqlite): from submit to the venue's answer

An order asked for at time t meets the latency that was measured (or that the feed had) at t. Latencies measured at another time
than the data's are played from the first event on, again and again.
"""

import csv
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactor.backtest.market import Market
from reactor.data.events import EXCH_EVENT, LOCAL_EVENT
from reactor.domain.errors import ConfigError, DataError

MS: Final = 1_000_000
LATENCY_DTYPE: Final = np.dtype([("req_ts", "i8"), ("exch_ts", "i8"), ("resp_ts", "i8"), ("_padding", "i8")], align=True)
SUFFIXES: Final = (".csv", ".npz", ".sqlite")
ROWS_MAX: Final = 4_000_000  # 128 MB of repeated latencies: a year of one order in ten seconds.
FEED_STEP_NS: Final = 100 * MS  # One sample of the feed's latency per step is enough to follow it.


@dataclass(frozen=True)
class LatencyModel:
    """Constant, or rows that are interpolated."""

    words: str  # for the report
    entry_ns: int = 0
    response_ns: int = 0
    rows: NDArray[np.void] | None = None

    def apply(self, asset: Any) -> None:
        """Gives it to a hftbacktest asset, which reads `rows` while it runs."""
        if self.rows is None:
            asset.constant_order_latency(self.entry_ns, self.response_ns)
        else:
            asset.intp_order_latency(self.rows)


def latency_model(text: str, market: Market) -> LatencyModel:
    """The model that `--latency` names, for one market.

    Raises:
        ConfigError: it names none.
        DataError: the file is not one of latencies.
    """
    if text == "feed" or text.startswith("feed:"):
        factor, offset_ms = _numbers(text, text[5:] or "1", 0.0)
        return _feed_latency(market, factor, offset_ms)
    if Path(text).suffix in SUFFIXES:
        rows = _measured(text)
        words = f"measured, {len(rows):,} orders of {text}, interpolated, median {_median_ms(rows):.3f} ms there and back"
        if _overlaps(rows, market):
            return LatencyModel(words, rows=rows)
        return LatencyModel(
            f"{words}; measured at another time, so played over the data again and again", rows=_repeated(rows, market)
        )
    entry_ms, response_ms = _numbers(text, text, None)
    return LatencyModel(
        f"constant, {entry_ms:g} ms there and {response_ms:g} ms back", round(entry_ms * MS), round(response_ms * MS)
    )


def _numbers(text: str, part: str, second: float | None) -> tuple[float, float]:
    """One number or two with a comma; `second` None: the first again."""
    try:
        numbers = [float(each) for each in part.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2 or not all(0 <= each < 1e6 for each in numbers):
        raise ConfigError(
            f"--latency {text}: give ms (1; 0.5,1.5 there and back), feed, feed:FACTOR,MS, or a file ({', '.join(SUFFIXES)})"
        )
    return numbers[0], numbers[1] if len(numbers) == 2 else (numbers[0] if second is None else second)


def _feed_latency(market: Market, factor: float, offset_ms: float) -> LatencyModel:
    """Rows made of the feed's own latency, sampled every FEED_STEP_NS."""
    parts = [_feed_samples(events) for events in market.events]
    local, latency = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    one_way = np.maximum(latency * factor + offset_ms * MS, 0).astype(np.int64)
    rows = np.zeros(len(local), LATENCY_DTYPE)
    rows["req_ts"] = local
    # Interpolation needs exchange times that grow: a request overtakes no earlier one.
    rows["exch_ts"] = np.maximum.accumulate(local + one_way)
    rows["resp_ts"] = np.maximum.accumulate(rows["exch_ts"] + one_way)
    median_ms = float(np.median(one_way)) / MS
    words = f"interpolated from the feed's own latency (× {factor:g} + {offset_ms:g} ms), median {median_ms:.3f} ms each way"
    return LatencyModel(words, rows=_growing(rows))


def _feed_samples(events: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    both = np.uint64(EXCH_EVENT | LOCAL_EVENT)
    seen = events[(events["ev"] & np.uint64(LOCAL_EVENT)) != 0]
    whole = seen[(seen["ev"] & both) == both]
    seen = whole if len(whole) else seen
    _, first = np.unique(seen["local_ts"] // FEED_STEP_NS, return_index=True)
    chosen = seen[first]
    return chosen["local_ts"].astype(np.int64), (chosen["local_ts"] - chosen["exch_ts"]).astype(np.int64)


def _growing(rows: NDArray[np.void]) -> NDArray[np.void]:
    """Without rows whose request or exchange time does not grow: two at one time cannot be interpolated between."""
    is_kept = np.ones(len(rows), bool)
    for name in ("req_ts", "exch_ts"):
        is_kept[1:] &= np.diff(rows[name]) > 0
    return np.ascontiguousarray(rows[is_kept])


def _measured(path: str) -> NDArray[np.void]:
    """Rows of a file.

    Raises:
        DataError: it cannot be read, or a time lies before the one it follows.
    """
    rows = {".csv": _of_csv, ".npz": _of_npz, ".sqlite": _of_journal}[Path(path).suffix](path)
    if len(rows) < 2:
        raise DataError(path, "holds fewer than two orders: nothing to interpolate between")
    rows = rows[np.argsort(rows["req_ts"], kind="stable")]
    is_answered = rows["exch_ts"] > 0  # 0: the venue refused without looking; hftbacktest knows that.
    wrong = (is_answered & (rows["exch_ts"] < rows["req_ts"])) | (rows["resp_ts"] < np.maximum(rows["exch_ts"], rows["req_ts"]))
    if wrong.any():
        raise DataError(path, f"order {int(np.argmax(wrong)) + 1} was answered before it was sent: correct its clock first")
    return _growing(rows) if is_answered.all() else np.ascontiguousarray(rows)


def _median_ms(rows: NDArray[np.void]) -> float:
    return float(np.median(rows["resp_ts"] - rows["req_ts"])) / MS


def _overlaps(rows: NDArray[np.void], market: Market) -> bool:
    return bool(rows["req_ts"][0] <= market.last_ns and market.first_ns <= rows["req_ts"][-1])


def _repeated(rows: NDArray[np.void], market: Market) -> NDArray[np.void]:
    """The same latencies one after the other over the time of the data."""
    span = int(rows["resp_ts"].max() - rows["req_ts"][0]) + 1
    times = -(-(market.last_ns - market.first_ns) // span) + 1
    if times * len(rows) > ROWS_MAX:
        rows = rows[:: -(-times * len(rows) // ROWS_MAX)]
    offsets = market.first_ns - int(rows["req_ts"][0]) + span * np.arange(times, dtype=np.int64)
    repeated = np.tile(rows, times)
    shift = np.repeat(offsets, len(rows))
    for name in ("req_ts", "exch_ts", "resp_ts"):
        is_time = repeated[name] > 0  # An exchange time of 0 is a refusal, not a time.
        repeated[name][is_time] += shift[is_time]
    return np.ascontiguousarray(repeated)


_ANSWERS: Final = """
    SELECT s.wall_ns, min(a.wall_ns) FROM orders AS s JOIN orders AS a ON a.order_id = s.order_id AND a.id > s.id
    WHERE s.event = 'submit' AND a.event IN ('ack', 'reject', 'fill', 'partial_fill', 'expire')
    GROUP BY s.order_id ORDER BY s.wall_ns
"""


def _of_journal(path: str) -> NDArray[np.void]:
    """From submit to the first answer, as our own prepost wrote both down; the exchange is put half way between."""
    if not Path(path).is_file():
        raise DataError(path, "cannot be read: No such file or directory")
    try:
        journal = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        try:
            found = journal.execute(_ANSWERS).fetchall()
        finally:
            journal.close()
    except sqlite3.Error as error:
        raise DataError(path, f"is no journal of ours ({error})") from None
    rows = np.zeros(len(found), LATENCY_DTYPE)
    rows["req_ts"] = [sent for sent, _ in found]
    rows["resp_ts"] = [answered for _, answered in found]
    rows["exch_ts"] = (rows["req_ts"] + rows["resp_ts"]) // 2
    return rows


def _of_csv(path: str) -> NDArray[np.void]:
    try:
        with open(path, newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise DataError(path, "is not a CSV file") from None
    found = [_csv_row(path, number, line) for number, line in enumerate(lines, 1) if number > 1 or _is_number(line[0])]
    rows = np.zeros(len(found), LATENCY_DTYPE)
    for place, name in enumerate(("req_ts", "exch_ts", "resp_ts")):
        rows[name] = [each[place] for each in found]
    return rows


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").isdigit()


def _csv_row(path: str, number: int, line: Sequence[str]) -> tuple[int, int, int]:
    if len(line) < 3 or not all(_is_number(each) for each in line[:3]):
        raise DataError(f"{path}:{number}", "is not req_ns,exch_ns,resp_ns")
    return int(line[0]), int(line[1]), int(line[2])


def _of_npz(path: str) -> NDArray[np.void]:
    try:
        with np.load(path) as archive:
            given = archive["data"]
            rows = np.zeros(len(given), LATENCY_DTYPE)
            for name in ("req_ts", "exch_ts", "resp_ts"):
                rows[name] = given[name]
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(path, f"is no file of order latencies ({error})") from None
    return rows
