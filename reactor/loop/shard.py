"""One process, one single-threaded loop, one or several roles.

A pass calls the `do_work` of every role that has a reason, in the order of the flow: something unread in its rings, one of its
sockets, its deadline, or work done in the pass before. It runs after every wake-up (eventfd of the shard's rings), after every
socket callback, and at least every PASS_PERIOD_MAX_NS (PASS_PERIOD_COLD_NS). What happens between two passes follows the wait
policy (wait.py).
Where a feed shares the shard, a signal that a trigger waits for is read by the collector, and what comes of it carried on,
before the feed says the next one (`turn_behind`); its pass follows at once, because a turn of the loop would read other sockets
first. Answers of the venue wait for that turn, so that one pass takes all of them.

    wake-up, socket callback, timer ─▶ pass: role.do_work … ─▶ work done? ─▶ again
                                                              └▶ nothing: raise sleep flags, re-check, then one of
                                                                 links to refresh, glance, rehearsal due ─▶ loop, again
                                                                 nothing due ─▶ sleep in epoll

How a shard ends:

    SIGTERM           the supervisor has finished the stop sequence: on_stop, leave
    SIGINT            ignored: Ctrl-C reaches the whole terminal group, the supervisor decides
    supervisor gone   roles that can end in order on their own (`on_orphaned`, the engine cancels what is ours) do so
                      within ORPHAN_TIME_MAX_NS; then leave
    role fails        its sentence stands in the metrics segment; leave with EXIT_FAILED; the supervisor decides
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import uvloop

from reactor.domain.errors import ConfigError, TradeError
from reactor.domain.messages import LifeState
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.loop.pressure import Pressure
from reactor.loop.role import Role
from reactor.loop.scheduler import NICE_JOURNAL, give_way, go_first, pin_to, watch_parent
from reactor.loop.wait import HYBRID_SPIN_NS, Waiter, WaitPolicy

PASSES_TIME_MAX_NS: Final = 200_000  # So long passes follow each other without asking the loop; then sockets get their turn.
PASS_PERIOD_MAX_NS: Final = 5_000_000  # Heartbeats, deadlines and late subscribers are looked after at least this often.
PASS_PERIOD_COLD_NS: Final = 20_000_000  # … and in a shard that is not hot this often: nobody needs to know sooner.
HEARTBEAT_NS: Final = 4_000_000  # A published row is 1 kB of each role: of 6 µs a thousand per second would be felt.
REFRESH_NS: Final = 10_000_000  # Every link once in so long, or in a pass period: update_connections, contract of shm/ring.py.
LINKS_AT_ONCE: Final = 4  # All of a shard take 0.1 ms, and a tick that comes in the middle waits for the rest.
WARM_SHARE: Final = 8  # Rehearsals take an eighth of a core at most, glances another, of all hot shards that may share it
# together: a tick that comes in the middle of one waits for the rest of it.
WAIT_S_MIN: Final = 0.001  # Of a shard that is not hot: what it has to do is never due to the half millisecond.
ORPHAN_TIME_MAX_NS: Final = 4_500_000_000  # The promise is 5 s from the supervisor's death to "none of ours is open".
NEVER_NS: Final = 1 << 61
GC_FREEZE_AFTER_NS: Final = 3_000_000_000  # After the first sessions are up and the caches are filled.
EXIT_CONFIG: Final = 2  # what no restart cures
EXIT_FAILED: Final = 3
CLOSE_TIME_S: Final = 0.5  # For close frames and half-finished requests; nothing that matters waits until here.


class Link(Protocol):
    """What the shard needs of a ring's end or a topic."""

    def refresh(self, now_ns: int, /) -> object:
        """Cheap timer work, about every 10 ms."""


class Input(Protocol):
    """What the shard needs of shm/ring.py's Consumer, or of many of them (Dormitory), to sleep."""

    def prepare_sleep(self) -> bool:
        """Raises the sleep flag and re-checks; False: do not sleep."""

    def cancel_sleep(self) -> object:
        """Lowers the flag."""


@dataclass(frozen=True)
class ShardParameters:
    """Where and how one shard runs."""

    name: str
    core: int | None = None  # None: not pinned
    wait_policy: WaitPolicy = WaitPolicy.BLOCK
    hybrid_spin_us: int = HYBRID_SPIN_NS // 1000
    rehearsal_ns: int = 0  # how often each rehearsal plays while nothing is decided (reactor/rehearsal.py); 0: never
    freeze_garbage: bool = True  # Off where the process makes cycles by design (aiohttp server).
    is_hot: bool = True  # It stands between a tick and an order. Others never push a hot one off its core (scheduler.py).
    hot_neighbours: int = 0  # how many other hot shards may run on its core
    step: int = 0  # how many roles a tick has passed before it comes here


@dataclass
class Cell:
    """One role in a shard, with what the shard publishes for it."""

    role: Role
    metrics: Metrics
    log: Log
    unread: Callable[[], int] | None = None  # not 0: its rings hold something (shm/ring.py's Watch); None: enter it always
    decides: bool = False  # What it does is a decision, and warms what a rehearsal would.


class Duty:
    """One role's reasons to be entered."""

    __slots__ = ("deadline_ns", "decides", "do_work", "done", "due_ns", "is_awake", "is_reader", "unread", "view")

    def __init__(self) -> None:
        self.do_work: Callable[[int], int] = _no_time
        self.deadline_ns: Callable[[int], int] = _no_time
        self.unread: Callable[[], int] = _always
        self.view: Any = None  # its metrics
        self.decides = False
        self.is_reader = False  # Its rings say whether they hold something.
        self.is_awake = True  # A socket of its own was heard, or it had work last time: there may be more.
        self.due_ns = 0  # its deadline, at most a pass period away
        self.done = 0  # not yet in the metrics

    def take(self, cell: Cell) -> None:
        """The role is built."""
        self.do_work, self.deadline_ns = cell.role.do_work, cell.role.deadline_ns
        self.view = cell.metrics.view
        self.decides = cell.decides
        if cell.unread is not None:
            self.unread = cell.unread
            self.is_reader = True


def _no_time(now_ns: int) -> int:
    return 0


def _always() -> int:
    return 1


class Shard:
    """Runs cells until told to leave. `run()` returns the exit code of the process."""

    def __init__(
        self,
        parameters: ShardParameters,
        clock: Clock,
        wake_fd: int = -1,
        drain_wake: Callable[[], object] | None = None,
    ) -> None:
        self.parameters = parameters
        self._clock = clock
        self._monotonic_ns = clock.monotonic_ns
        self._cells: tuple[Cell, ...] = ()
        self._inputs: tuple[Input, ...] = ()
        self._links: tuple[Link, ...] = ()
        self._has_tick: Callable[[], int] = _no_tick
        self._rehearsals: tuple[Callable[[], None], ...] = ()
        self._rehearsal_due_ns = 0
        self._warm_pause = WARM_SHARE * (1 + parameters.hot_neighbours) - 1  # so many times its length until the next one
        self._glances: tuple[Callable[[], None], ...] = ()
        self._glance_due_ns = 0
        self._last_rehearsal = -1  # the one played last
        self._rehearsed = 0  # of this round
        self._rehearsed_ns = 0  # what they took
        self._timer_ns = 0  # when the armed timer fires
        self._wake_fd = wake_fd
        self._drain_wake = drain_wake or (lambda: _drain(wake_fd))
        self._waiter = Waiter(parameters.wait_policy, parameters.hybrid_spin_us * 1000)
        self._pressure: Pressure | None = None  # who never asks for it opens no file
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_scheduled = False
        self._is_asleep = False
        self._is_in_pass = False
        self._duties: tuple[Duty, ...] = ()
        self._duty_of: dict[str, Duty] = {}
        self._sleeps = 0
        self._passes = 0
        self._is_leaving = False
        self._has_ended = False
        self._closers: list[Callable[[], Awaitable[object]]] = []
        self._orphaned_ns = 0
        self._parent = os.getppid()
        self._exit_code = 0
        self._started_ns = 0
        # One that is not hot may share a hot one's core.
        self._pass_period_ns = PASS_PERIOD_MAX_NS if parameters.is_hot else PASS_PERIOD_COLD_NS
        self._heartbeat_ns = HEARTBEAT_NS if parameters.is_hot else PASS_PERIOD_COLD_NS
        self._heartbeat_due_ns = 0
        self._refreshed = 0  # links of this round
        self._refresh_due_ns = NEVER_NS  # the next few of them …
        self._refresh_pause_ns = REFRESH_NS  # … and those behind them
        self._is_frozen = not parameters.freeze_garbage
        # The loop counts in milliseconds and takes less than half of one for none: who waits for such a deadline spins.
        self._wait_s_min = 0.0 if parameters.is_hot else WAIT_S_MIN

    def on_close(self, closer: Callable[[], Awaitable[object]]) -> None:
        """Something asynchronous to be closed after the roles' on_stop (a network)."""
        self._closers.append(closer)

    def plug(
        self,
        cells: Sequence[Cell],
        inputs: Sequence[Input],
        links: Sequence[Link],
        has_tick: Callable[[], int] | None = None,
        rehearsals: Sequence[Callable[[], None]] = (),
    ) -> None:
        """What wiring built.

        Args:
            cells: in the order in which a message passes them, so that one pass carries it through.
            inputs: consumers that wake this shard.
            links: everything that wants `refresh`.
            has_tick: not 0: the signal rings between two roles of this shard, which no wake-up announces, hold something.
            rehearsals: what keeps the code warm; one of them at a time, while there is nothing to do.
        """
        self._cells = tuple(cells)
        self._inputs = tuple(inputs)
        self._links = tuple(links)
        self._refresh_due_ns = self._monotonic_ns() if links else NEVER_NS
        self._refresh_pause_ns = REFRESH_NS // max(1, -(-len(links) // LINKS_AT_ONCE))
        self._has_tick = has_tick or _no_tick
        self._rehearsals = tuple(rehearsals) if self.parameters.rehearsal_ns else ()
        glances = [getattr(cell.role, "glance", None) for cell in self._cells]
        self._glances = tuple(glance for glance in glances if glance is not None) if self.parameters.rehearsal_ns else ()
        self._rehearsal_due_ns = 0 if self._rehearsals else NEVER_NS
        self._glance_due_ns = 0 if self._glances else NEVER_NS
        duties = []
        for cell in self._cells:
            duties.append(self._duty(cell.role.name))
            duties[-1].take(cell)
        self._duties = tuple(duties)

    def _duty(self, name: str) -> Duty:
        if name not in self._duty_of:
            self._duty_of[name] = Duty()
        return self._duty_of[name]

    def activity_of(self, name: str, is_tick: bool) -> Callable[[], None]:
        """What the sockets of a role call after each of their callbacks. `is_tick`: it may have written a signal to a
        neighbour in this shard, and then the pass follows at once."""
        duty = self._duty(name)

        def on_tick() -> None:
            duty.is_awake = True
            if self._has_tick():
                self._pass()
            else:
                self.request_pass()

        def on_answer() -> None:
            duty.is_awake = True
            if not self._is_scheduled:
                self.request_pass()

        return on_tick if is_tick else on_answer

    def waker_of(self, name: str) -> Callable[[], None]:
        """What a role may call to be entered in this pass, or, if its turn is over, in the next one."""
        duty = self._duty(name)

        def wake() -> None:
            duty.is_awake = True

        return wake

    def turn_behind(self, name: str) -> Callable[[], None]:
        """What a role may call right after it has written to a neighbour of this shard: whoever has something unread gets its
        turn now, in the order of the flow, before the role goes on. The rest of their work comes with the next pass."""
        own = self._duty(name)

        def take_turns() -> None:
            now_ns = self._monotonic_ns()
            try:
                for duty in self._duties:
                    if duty.is_reader and duty is not own and duty.unread():
                        self._enter(duty, now_ns)
            except Exception as error:
                self._fail(error)
                self._end()

        return take_turns

    # -- outside of the passes -------------------------------------------------------------------------------

    def run(self, build: Callable[["Shard"], None]) -> int:
        """Runs the loop; `build` is called inside it and must call `plug`. Returns 0, EXIT_FAILED after a role failed, or
        EXIT_CONFIG where its configuration is the reason."""
        pin_to(self.parameters.core)
        if self.parameters.is_hot:
            go_first(is_alone=not self.parameters.hot_neighbours, step=self.parameters.step)
        else:
            give_way(NICE_JOURNAL)
        watch_parent()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._run(build))

    async def _run(self, build: Callable[["Shard"], None]) -> int:
        loop = self._loop = asyncio.get_running_loop()
        done = self._done = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, self.leave)
        loop.add_signal_handler(signal.SIGHUP, self._on_parent_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            build(self)
            self._start()
        except Exception as error:
            self._fail(error)
            return self._exit_code
        if self._wake_fd >= 0:
            loop.add_reader(self._wake_fd, self._on_wake)
        self.request_pass()
        await done.wait()
        self._stop()
        for closer in self._closers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(closer(), CLOSE_TIME_S)
        return self._exit_code

    def leave(self) -> None:
        """Ends the shard after the current pass."""
        self._is_leaving = True
        self.request_pass()

    def request_pass(self) -> None:
        """Something came in (a socket callback): run a pass soon. Idempotent until that pass has run."""
        if not self._is_scheduled and self._loop is not None:
            self._is_scheduled = True
            self._loop.call_soon(self._scheduled_pass)

    # -- the pass -------------------------------------------------------------------------------------------

    def _on_wake(self) -> None:
        self._drain_wake()
        self._pass()  # At once: another turn of the loop costs 10 µs.

    def _on_timer(self) -> None:
        self._timer = None
        self._pass()

    def _scheduled_pass(self) -> None:
        self._is_scheduled = False
        self._pass()

    def _pass(self) -> None:
        """Passes until nothing is left to do, or for PASSES_TIME_MAX_NS."""
        if self._has_ended or self._is_in_pass:
            return
        self._is_in_pass = True
        try:
            self._run_passes()
        finally:
            self._is_in_pass = False

    def _run_passes(self) -> None:
        if self._is_asleep:
            self._is_asleep = False
            for each in self._inputs:
                each.cancel_sleep()
        first_ns = now_ns = self._monotonic_ns()
        while True:
            work = self._work(now_ns)
            if now_ns >= self._heartbeat_due_ns:
                self._heartbeat(now_ns)
            if self._has_ended or self._is_leaving or (self._orphaned_ns and self._has_left_orphaned(now_ns)):
                self._end()
                return
            is_done = self._waiter.may_sleep(work, now_ns)
            if not work:
                if is_done and not self._raise_flags():
                    break
                if self._use_quiet(now_ns) or not is_done:
                    break  # It took time, or is spinning: sockets want to be seen.
                self._sleep()
                return
            now_ns = self._monotonic_ns()
            if now_ns - first_ns > PASSES_TIME_MAX_NS:
                break
        self.request_pass()

    def _use_quiet(self, now_ns: int) -> bool:
        """Refreshes, glances or rehearses if it is time, after what came in is done: behind a tick that decided nothing, too.

        Who is about to sleep has its sleep flags up meanwhile: a writer rings, and hands over the core.
        """
        if now_ns < min(self._refresh_due_ns, self._glance_due_ns, self._rehearsal_due_ns):
            return False
        if self.parameters.hot_neighbours and self.parameters.is_hot:
            os.sched_yield()  # One of them may wait for this core: with a tick, perhaps.
        if now_ns >= self._refresh_due_ns:
            self._refresh(now_ns)
        elif now_ns >= self._glance_due_ns:
            self._glance(now_ns)
        else:
            self._rehearse(now_ns)
        return True

    def _refresh(self, now_ns: int) -> None:
        """The next few links."""
        first, links = self._refreshed, self._links
        try:
            for link in links[first : first + LINKS_AT_ONCE]:
                link.refresh(now_ns)
        except Exception as error:
            self._fail(error)
            self._end()
        self._refreshed = first + LINKS_AT_ONCE if first + LINKS_AT_ONCE < len(links) else 0
        self._refresh_due_ns = max(self._refresh_due_ns, now_ns - REFRESH_NS) + self._refresh_pause_ns  # Late ones catch up.

    def _rehearse(self, now_ns: int) -> None:
        """Plays the next rehearsal. A shard that sleeps between its passes has no other occasion until the next tick: its round
        goes on at once, behind a look at the sockets. What fails is not played again: nothing depends on it."""
        rehearsals = self._rehearsals
        self._last_rehearsal = number = (self._last_rehearsal + 1) % len(rehearsals)
        try:
            rehearsals[number]()
        except Exception as error:
            self._rehearsal_due_ns = NEVER_NS
            self._tell_cold("a rehearsal", error)
            return
        end_ns = self._monotonic_ns()
        self._rehearsed += 1
        self._rehearsed_ns += end_ns - now_ns
        if self._waiter.sleeps_at_once and self._rehearsed < len(rehearsals):
            self._rehearsal_due_ns = end_ns
        else:
            period_ns = self.parameters.rehearsal_ns * self._rehearsed // len(rehearsals)
            self._rehearsal_due_ns = max(now_ns + period_ns, end_ns + self._warm_pause * self._rehearsed_ns)
            self._rehearsed = self._rehearsed_ns = 0

    def _tell_cold(self, what: str, error: Exception) -> None:
        for cell in self._cells:
            cell.log.warning(f"{what} failed; the code will be cold", error=f"{type(error).__name__}: {error}")

    def _glance(self, now_ns: int) -> None:
        """Every role looks at what its next decision would look at, where it lies."""
        try:
            for glance in self._glances:
                glance()
        except Exception as error:
            self._glance_due_ns = NEVER_NS
            self._tell_cold("a glance", error)
            return
        end_ns = self._monotonic_ns()
        self._glance_due_ns = end_ns + self._warm_pause * (end_ns - now_ns)

    def _work(self, now_ns: int) -> int:
        work = 0
        self._passes += 1
        try:
            for duty in self._duties:
                if duty.is_awake or now_ns >= duty.due_ns or duty.unread():
                    work += self._enter(duty, now_ns)
        except Exception as error:  # A role's mistake ends the process, never the house: the supervisor restarts it.
            self._fail(error)
            self._end()
        if now_ns > self._refresh_due_ns + REFRESH_NS:  # It was never quiet.
            self._refresh(now_ns)
        return work

    def _enter(self, duty: Duty, now_ns: int) -> int:
        done = duty.do_work(now_ns)
        if done:
            duty.is_awake = True
            duty.done += done
            if duty.decides:  # The real thing warms better than any rehearsal.
                self._rehearsal_due_ns = max(self._rehearsal_due_ns, now_ns + self.parameters.rehearsal_ns)
        else:
            duty.is_awake = False
            duty.due_ns = min(duty.deadline_ns(now_ns), now_ns + self._pass_period_ns)
        return done

    def _raise_flags(self) -> bool:
        """Who writes to this shard from now on rings its bell. False: something is there already, and no flag is up."""
        ready = 0
        for each in self._inputs:
            if not each.prepare_sleep():
                break
            ready += 1
        if ready < len(self._inputs):
            for each in self._inputs[: ready + 1]:
                each.cancel_sleep()
            return False
        self._is_asleep = True
        return True

    def _sleep(self) -> None:
        """With its flags up: sees to it that it wakes in time, and leaves the rest to the loop."""
        self._sleeps += 1
        deadline_ns = NEVER_NS
        for duty in self._duties:
            deadline_ns = min(deadline_ns, 0 if duty.is_awake else duty.due_ns)
        if self._timer is not None:
            if self._timer_ns <= deadline_ns:
                return  # It fires early enough; an empty pass costs less than arming a timer at every wake-up.
            self._timer.cancel()
        assert self._loop is not None, "a pass runs inside the loop"
        now_ns = self._monotonic_ns()
        self._timer_ns = deadline_ns
        self._timer = self._loop.call_later(max(self._wait_s_min, (deadline_ns - now_ns) / 1e9), self._on_timer)

    def _heartbeat(self, now_ns: int) -> None:
        self._heartbeat_due_ns = now_ns + self._heartbeat_ns
        if self._waiter.wants_pressure(now_ns):
            pressure = self._pressure = self._pressure or Pressure()
            self._waiter.heed(pressure.waited_us(), now_ns)
        for cell, duty in zip(self._cells, self._duties, strict=True):
            view = cell.metrics.view
            view.heartbeat_ns = now_ns
            view.passes, view.sleeps = self._passes, self._sleeps
            if duty.done:
                view.work_done += duty.done
                duty.done = 0
            if view.life_state == LifeState.STARTING and cell.role.is_ready():
                view.life_state = LifeState.READY
                cell.log.info("ready", after_ms=(now_ns - self._started_ns) // 1_000_000)
            cell.metrics.publish()
        if not self._is_frozen and now_ns - self._started_ns > GC_FREEZE_AFTER_NS:
            self._is_frozen = True
            gc.collect()
            gc.freeze()
            gc.disable()
        if not self._orphaned_ns and os.getppid() != self._parent:
            self._on_orphaned(now_ns)

    # -- ends -----------------------------------------------------------------------------------------------

    def _end(self) -> None:
        self._has_ended = True
        self._done.set()

    def _start(self) -> None:
        now_ns = self._started_ns = self._monotonic_ns()
        for cell in self._cells:
            view = cell.metrics.view
            view.pid = os.getpid()
            view.started_ns = view.heartbeat_ns = now_ns
            view.life_state = LifeState.STARTING
            view.wait_policy = self.parameters.wait_policy
            cell.metrics.publish()
        for cell in reversed(self._cells):
            cell.role.on_start(now_ns)
        if not self._is_frozen:
            gc.freeze()  # What was imported is here to stay: the collection that follows (35 ms with it) has little to look at.

    def _stop(self) -> None:
        now_ns = self._monotonic_ns()
        for cell in self._cells:
            try:
                cell.role.on_stop(now_ns)
            except Exception as error:
                self._fail(error)
            if cell.metrics.view.life_state != LifeState.FAILED:
                cell.metrics.view.life_state = LifeState.STOPPED
            cell.metrics.publish()

    def _fail(self, error: Exception) -> None:
        self._exit_code = EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED
        sentence = str(error) if isinstance(error, TradeError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, TradeError):
            traceback.print_exception(error, file=sys.stderr)  # stderr of a role is its own file, never the user's screen.
        for cell in self._cells:
            cell.log.error("role failed", error=sentence)
            cell.metrics.fail(sentence)
            cell.metrics.publish()
        if not self._cells:
            print(sentence, file=sys.stderr)

    def _on_parent_signal(self) -> None:
        if os.getppid() != self._parent and not self._orphaned_ns:
            self._on_orphaned(self._monotonic_ns())
            self.request_pass()

    def _on_orphaned(self, now_ns: int) -> None:
        """The supervisor is gone. Roles that know how to end in order are asked to; the others have nothing to end."""
        self._orphaned_ns = now_ns
        for cell in self._cells:
            on_orphaned = getattr(cell.role, "on_orphaned", None)
            if on_orphaned is not None:
                on_orphaned(now_ns)

    def _has_left_orphaned(self, now_ns: int) -> bool:
        if now_ns - self._orphaned_ns > ORPHAN_TIME_MAX_NS:
            return True
        return all(_is_drained(cell.role) for cell in self._cells)


def _no_tick() -> int:
    return 0


def _drain(wake_fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(wake_fd, 8)


def _is_drained(role: Role) -> bool:
    is_drained: Callable[[], bool] | None = getattr(role, "is_drained", None)
    return True if is_drained is None else bool(is_drained())
