"""Entries into the file, a batch at a time: whole, or not at all, and then again.

    entries ──▶ write(batch) ──▶ BEGIN … COMMIT ──▶ Outcome.WRITTEN
                   │ disk full, I/O error, locked ──▶ rolled back ──▶ Outcome.FAILED: keep the batch, try again later
                   │ one row the database refuses ──▶ that one goes to `damaged`, the others are written

A batch that was written and is written again (its writer died before it could say so) changes nothing: unique keys.

    commits ──▶ write-ahead log ──▶ Checkpointer: every `checkpoint_ms`, in its own thread ──▶ the disk has it
                                      │ hangs or fails ──▶ commits go on, `lag_ns` grows: the role's alarm

A commit waits for the disk only where it begins the log anew (SQLite syncs the log's header there). So a reader keeps the log
from being begun anew until it is LOG_PAGES_MAX long; then the writer does it, while no checkpoint runs.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import SIZE
from reactor.journal.rows import CODES, INSERT, Batch, RowMaker, Rows, Value, utc_text
from reactor.journal.schema import BUSY_MS, Words, connect

_MESSAGE_SIZE = SIZE["journal"]
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"  # → is blocked, pages in the log, how many of them are in the file
CLOSE_S_MAX = 5.0  # A disk that hangs for longer will not take the rest either; the write-ahead log has what was committed.
LOG_PAGES_MAX = 16_384  # of 4 kB, 64 MB: half a minute of trading, and a start reads it in a tenth of a second.
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
    free_bytes: int = 0  # of the file system, not older than `checkpoint_ms`
    error: str = ""


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
        self._cursor = self._connection.cursor()  # of every batch; the connection would make a new one for each statement
        if parameters.pages_max:
            self._connection.execute(f"PRAGMA max_page_count = {parameters.pages_max}")
        self._free_bytes = self._free()
        self._checkpointer: Checkpointer | None = None
        self._write_words(words, instruments)
        self._rows = RowMaker(instruments, words, self._numbers(instruments))

    def write(self, batch: Batch) -> Outcome:
        """Writes whole journal messages that lie behind one another, in one transaction."""
        checkpointer = self._checkpointer
        if checkpointer is None or not checkpointer.begin_reset():
            return self._write(batch)
        try:
            self._checkpoint("PASSIVE")  # What has come since: now this transaction may begin the log anew.
            return self._write(batch)
        finally:
            checkpointer.end_reset()

    def checkpoint_aside(self) -> None:
        """From now on commits and checkpoints do not wait for each other."""
        self._checkpointer = Checkpointer(self._path, self._checkpoint_ns)

    def lag_ns(self, now_ns: int) -> int:
        """For how long the oldest commit has waited for a checkpoint of the thread beside; 0: the disk has everything."""
        return 0 if self._checkpointer is None else self._checkpointer.lag_ns(now_ns)

    def _write(self, batch: Batch) -> Outcome:
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
        if self._checkpointer is not None:
            self._checkpointer.on_commit(committed_ns)
        if committed_ns - self._checkpointed_ns >= self._checkpoint_ns:
            self._checkpointed_ns = committed_ns
            if self._checkpointer is None:
                self._checkpoint("PASSIVE")
            self._free_bytes = self._free()
        return Outcome(
            Result.WRITTEN, len(batch) // _MESSAGE_SIZE, damaged, committed_ns - started_ns, committed_ns, self._free_bytes
        )

    def close(self) -> None:
        """Brings everything into the one file, and closes it. Not while a checkpoint hangs: then the log keeps it."""
        if self._checkpointer is None or self._checkpointer.stop():
            self._checkpoint("TRUNCATE")
        self._connection.close()

    def limit_pages(self, pages_max: int) -> None:
        """Another limit of the file's size, in pages of 4 kB."""
        self._connection.execute(f"PRAGMA max_page_count = {pages_max}")

    def _write_all(self, rows: Rows) -> None:
        execute, execute_many = self._cursor.execute, self._cursor.executemany
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


class Checkpointer:
    """Brings what was committed to the disk, in a thread and with connections of its own: no commit waits for that."""

    def __init__(self, path: Path, interval_ns: int) -> None:
        self._path = path
        self._interval_s = interval_ns / 1e9
        self._connection: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None  # As long as it reads in the log, no writer begins that anew.
        self._lock = threading.Lock()  # of the five below; nobody waits for the disk with it
        self._waits_since_ns = 0  # when the first commit was made that no checkpoint has taken up; 0: none
        self._runs_since_ns = 0  # the same of those that the running checkpoint has taken up
        self._is_running = False
        self._is_long = False
        self._is_resetting = False
        self._has_work, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def on_commit(self, now_ns: int) -> None:
        """Something is to be brought to the disk. If other commits wait, whoever takes those up takes this one along."""
        if self._waits_since_ns:
            return
        with self._lock:
            self._waits_since_ns = self._waits_since_ns or now_ns  # A checkpoint that failed gives back what it took up.
        self._has_work.set()

    def lag_ns(self, now_ns: int) -> int:
        """For how long the oldest commit has waited; 0: the disk has everything."""
        with self._lock:
            since_ns = self._runs_since_ns or self._waits_since_ns
        return now_ns - since_ns if since_ns else 0

    def begin_reset(self) -> bool:
        """Whether the writer has to begin the log anew now. If so, no checkpoint runs, and none starts before end_reset."""
        if not self._is_long:  # The lock is for once in half a minute, not for each commit.
            return False
        with self._lock:
            if not self._is_long or self._is_running:
                return False
            self._is_resetting, self._is_long = True, False
        if self._reader is not None:
            with contextlib.suppress(sqlite3.Error):
                self._reader.execute("COMMIT")
        return True

    def end_reset(self) -> None:
        """Checkpoints as before."""
        with self._lock:
            self._is_resetting = False
        self._has_work.set()

    def stop(self) -> bool:
        """Ends the thread. False: it hangs."""
        self._is_over.set()
        self._has_work.set()
        self._thread.join(CLOSE_S_MAX)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._has_work.wait() and not self._is_over.wait(self._interval_s):
            self._has_work.clear()
            with self._lock:
                if self._is_resetting:
                    continue
                self._is_running = True
                self._runs_since_ns, self._waits_since_ns = self._waits_since_ns, 0
            try:
                pages = self._checkpoint()
            except sqlite3.Error:  # The log still has everything: tried again, until `lag_ns` is an alarm.
                self._disconnect()
                with self._lock:
                    self._is_running = self._is_long = False
                    self._runs_since_ns, self._waits_since_ns = 0, self._runs_since_ns or self._waits_since_ns
                self._has_work.set()
                continue
            with self._lock:
                self._is_running = False
                self._runs_since_ns = 0
                self._is_long = pages > LOG_PAGES_MAX
        self._disconnect()

    def _checkpoint(self) -> int:
        """Moves the log into the file. Returns how long the log is, in pages.

        The reader moves on only while the log has more than the file: a log that is through could be begun anew meanwhile.
        """
        if self._connection is None or self._reader is None:
            self._connection, self._reader = self._connect(), self._connect()
        connection, reader = self._connection, self._reader
        if reader.in_transaction:
            _, pages, moved = connection.execute(_CHECKPOINT).fetchone()  # It gets as far as the reader: it has been there.
            if pages == moved:
                return int(pages)
            reader.execute("COMMIT")
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        _, pages, _ = connection.execute(_CHECKPOINT).fetchone()
        return int(pages)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)

    def _disconnect(self) -> None:
        for connection in (self._reader, self._connection):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
        self._connection = self._reader = None
