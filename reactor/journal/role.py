"""The journal's door: entries gather in the rings for a moment, are written in one transaction, and only then released.

    looking ── entries ──▶ writing ── written ──▶ released, looking ── every `look_ns`
                              │
                              └─ failed ──▶ waiting ── backoff over ──▶ writing again

Nobody wakes the writer for an entry: it looks by itself, so that neither side pays for a bell per order. While a batch is
being written nothing is read: the rings hold what comes. What the alarm says is in the metrics; prepost reads it there and
opens nothing while it is not OK.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import SIZE, LifeState
from reactor.journal.schema import NO_WORDS, JournalLock, Words
from reactor.journal.store import Committer, InlineCommitter, Outcome, Result, Store, StoreParameters, ThreadCommitter
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from shm.ring import NORMAL, Consumer

MS = 1_000_000
POLL_NS = 500_000  # How often a transaction is asked whether it is done, if it takes long or more waits than a batch holds.
TIMER_SLACK_NS = 500_000  # The loop counts in milliseconds: a timer may come a little early.
LOOK_SHARE = 0.6  # Of the promised delay entries gather for this part; the rest is for the commit.
# A transaction costs as much as fifty entries. Where so many come (a millisecond, averaged over several looks, so that a burst
# is none), they gather for longer: some 3 000 orders a second, far beyond what a venue allows an account.
BUSY_ENTRIES_PER_MS = 10.0
BUSY_LOOK_NS = 12_000_000
BUSY_WEIGHT = 0.25  # of the newest look in that average
HEARTBEAT_NS_MAX = 2_000_000_000  # SQLite has a thread of its own, so a writer that is silent for this long is no slow disk.
ENTRY_SIZE = SIZE["journal"]
STOP_NS_MAX = 3_000_000_000  # A stop waits this long for a disk that fails.
_LIVING = (LifeState.READY, LifeState.RUNNING, LifeState.STOPPING)


class JournalState(IntEnum):
    """The alarm. Anything but OK means: open nothing more (REDUCE_ONLY)."""

    OK = 0
    SLOW = 1  # a commit or a checkpoint takes too long, or the ring is nearly full
    DISK_LOW = 2  # the disk is nearly full
    FAILING = 3  # the last commit failed; its rows wait
    DEAD = 4  # no sign of life from the writer: only a reader of its metrics can say this


class Counter(IntEnum):
    """The journal writer's counters."""

    STATE = 0  # JournalState
    ROWS = 1
    COMMITS = 2
    FAILURES = 3  # commits that failed and were tried again
    DAMAGED = 4  # entries kept as bytes, because they made no sense
    BACKLOG = 5  # entries not yet committed
    BACKLOG_MAX = 6
    COMMIT_US_LAST = 7
    COMMIT_US_MAX = 8
    DELAY_US_MAX = 9  # from the first entry of a batch to its commit, at most
    FREE_MB = 10
    SLOW_COMMITS = 11


def state_of(metrics_row: Any, now_ns: int) -> JournalState:
    """The alarm, as somebody else reads it from the journal writer's metrics (role_metrics_t)."""
    is_alive = metrics_row.life_state in _LIVING and now_ns - metrics_row.heartbeat_ns < HEARTBEAT_NS_MAX
    return JournalState(int(metrics_row.counters[Counter.STATE])) if is_alive else JournalState.DEAD


@dataclass(frozen=True)
class JournalParameters:
    """How the journal is written."""

    fsync: Literal["checkpoint", "commit"] = "checkpoint"  # see reactor/journal/__init__.py
    # An entry is with the operating system after this, on a disk that is not slow, and below some 3 000 orders/s.
    delay_ms_max: float = 5.0
    batch_rows_max: int = 1_024  # about 4 ms of work
    checkpoint_ms: int = 1_000
    # A commit that takes longer is an alarm. A busy host lets the writer wait for a few hundred ms now and then, and the ring
    # holds seconds of entries; a disk that needs a second is in trouble.
    commit_slow_ms: int = 1_000
    # The same if the disk still does not have what was committed so long ago. Commits do not wait for it, so that this may be
    # longer: flushes of a second or two happen on a shared disk. It is what a power cut may cost while orders are opened.
    checkpoint_slow_ms: int = 5_000
    alarm_hold_ms: int = 2_000  # an alarm stays for this long after its last cause
    retry_ms: int = 200  # between two tries of a batch that failed
    free_mb_min: int = 64  # below this the alarm is given while everything can still be written
    lock_wait_ms: int = 6_000  # a predecessor without supervisor needs up to 5 s to leave
    is_threaded: bool = True  # False: in the simulated world
    pages_max: int = 0  # limit of the file in pages of 4 kB; 0: none


@dataclass
class JournalPorts:
    """What the journal writer is plugged into."""

    journal: Sequence[Consumer]  # journal_message_t of each hot role
    path: Path
    instruments: Instruments
    clock: Clock
    metrics: Metrics
    log: Log
    words: Words = NO_WORDS
    open_committer: Callable[[], Committer] | None = None  # tests


class JournalRole:
    """Writes what the hot roles say."""

    name = "journal"

    def __init__(self, parameters: JournalParameters, ports: JournalPorts) -> None:
        self._parameters = parameters
        self._ports = ports
        self._metrics = ports.metrics
        self._log = ports.log
        self._rings = tuple(ports.journal)
        self._lock = JournalLock(ports.path)
        self._lock_until_ns = 0
        self._committer: Committer | None = None
        self._calm_look_ns = self._look_ns = int(parameters.delay_ms_max * MS * LOOK_SHARE)
        self._entries_per_ms = 0.0
        self._room = memoryview(bytearray(parameters.batch_rows_max * ENTRY_SIZE))
        self._has_more = False  # the rings held more than a batch takes
        self._rows = 0  # how much of the room is a batch that is not yet written
        self._looked_ns = 0  # when the rings were read last; what is in them now came after it
        self._since_ns = 0  # before the first entry of the batch was written
        self._is_writing = False
        self._started_ns = 0
        self._backlog_max = 0
        self._retry_ns = 0
        self._slow_until_ns = 0
        self._is_low = False
        self._is_failing = False
        self._state = JournalState.OK

    # -- life ------------------------------------------------------------------------------------------------

    def on_start(self, now_ns: int) -> None:
        """Takes the lock and opens the file; a lock that a dying predecessor still holds is waited for, in do_work.

        Raises:
            ConfigError, DataError: the file cannot be used.
        """
        self._lock_until_ns = now_ns + self._parameters.lock_wait_ms * MS
        self._try_open(now_ns)

    def is_ready(self) -> bool:
        return self._committer is not None

    def deadline_ns(self, now_ns: int) -> int:
        if self._is_writing:
            return now_ns + POLL_NS if self._has_more else max(self._looked_ns + self._look_ns, now_ns + POLL_NS)
        return self._retry_ns if self._is_failing else self._looked_ns + self._look_ns

    def do_work(self, now_ns: int) -> int:
        """One pass: an outcome, new entries, perhaps a new transaction. 0 always: what comes next is due at its time."""
        if self._committer is None:
            self._try_open(now_ns)
            return 0
        if self._is_writing:
            outcome = self._committer.poll()
            if outcome is not None:
                self._on_outcome(outcome, now_ns)
            elif now_ns - self._started_ns > self._parameters.commit_slow_ms * MS:
                self._on_slow(now_ns)
        has_looked = False
        if not self._is_writing:
            if self._is_failing:
                if now_ns >= self._retry_ns:
                    self._start(now_ns)
            elif self._has_more or now_ns - self._looked_ns >= self._look_ns - TIMER_SLACK_NS:
                has_looked = True
                self._look(now_ns)
                if self._rows:
                    self._start(now_ns)
        if self._committer.lag_ns(now_ns) > self._parameters.checkpoint_slow_ms * MS:
            self._on_slow(now_ns)
        self._tell(now_ns, has_looked)
        return 0

    def on_stop(self, now_ns: int) -> None:
        """Writes what is there, for at most STOP_NS_MAX; what a failing disk does not take stays in the ring."""
        if self._committer is None:
            return
        clock = self._ports.clock
        until_ns = clock.monotonic_ns() + STOP_NS_MAX
        while clock.monotonic_ns() < until_ns:
            if self._is_writing:
                outcome = self._committer.poll(timeout_s=0.05)
                if outcome is None:
                    continue
                self._on_outcome(outcome, clock.monotonic_ns())
                if self._is_failing:
                    break
                continue
            if not self._rows:
                self._look(clock.monotonic_ns())
            if not self._rows:
                break
            self._start(clock.monotonic_ns())
            if self._is_failing:
                break
        if self._rows:
            self._log.error("the journal could not be written at the stop; entries stay in the ring", rows=self._rows)
        self._committer.close()
        self._committer = None
        self._lock.release()

    # -- the file --------------------------------------------------------------------------------------------

    def _try_open(self, now_ns: int) -> None:
        if not self._lock.try_take():
            if now_ns >= self._lock_until_ns:
                raise ConfigError(
                    f"journal: {self._ports.path} is in use by process {self._lock.holder()}; two systems cannot share one "
                    "journal: stop the other one, or give this one another instance name"
                )
            return
        if self._ports.open_committer is not None:
            self._committer = self._ports.open_committer()
            return
        parameters = self._parameters
        store = Store(
            self._ports.path,
            StoreParameters(parameters.fsync == "commit", parameters.checkpoint_ms, parameters.pages_max),
            self._ports.instruments,
            self._ports.words,
            self._ports.clock.monotonic_ns,
        )
        self._committer = ThreadCommitter(store) if parameters.is_threaded else InlineCommitter(store)
        self._log.info("journal open", path=str(self._ports.path), fsync=parameters.fsync)

    # -- batches ---------------------------------------------------------------------------------------------

    def _look(self, now_ns: int) -> None:
        """Copies what the rings hold, as much as a batch takes."""
        room, rows, rows_max = self._room, 0, self._parameters.batch_rows_max
        for ring in self._rings:
            if rows < rows_max:
                rows += ring.peek_into(room[rows * ENTRY_SIZE :], NORMAL)
        self._rows = rows
        rate = rows * MS / max(now_ns - self._looked_ns, MS)
        self._entries_per_ms += BUSY_WEIGHT * (rate - self._entries_per_ms)
        is_busy = self._entries_per_ms >= BUSY_ENTRIES_PER_MS
        self._look_ns = max(self._calm_look_ns, BUSY_LOOK_NS) if is_busy else self._calm_look_ns
        if not self._has_more:
            self._since_ns = self._looked_ns
        self._has_more = rows == rows_max
        self._looked_ns = now_ns

    def _start(self, now_ns: int) -> None:
        assert self._committer is not None, "a batch is written to an open journal"
        self._is_writing = True
        self._started_ns = now_ns
        self._committer.start(self._room[: self._rows * ENTRY_SIZE])
        if not self._parameters.is_threaded:
            outcome = self._committer.poll()
            if outcome is not None:
                self._on_outcome(outcome, now_ns)

    def _on_outcome(self, outcome: Outcome, now_ns: int) -> None:
        self._is_writing = False
        metrics, parameters = self._metrics, self._parameters
        took_us = outcome.duration_ns // 1_000
        metrics.set(Counter.COMMIT_US_LAST, took_us)
        metrics.set(Counter.COMMIT_US_MAX, max(took_us, metrics.get(Counter.COMMIT_US_MAX)))
        metrics.set(Counter.FREE_MB, outcome.free_bytes >> 20)
        if outcome.result == Result.FAILED:
            metrics.count(Counter.FAILURES)
            self._is_failing = True
            self._retry_ns = now_ns + parameters.retry_ms * MS
            self._log.error(
                "the journal cannot be written: nothing new is opened, entries wait; free the disk", error=outcome.error,
                rows=self._rows, free_mb=outcome.free_bytes >> 20,
            )  # fmt: skip
            return
        for ring in self._rings:
            ring.release(NORMAL)
        if self._is_failing:
            self._log.info("the journal can be written again", rows=outcome.rows)
        self._is_failing = False
        self._retry_ns = 0
        metrics.count(Counter.COMMITS)
        metrics.count(Counter.ROWS, outcome.rows)
        metrics.count(Counter.DAMAGED, outcome.damaged)
        metrics.set(
            Counter.DELAY_US_MAX, max((outcome.committed_ns - self._since_ns) // 1_000, metrics.get(Counter.DELAY_US_MAX))
        )
        self._rows = 0
        if outcome.duration_ns > parameters.commit_slow_ms * MS:
            metrics.count(Counter.SLOW_COMMITS)
            self._on_slow(now_ns)
        is_low = outcome.free_bytes < parameters.free_mb_min << 20
        if is_low and not self._is_low:
            self._log.error("the journal's disk is nearly full: nothing new is opened", free_mb=outcome.free_bytes >> 20)
        self._is_low = is_low

    # -- the alarm -------------------------------------------------------------------------------------------

    def _on_slow(self, now_ns: int) -> None:
        if now_ns >= self._slow_until_ns:
            self._log.warning("the journal's disk is slow: nothing new is opened", rows=self._rows)
        self._slow_until_ns = now_ns + self._parameters.alarm_hold_ms * MS

    def _tell(self, now_ns: int, has_looked: bool) -> None:
        backlog = self._rows
        if self._has_more or not has_looked:  # Otherwise the rings have just been emptied.
            for ring in self._rings:
                waiting = ring.pending(NORMAL)
                backlog += waiting
                if waiting * 4 >= ring.capacity * 3:
                    self._on_slow(now_ns)
        metrics = self._metrics
        metrics.set(Counter.BACKLOG, backlog)
        if backlog > self._backlog_max:
            self._backlog_max = backlog
            metrics.set(Counter.BACKLOG_MAX, backlog)
        if self._is_failing:
            state = JournalState.FAILING
        elif self._is_low:
            state = JournalState.DISK_LOW
        elif now_ns < self._slow_until_ns:
            state = JournalState.SLOW
        else:
            state = JournalState.OK
        if state != self._state:
            self._state = state
            self._log.info("journal state", state=state.name.lower())
            metrics.set(Counter.STATE, state)
