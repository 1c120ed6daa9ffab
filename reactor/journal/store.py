"""Rows into the file, a batch at a time: whole, or not at all, and then again.

    rows ──▶ write(batch) ──▶ BEGIN … COMMIT ──▶ Outcome.WRITTEN
                   │ disk full, I/O error, locked ──▶ rolled back ──▶ Outcome.FAILED: keep the batch, try again later
                   │ one row the database refuses ──▶ that one goes to `damaged`, the others are written

A batch that was written and is written again (its writer died before it could say so) changes nothing: unique keys.
"""

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from reactor.domain.errors import ConfigError
from reactor.journal.rows import INSERT, Row, Value
from reactor.journal.schema import Words, connect

CLOSE_S_MAX = 5.0  # A disk that hangs for longer will not take the rest either; the write-ahead log has what was committed.
WORDS_INSERT = "INSERT INTO words (kind, code, name, is_final) VALUES (?, ?, ?, ?) ON CONFLICT (kind, code) DO UPDATE " \
    "SET name = excluded.name, is_final = excluded.is_final"  # fmt: skip


class Result(IntEnum):
    """What became of a batch."""

    WRITTEN = 0
    FAILED = 1  # nothing of it was written; the disk says why


@dataclass(frozen=True)
class Outcome:
    """The answer to one batch."""

    result: Result
    rows: int = 0
    damaged: int = 0
    duration_ns: int = 0
    free_bytes: int = 0  # of the file system, after the batch
    error: str = ""


@dataclass(frozen=True)
class StoreParameters:
    """How hard it tries."""

    is_durable: bool = False  # every commit waits for the disk
    checkpoint_ms: int = 1_000  # the disk has everything at least this often
    pages_max: int = 0  # of 4 kB; 0: the file system is the limit


class Store:
    """One open journal. Used by one thread at a time."""

    def __init__(self, path: Path, parameters: StoreParameters, words: Words) -> None:
        """Opens the file.

        Raises:
            ConfigError: it cannot be written.
            DataError: it is damaged or not ours.
        """
        self._path = path
        self._checkpoint_ns = parameters.checkpoint_ms * 1_000_000
        self._checkpointed_ns = time.monotonic_ns()
        self._connection = connect(path, is_durable=parameters.is_durable)
        if parameters.pages_max:
            self._connection.execute(f"PRAGMA max_page_count = {parameters.pages_max}")
        self._write_words(words)

    def write(self, batch: Sequence[Row]) -> Outcome:
        """Writes the batch in one transaction."""
        started_ns = time.monotonic_ns()
        damaged = 0
        try:
            try:
                self._write_all(batch)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.Error, OverflowError, ValueError, TypeError):
                damaged = self._write_singly(batch)
        except sqlite3.Error as error:
            return Outcome(
                Result.FAILED, duration_ns=time.monotonic_ns() - started_ns, free_bytes=self._free(), error=str(error)
            )
        now_ns = time.monotonic_ns()
        if now_ns - self._checkpointed_ns >= self._checkpoint_ns:
            self._checkpointed_ns = now_ns
            self._checkpoint("PASSIVE")
        return Outcome(Result.WRITTEN, len(batch), damaged, time.monotonic_ns() - started_ns, self._free())

    def close(self) -> None:
        """Brings everything into the one file, and closes it."""
        self._checkpoint("TRUNCATE")
        self._connection.close()

    def limit_pages(self, pages_max: int) -> None:
        """Another limit of the file's size, in pages of 4 kB."""
        self._connection.execute(f"PRAGMA max_page_count = {pages_max}")

    def _write_all(self, batch: Sequence[Row]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for statement, values in batch:
                execute(statement, values)
            execute("COMMIT")
        except BaseException:
            self._rollback()
            raise

    def _write_singly(self, batch: Sequence[Row]) -> int:
        """Row by row in one transaction; what the database refuses goes to `damaged`. Returns how many."""
        execute = self._connection.execute
        damaged = 0
        execute("BEGIN IMMEDIATE")
        try:
            for statement, values in batch:
                try:
                    execute(statement, values)
                except sqlite3.OperationalError:
                    raise
                except (sqlite3.Error, OverflowError, ValueError, TypeError) as error:
                    damaged += 1
                    execute(
                        INSERT["damaged"], (*_origin(values), -1, f"{type(error).__name__}: {error}", repr(values).encode())
                    )
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

    def _write_words(self, words: Words) -> None:
        rows = [
            *(("order_state", code, name, int(code in words.final_order_states)) for code, name in words.order_states.items()),
            *(("order_event", code, name, 0) for code, name in words.order_events.items()),
            *(("action", code, name, 0) for code, name in words.actions.items()),
            *(("pair_state", code, name, int(code in words.final_pair_states)) for code, name in words.pair_states.items()),
        ]
        if not rows:
            return
        try:
            self._write_all([(WORDS_INSERT, row) for row in rows])
        except sqlite3.Error as error:
            self._connection.close()
            raise ConfigError(f"journal: cannot write {self._path}: {error}; is the disk full?") from error


def _origin(values: Sequence[Value]) -> tuple[Value, ...]:
    """(wall_ns, time, source, sequence) of a row that may hold anything, fit for SQLite."""
    wall_ns, text, source, sequence = values[:4]
    return tuple(each if isinstance(each, str) or (isinstance(each, int) and abs(each) < 2**63) else 0
                 for each in (wall_ns, text, source, sequence))  # fmt: skip


class Committer(Protocol):
    """Who writes batches: another thread, or the caller himself."""

    def start(self, batch: Sequence[Row]) -> None:
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

    def start(self, batch: Sequence[Row]) -> None:
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
        self._batches: queue.SimpleQueue[Sequence[Row] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def start(self, batch: Sequence[Row]) -> None:
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
