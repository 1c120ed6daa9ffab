"""The journal's door: opens the file, lets the scribe work, and tells what became of it: metrics, log, the alarm.

    the loop's thread      start: lock, file ─▶ every TELL_NS: partners of the rings, metrics, alarm ─▶ stop
    the scribe's thread               └▶ look ─▶ write ─▶ release … (scribe.py) ─▶ what is left, close

A disk that hangs stops the scribe, never the life sign. What the alarm says is in the metrics; prepost reads it there and opens
nothing while it is not OK.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import LifeState
from reactor.journal.schema import NO_WORDS, JournalLock, Words
from reactor.journal.scribe import Disk, Progress, Scribe, ScribeParameters, ScribeThread
from reactor.journal.store import Store, StoreParameters
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from shm.ring import Consumer

MS = 1_000_000
LOOK_SHARE = 0.8  # Of the promised delay entries gather for this part; the rest is for the commit.
TELL_NS = 20_000_000  # As often as the shard publishes it. A partner that starts anew waits for this a few times.
HEARTBEAT_NS_MAX = 2_000_000_000  # SQLite has a thread of its own, so a writer that is silent for this long is no slow disk.
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
    open_disk: Callable[[], Disk] | None = None  # tests


class JournalRole:
    """Writes what the hot roles say."""

    name = "journal"

    def __init__(self, parameters: JournalParameters, ports: JournalPorts) -> None:
        self._parameters = parameters
        self._ports = ports
        self._metrics = ports.metrics
        self._log = ports.log
        self._lock = JournalLock(ports.path)
        self._lock_until_ns = 0
        self._scribe: Scribe | None = None
        self._thread: ScribeThread | None = None  # None: its turns are taken in our passes
        self._due_ns = 0
        self._failures = self._slow_commits = 0  # told
        self._backlog = self._backlog_max = 0
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
        return self._scribe is not None

    def deadline_ns(self, now_ns: int) -> int:
        return self._due_ns

    def do_work(self, now_ns: int) -> int:
        """One pass. 0 always: what comes next is due at its time."""
        if self._scribe is None:
            self._try_open(now_ns)
        elif now_ns >= self._due_ns:
            self._due_ns = now_ns + TELL_NS
            if self._thread is None:
                self._due_ns = self._scribe.turn(now_ns)
            elif self._thread.fault is not None:
                raise self._thread.fault
            self._scribe.refresh(now_ns)
            self._tell(self._scribe, now_ns)
        return 0

    def on_stop(self, now_ns: int) -> None:
        """Writes what is there, for a few seconds; what a failing disk does not take stays in the ring.

        Raises:
            Exception: what ended the scribe's thread; what the rings hold is not written.
        """
        if self._scribe is None:
            return
        fault: Exception | None = None
        if self._thread is None:
            self._scribe.finish()
        else:
            self._thread.stop()
            fault = self._thread.fault
        if self._scribe.progress.held:
            self._log.error(
                "the journal could not be written at the stop; entries stay in the ring", rows=self._scribe.progress.held
            )
        self._scribe = self._thread = None
        self._lock.release()
        if fault is not None:
            raise fault

    # -- the file --------------------------------------------------------------------------------------------

    def _try_open(self, now_ns: int) -> None:
        if not self._lock.try_take():
            if now_ns >= self._lock_until_ns:
                raise ConfigError(
                    f"journal: {self._ports.path} is in use by process {self._lock.holder()}; two systems cannot share one "
                    "journal: stop the other one, or give this one another instance name"
                )
            return
        parameters, clock = self._parameters, self._ports.clock
        self._scribe = Scribe(
            self._ports.journal,
            (self._ports.open_disk or self._open_store)(),
            ScribeParameters(
                look_ns=int(parameters.delay_ms_max * MS * LOOK_SHARE),
                retry_ns=parameters.retry_ms * MS,
                batch_rows_max=parameters.batch_rows_max,
                commit_slow_ns=parameters.commit_slow_ms * MS,
            ),
            clock.monotonic_ns,
        )
        if parameters.is_threaded:
            self._thread = ScribeThread(self._scribe, clock.monotonic_ns)
        self._log.info("journal open", path=str(self._ports.path), fsync=parameters.fsync)

    def _open_store(self) -> Store:
        parameters = self._parameters
        store = Store(
            self._ports.path,
            StoreParameters(parameters.fsync == "commit", parameters.checkpoint_ms, parameters.pages_max),
            self._ports.instruments,
            self._ports.words,
            self._ports.clock.monotonic_ns,
        )
        if parameters.is_threaded:
            store.checkpoint_aside()
        return store

    # -- the alarm -------------------------------------------------------------------------------------------

    def _tell(self, scribe: Scribe, now_ns: int) -> None:
        """What the scribe has done, and whether it is trouble."""
        parameters, progress = self._parameters, scribe.progress
        self._backlog, is_crowded = scribe.waiting()
        # Each read once: the scribe goes on meanwhile.
        failures, slow_commits, is_failing = progress.failures, progress.slow_commits, progress.is_failing
        writing_since_ns, free_bytes = progress.writing_since_ns, progress.free_bytes
        if (
            is_crowded
            or slow_commits > self._slow_commits
            or (writing_since_ns and now_ns - writing_since_ns > parameters.commit_slow_ms * MS)
            or scribe.lag_ns(now_ns) > parameters.checkpoint_slow_ms * MS
        ):
            self._on_slow(now_ns)
        self._slow_commits = slow_commits
        if failures > self._failures:
            self._failures = failures
            self._log.error(
                "the journal cannot be written: nothing new is opened, entries wait; free the disk", error=progress.error,
                rows=progress.held, free_mb=(free_bytes or 0) >> 20,
            )  # fmt: skip
        if self._is_failing and not is_failing:
            self._log.info("the journal can be written again", rows=progress.rows)
        self._is_failing = is_failing
        if free_bytes is not None and not is_failing:
            is_low = free_bytes < parameters.free_mb_min << 20
            if is_low and not self._is_low:
                self._log.error("the journal's disk is nearly full: nothing new is opened", free_mb=free_bytes >> 20)
            self._is_low = is_low
        self._count(progress)
        self._alarm(now_ns)

    def _count(self, progress: Progress) -> None:
        """The metrics."""
        put = self._metrics.set
        put(Counter.ROWS, progress.rows)
        put(Counter.COMMITS, progress.commits)
        put(Counter.FAILURES, progress.failures)
        put(Counter.SLOW_COMMITS, progress.slow_commits)
        put(Counter.DAMAGED, progress.damaged)
        put(Counter.COMMIT_US_LAST, progress.commit_ns // 1_000)
        put(Counter.COMMIT_US_MAX, progress.commit_ns_max // 1_000)
        put(Counter.DELAY_US_MAX, progress.delay_ns_max // 1_000)
        put(Counter.FREE_MB, (progress.free_bytes or 0) >> 20)
        put(Counter.BACKLOG, self._backlog)
        if self._backlog > self._backlog_max:
            self._backlog_max = self._backlog
            put(Counter.BACKLOG_MAX, self._backlog)

    def _alarm(self, now_ns: int) -> None:
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
            self._metrics.set(Counter.STATE, state)

    def _on_slow(self, now_ns: int) -> None:
        if now_ns >= self._slow_until_ns:
            self._log.warning("the journal's disk is slow: nothing new is opened", rows=self._backlog)
        self._slow_until_ns = now_ns + self._parameters.alarm_hold_ms * MS
