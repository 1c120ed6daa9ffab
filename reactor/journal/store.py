"""Entries into the file, a batch at a time: whole, or not at all, and then again.

    entries ──▶ write(batch) ──▶ BEGIN … COMMIT ──▶ Outcome.WRITTEN
                   │ disk full, I/O error, locked ──▶ rolled back ──▶ Outcome.FAILED: keep the batch, try again later
                   │ one row the database refuses ──▶ that one goes to `damaged`, the others are written

A batch that was written and is written again (its writer died before it could say so) changes nothing: unique keys.
"""

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import SIZE
from reactor.journal.rows import CODES, INSERT, Batch, RowMaker, Rows, Value, utc_text
from reactor.journal.schema import Words, connect

_MESSAGE_SIZE = SIZE["journal"]
CLOSE_S_MAX = 5.0  # A disk that hangs for longer will not take the rest either; the write-ahead log has what was committed.
WORDS_INSERT = "INSERT INTO words (kind, code, name, is_final) VALUES (?, ?, ?, ?) ON CONFLICT (kind, code) DO UPDATE " \
    "SET name = excluded.name, is_final = excluded.is_final"  # fmt: skip
_INSTRUMENT: tuple[str, ...] = (
    "venue", "symbol", "tick_size", "price_decimals", "price_scale", "lot_size", "quantity_decimals", "quantity_scale"
)  # fmt: skip
INSTRUMENT_INSERT = (  # Numbers begin with 0, so that they are the plan's own as long as the plan stays the same.
    f"INSERT INTO instruments (instrument, {', '.join(_INSTRUMENT)}) VALUES "
    "((SELECT coalesce(max(instrument) + 1, 0) FROM instruments), ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


class Result(IntEnum):
    """What became of a batch."""

    WRITTEN = 0
    FAILED = 1  # nothing of it was written; the disk says why


class Outcome(NamedTuple):
    """The answer to one batch."""

    result: Result
    rows: int = 0
    damaged: int = 0
    duration_ns: int = 0  # until it was committed
    committed_ns: int = 0  # CLOCK_MONOTONIC
    free_bytes: int = 0  # of the file system, at the last checkpoint
    error: str = ""
    checkpoint_ns: int = 0  # how long the checkpoint after it took; 0: there was none


@dataclass(frozen=True)
class StoreParameters:
    """How hard it tries."""

    is_durable: bool = False  # every commit waits for the disk
    checkpoint_ms: int = 1_000  # the disk has everything at least this often
    pages_max: int = 0  # of 4 kB; 0: the file system is the limit


class Store:
    """One open journal. Used by one thread at a time."""

    def __init__(
        self,
        path: Path,
        parameters: StoreParameters,
        instruments: Instruments,
        words: Words,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Opens the file.

        Raises:
            ConfigError: it cannot be written.
            DataError: it is damaged or not ours.
        """
        self._path = path
        self._monotonic_ns = monotonic_ns
        self._checkpoint_ns = parameters.checkpoint_ms * 1_000_000
        self._checkpointed_ns = self._monotonic_ns()
        self._connection = connect(path, is_durable=parameters.is_durable)
        if parameters.pages_max:
            self._connection.execute(f"PRAGMA max_page_count = {parameters.pages_max}")
        self._free_bytes = self._free()
        self._write_words(words, instruments)
        self._rows = RowMaker(instruments, words, self._numbers(instruments))

    def write(self, batch: Batch) -> Outcome:
        """Writes whole journal messages that lie behind one another, in one transaction."""
        started_ns = self._monotonic_ns()
        damaged = 0
        rows = self._rows.rows(batch)
        try:
            try:
                self._write_all(rows)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.Error, OverflowError, ValueError, TypeError):
                damaged = self._write_singly(rows)
        except sqlite3.Error as error:
            ended_ns = self._monotonic_ns()
            return Outcome(Result.FAILED, 0, 0, ended_ns - started_ns, ended_ns, self._free(), str(error))
        committed_ns = self._monotonic_ns()
        checkpoint_ns = 0
        if committed_ns - self._checkpointed_ns >= self._checkpoint_ns:
            self._checkpointed_ns = committed_ns
            self._checkpoint("PASSIVE")
            self._free_bytes = self._free()
            checkpoint_ns = self._monotonic_ns() - committed_ns
        return Outcome(
            Result.WRITTEN, len(batch) // _MESSAGE_SIZE, damaged, committed_ns - started_ns, committed_ns, self._free_bytes,
            checkpoint_ns=checkpoint_ns,
        )  # fmt: skip

    def close(self) -> None:
        """Brings everything into the one file, and closes it."""
        self._checkpoint("TRUNCATE")
        self._connection.close()

    def limit_pages(self, pages_max: int) -> None:
        """Another limit of the file's size, in pages of 4 kB."""
        self._connection.execute(f"PRAGMA max_page_count = {pages_max}")

    def _write_all(self, rows: Rows) -> None:
        execute, execute_many = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        try:
            for statement, values in rows:
                execute_many(statement, values)
            execute("COMMIT")
        except BaseException:
            self._rollback()
            raise

    def _write_singly(self, rows: Rows) -> int:
        """Row by row in one transaction; what the database refuses goes to `damaged`. Returns how many."""
        execute = self._connection.execute
        damaged = 0
        execute("BEGIN IMMEDIATE")
        try:
            for statement, values in ((statement, values) for statement, many in rows for values in many):
                try:
                    execute(statement, values)
                except sqlite3.OperationalError:
                    raise
                except (sqlite3.Error, OverflowError, ValueError, TypeError) as error:
                    damaged += 1
                    now_ns = time.time_ns()
                    why = f"{type(error).__name__}: {error}"
                    execute(INSERT["damaged"], (now_ns, utc_text(now_ns), -1, damaged, -1, why, repr(values).encode()))
            execute("COMMIT")
        except BaseException:
            self._rollback()
            raise
        return damaged

    def _rollback(self) -> None:
        if self._connection.in_transaction:  # A full disk may have rolled back by itself.
            self._connection.execute("ROLLBACK")

    def _checkpoint(self, mode: str) -> None:
        """Moves the write-ahead log into the file. A failure is told by the next write: the log still has everything."""
        try:
            self._connection.execute(f"PRAGMA wal_checkpoint({mode})")
        except sqlite3.Error:
            return

    def _free(self) -> int:
        try:
            status = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return status.f_bavail * status.f_frsize

    def _numbers(self, instruments: Instruments) -> list[int]:
        """The journal's number of each instrument of the plan."""
        rows = self._connection.execute(f"SELECT instrument, {', '.join(_INSTRUMENT)} FROM instruments")
        known = {row[1:]: row[0] for row in rows}
        return [known[row] for row in _described(instruments)]

    def _write_words(self, words: Words, instruments: Instruments) -> None:
        rows: list[tuple[Value, ...]] = [
            *(("order_state", code, name, int(code in words.final_order_states)) for code, name in words.order_states.items()),
            *(("order_event", code, name, 0) for code, name in words.order_events.items()),
            *(("action", code, name, 0) for code, name in words.actions.items()),
            *(("pair_state", code, name, int(code in words.final_pair_states)) for code, name in words.pair_states.items()),
            *((kind, code, name, 0) for kind, names in CODES.items() for code, name in names.items()),
        ]
        try:
            self._write_all([(WORDS_INSERT, rows), (INSTRUMENT_INSERT, _described(instruments))])
        except sqlite3.Error as error:
            self._connection.close()
            raise ConfigError(f"journal: cannot write {self._path}: {error}; is the disk full?") from error


def _described(instruments: Instruments) -> list[tuple[Value, ...]]:
    """What the journal keeps of each instrument."""
    return [
        (
            VENUE_NAMES[row.venue], row.symbol, row.tick_size, row.price_decimals, 10**row.price_decimals,
            row.lot_size, row.quantity_decimals, 10**row.quantity_decimals,
        )
        for row in instruments
    ]  # fmt: skip


class Committer(Protocol):
    """Who writes batches: another thread, or the caller himself."""

    def start(self, batch: Batch) -> None:
        """Takes a batch. One at a time."""

    def poll(self, timeout_s: float = 0.0) -> Outcome | None:
        """The outcome of the batch, once; None while it is being written. Waits for it up to `timeout_s`."""

    def close(self) -> None:
        """Waits for the batch that is being written, and closes the file."""


class InlineCommitter:
    """Writes at once, in the caller's thread: for the simulated world, where time does not pass while we write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._outcome: Outcome | None = None

    def start(self, batch: Batch) -> None:
        self._outcome = self._store.write(batch)

    def poll(self, timeout_s: float = 0.0) -> Outcome | None:
        outcome, self._outcome = self._outcome, None
        return outcome

    def close(self) -> None:
        self._store.close()


class ThreadCommitter:
    """Writes in a thread of its own: SQLite lets go of the interpreter's lock while it waits for the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def start(self, batch: Batch) -> None:
        self._batches.put(batch)

    def poll(self, timeout_s: float = 0.0) -> Outcome | None:
        try:
            return self._outcomes.get(timeout_s > 0, timeout_s or None)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._batches.put(None)
        self._thread.join(CLOSE_S_MAX)

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                outcome = self._store.write(batch)
            except Exception as error:  # Whatever it is, the batch was not written, and the role must hear of it.
                outcome = Outcome(Result.FAILED, error=f"{type(error).__name__}: {error}")
            self._outcomes.put(outcome)
        self._store.close()
