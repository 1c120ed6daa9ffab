"""Rings → store: entries gather for a moment, are written in one transaction, and only then released.

    looking ── entries ──▶ writing ── written ──▶ released, looking ── every `look_ns`
                              │
                              └─ failed ──▶ waiting ── `retry_ns` over ──▶ writing again

Nobody wakes the writer for an entry: it looks by itself, so that neither side pays for a bell per order. While a batch is
being written nothing is read: the rings hold what comes.

A turn of the scribe looks, writes and releases; between two turns it sleeps. One thread takes all turns, so that a batch costs
one wake-up; the loop's thread asks only what has become of them.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reactor.domain.messages import SIZE
from reactor.journal.rows import Batch
from reactor.journal.store import CLOSE_S_MAX, Outcome, Result
from shm.ring import NORMAL, Consumer

ENTRY_SIZE = SIZE["journal"]
# A transaction costs as much as fifty entries. Where so many come (a millisecond, averaged over several looks, so that a burst
# is none), they gather for longer: some 3 000 orders a second, far beyond what a venue allows an account.
BUSY_ENTRIES_PER_MS = 10.0
BUSY_LOOK_NS = 12_000_000
BUSY_WEIGHT = 0.25  # of the newest look in that average
MS = 1_000_000
STOP_NS_MAX = 3_000_000_000  # A stop waits this long for a disk that fails.


class Disk(Protocol):
    """What the scribe needs of store.py's Store."""

    def write(self, batch: Batch) -> Outcome:
        """Writes whole entries in one transaction."""

    def lag_ns(self, now_ns: int) -> int:
        """For how long the oldest commit has waited for the disk; 0: it has everything, or does not make anybody wait."""

    def close(self) -> None:
        """Closes the file."""


@dataclass(frozen=True)
class ScribeParameters:
    """Its rhythm."""

    look_ns: int  # entries gather for so long
    retry_ns: int  # between two tries of a batch that failed
    batch_rows_max: int
    commit_slow_ns: int  # a commit that took longer is counted


@dataclass(slots=True)
class Progress:
    """What has become of the batches. The scribe writes it, anybody may read: each number is right by itself."""

    rows: int = 0
    commits: int = 0
    failures: int = 0  # commits that failed and were tried again
    slow_commits: int = 0
    damaged: int = 0  # entries kept as bytes, because they made no sense
    held: int = 0  # rows of a batch that is not yet written
    writing_since_ns: int = 0  # 0: no transaction is under way
    commit_ns: int = 0  # how long the last transaction took
    commit_ns_max: int = 0
    delay_ns_max: int = 0  # from the first entry of a batch to its commit, at most
    free_bytes: int | None = None  # of the file system; None: nothing was written yet
    is_failing: bool = False  # the last transaction failed; its rows wait
    error: str = ""  # of the last one that failed


class Scribe:
    """Takes the turns. Used by one thread at a time, but for `progress`, `refresh`, `waiting` and `lag_ns`."""

    def __init__(
        self, rings: Sequence[Consumer], disk: Disk, parameters: ScribeParameters, monotonic_ns: Callable[[], int]
    ) -> None:
        self.progress = Progress()
        self._rings = tuple(rings)
        self._at_rings = threading.Lock()  # a ring's end is one thread's at a time; nobody waits for the disk with it
        self._disk = disk
        self._monotonic_ns = monotonic_ns
        self._calm_look_ns = self._look_ns = parameters.look_ns
        self._retry_ns = parameters.retry_ns
        self._commit_slow_ns = parameters.commit_slow_ns
        self._entries_per_ms = 0.0
        self._rows_max = parameters.batch_rows_max
        self._room = memoryview(bytearray(parameters.batch_rows_max * ENTRY_SIZE))
        self._has_more = False  # the rings held more than a batch takes
        self._looked_ns = 0  # when the rings were read last; what is in them now came after it
        self._since_ns = 0  # before the first entry of the batch was written

    def turn(self, now_ns: int) -> int:
        """Looks, writes what is there, releases what was written. Returns when the next turn is due."""
        progress = self.progress
        if not progress.held:
            self._look(now_ns)
        if progress.held and not self._write(now_ns):
            return self._monotonic_ns() + self._retry_ns
        return now_ns if self._has_more else self._looked_ns + self._look_ns

    def finish(self) -> None:
        """Writes what is there, for at most STOP_NS_MAX, and closes; what a failing disk does not take stays in the ring."""
        now_ns = self._monotonic_ns()
        until_ns = now_ns + STOP_NS_MAX
        while now_ns < until_ns:
            if not self.progress.held:
                self._look(now_ns)
            if not self.progress.held or not self._write(now_ns):
                break
            now_ns = self._monotonic_ns()
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._disk.close()

    # -- from the loop's thread

    def refresh(self, now_ns: int) -> None:
        """Lets late and restarted producers in, whatever the disk does. Cheap; call it about every 20 ms.

        Raises:
            RingError: see shm/ring.py.
        """
        with self._at_rings:
            for ring in self._rings:
                ring.refresh(now_ns)

    def waiting(self) -> tuple[int, bool]:
        """(entries that are not yet written, whether a ring is three quarters full)."""
        count, is_crowded = self.progress.held, False
        with self._at_rings:
            for ring in self._rings:
                pending = ring.pending(NORMAL)
                count += pending
                is_crowded = is_crowded or pending * 4 >= ring.capacity * 3
        return count, is_crowded

    def lag_ns(self, now_ns: int) -> int:
        """For how long the oldest commit has waited for the disk."""
        return self._disk.lag_ns(now_ns)

    # -- a turn

    def _look(self, now_ns: int) -> None:
        """Copies what the rings hold, as much as a batch takes."""
        rows, rows_max = 0, self._rows_max
        with self._at_rings:
            for ring in self._rings:
                if rows < rows_max:
                    rows += ring.peek_into(self._room[rows * ENTRY_SIZE :], NORMAL)
        rate = rows * MS / max(now_ns - self._looked_ns, MS)
        self._entries_per_ms += BUSY_WEIGHT * (rate - self._entries_per_ms)
        is_busy = self._entries_per_ms >= BUSY_ENTRIES_PER_MS
        self._look_ns = max(self._calm_look_ns, BUSY_LOOK_NS) if is_busy else self._calm_look_ns
        if not self._has_more:
            self._since_ns = self._looked_ns
        self._has_more = rows == rows_max
        self._looked_ns = now_ns
        self.progress.held = rows

    def _write(self, now_ns: int) -> bool:
        """One try at the batch. False: the disk did not take it."""
        progress = self.progress
        progress.writing_since_ns = now_ns
        try:
            outcome = self._disk.write(self._room[: progress.held * ENTRY_SIZE])
        except Exception as error:  # Whatever it is, the batch was not written, and the role must hear of it.
            outcome = Outcome(Result.FAILED, error=f"{type(error).__name__}: {error}")
        progress.writing_since_ns = 0
        progress.commit_ns = took_ns = outcome.duration_ns
        if took_ns > progress.commit_ns_max:
            progress.commit_ns_max = took_ns
        if outcome.result == Result.FAILED:
            progress.error = outcome.error
            progress.is_failing = True
            progress.failures += 1
            progress.free_bytes = outcome.free_bytes  # Behind the failure: alone it would say that the disk is full.
            return False
        progress.free_bytes = outcome.free_bytes
        with self._at_rings:
            for ring in self._rings:
                ring.release(NORMAL)
        progress.held = 0
        progress.is_failing = False
        progress.commits += 1
        progress.rows += outcome.rows
        progress.damaged += outcome.damaged
        if took_ns > self._commit_slow_ns:
            progress.slow_commits += 1
        delay_ns = outcome.committed_ns - self._since_ns
        if delay_ns > progress.delay_ns_max:
            progress.delay_ns_max = delay_ns
        return True


class ScribeThread:
    """Takes a scribe's turns, each when it is due. SQLite lets go of the interpreter's lock while it waits for the disk."""

    def __init__(self, scribe: Scribe, monotonic_ns: Callable[[], int]) -> None:
        self.fault: Exception | None = None  # ended the thread; for the role to raise
        self._scribe = scribe
        self._monotonic_ns = monotonic_ns
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Lets the scribe finish. A disk that hangs is not waited for."""
        self._is_over = True
        self._thread.join(STOP_NS_MAX / 1e9 + CLOSE_S_MAX)

    def _run(self) -> None:
        turn, monotonic_ns = self._scribe.turn, self._monotonic_ns
        try:
            while not self._is_over:
                due_ns = turn(monotonic_ns())
                wait_ns = due_ns - monotonic_ns()
                if wait_ns > 0:
                    time.sleep(wait_ns / 1e9)
            self._scribe.finish()
        except Exception as error:
            self.fault = error
