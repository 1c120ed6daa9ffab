"""How long an order takes to the exchange and its answer back.

    --latency 1            1 ms there, 1 ms back          --latency 0.5,1.5      there, back
    --latency feed         each way as long as the feed took at that time (interpolated); feed:2 twice as long,
                           feed:1.5,0.3 one and a half times as long and 0.3 ms more
    --latency FILE         measured ones, interpolated: CSV (req_ns,exch_ns,resp_ns per line), or npz with hftbacktest's rows

An order asked for at time t meets the latency that was measured (or that the feed had) at t.
"""

import csv
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
    if Path(text).suffix in (".csv", ".npz"):
        rows = _measured(text)
        return LatencyModel(f"measured, {len(rows):,} orders of {text}, interpolated", rows=rows)
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
            f"--latency {text}: give ms (1, or 0.5,1.5 for there and back), feed, feed:FACTOR,MS, or a .csv or .npz file"
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
    rows = _of_csv(path) if path.endswith(".csv") else _of_npz(path)
    if len(rows) < 2:
        raise DataError(path, "holds fewer than two orders: nothing to interpolate between")
    rows = rows[np.argsort(rows["req_ts"], kind="stable")]
    is_answered = rows["exch_ts"] > 0  # 0: the venue refused without looking; hftbacktest knows that.
    wrong = (is_answered & (rows["exch_ts"] < rows["req_ts"])) | (rows["resp_ts"] < np.maximum(rows["exch_ts"], rows["req_ts"]))
    if wrong.any():
        raise DataError(path, f"order {int(np.argmax(wrong)) + 1} was answered before it was sent: correct its clock first")
    return _growing(rows) if is_answered.all() else np.ascontiguousarray(rows)


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
