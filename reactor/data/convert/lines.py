"""Capture files → rows, block by block, through the scanner of their venue; what is damaged is named with file and line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from reactor._native import ffi, lib
from reactor.data.capture import LineBlocks, in_words
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.events import Rows
from reactor.domain.errors import DataError

PROBLEM: Final = {
    lib.SCAN_PROBLEM_NO_TIMESTAMP: "does not begin with a receive time in ns and a blank",
    lib.SCAN_PROBLEM_NOT_JSON: "is not one JSON object after its receive time",
    lib.SCAN_PROBLEM_NOT_A_NUMBER: "has something that is not a number where a price or quantity belongs",
    lib.SCAN_PROBLEM_MISSING_FIELD: "lacks a field that a message of its kind has",
    lib.SCAN_PROBLEM_MIXED_SYMBOLS: "is of another symbol or market than those before it",
    lib.SCAN_PROBLEM_LEVELS: f"has more levels on a side than the {lib.HYPERLIQUID_LEVELS_MAX} that its venue sends",
}


class Scanner(Protocol):
    """One venue's messages, over all files of a conversion."""

    @property
    def at(self) -> Any:
        """Where it stands: a line_scan_t."""

    def scan(self, text: Any, size: int, rows: Rows) -> None:
        """Takes whole lines; writes behind the rows that are there."""

    def tell(self, statistics: ConversionStatistics) -> None:
        """Fills in what was counted so far."""


def read_parts(path: str | Path, scanner: Scanner, rows: Rows, statistics: ConversionStatistics) -> Iterator[None]:
    """Appends the rows of one file, uncorrected, giving the turn back after every block.

    Raises:
        DataError: names file and line.
    """
    at = scanner.at
    at.line = at.order.lines_back = 0
    blocks = LineBlocks(path)
    for block in blocks:
        scanner.scan(ffi.from_buffer(block), len(block), rows)
        rows.count += at.rows
        if at.stop == lib.SCAN_NEED_ROOM:
            raise DataError(f"{path}:{at.line + 1}", "more rows than fit into one event array: convert fewer days at once")
        if at.stop == lib.SCAN_BAD_LINE:
            text = in_words(bytes(block[at.consumed : at.consumed + 120]))
            raise DataError(f"{path}:{at.line + 1}", f"the line {PROBLEM[at.problem]}: {text}")
        yield
    if blocks.damage:
        statistics.damages.append(f"{path}:{at.line}: {blocks.damage}")
    if back := at.order.lines_back:
        more = f" (so are {back - 1:,} other lines)" if back > 1 else ""
        what = f"received before a line above it{more}: everything was put in order"
        statistics.damages.append(f"{path}:{at.order.first_back}: {what}")
    statistics.files.append(str(path))
    statistics.lines += at.line
    statistics.symbol = ffi.string(at.symbol).decode()
    scanner.tell(statistics)
