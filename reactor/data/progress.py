"""How far reading has come, on stderr: a bar where a person looks at it, otherwise a line every few seconds."""

import sys
import time
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_S: Final = 5.0  # Seldom enough for a log, often enough to see that it lives.
_MEGABYTE: Final = 1_000_000


class ReadingProgress:
    """Use as a context manager. Bytes are those of the inputs as they lie on the disk.

    Args:
        what: what is being done.
        total: bytes in all.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, max(1, total)
        self._read = self._done = self._shown = 0
        self._begin_s = self._line_s = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True, highlight=False), transient=True)
            self._task = self._bar.add_task(what, total=self._total)

    def __enter__(self) -> "ReadingProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def on_bytes(self, size: int) -> None:
        """So many more were read."""
        self._read += size
        self._show()

    def on_done(self, size: int) -> None:
        """An input of so many bytes is done, whether it was read or not."""
        self._done += size
        self._show()

    def _show(self) -> None:
        # A file may be read twice (weave.py), or not at all because its result is there: neither is more than all, or less.
        self._shown = min(self._total, max(self._shown, self._read, self._done))
        if self._bar is not None:
            self._bar.update(self._task, completed=self._shown)
            return
        now_s = time.monotonic()
        if now_s - self._line_s >= LINE_S:
            self._line_s = now_s
            shown, total = self._shown / _MEGABYTE, self._total / _MEGABYTE
            share, seconds = 100 * self._shown // self._total, now_s - self._begin_s
            print(
                f"{self._what}: {shown:,.0f} of {total:,.0f} MB read, {share} %, {seconds:,.0f} s", file=sys.stderr, flush=True
            )
