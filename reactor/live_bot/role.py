"""The live bot's door: a process of its own. The strategy has a thread, which computes and waits without the interpreter; the
main thread looks after everything that is not trading: links that meet, control, signals, the log, the end.

    main thread      meet links ─▶ control, parent, SIGTERM ─▶ notes → log ─▶ 10 ms ─▶ again   (the lock: only if it is free)
    strategy thread  load, compile ─▶ wait for books and reconciliation ─▶ strategy(hbt, …) ─▶ ended

How it ends: stop makes every wait return 1, the strategy leaves its loop, its orders are withdrawn, records are saved, and the
process stays, with a heartbeat, until it is told to leave. A strategy that returns or raises by itself is switched off the same
way; the session goes on without it.
"""

import gc
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import ControlKind, LifeState, Reason
from reactor.live_bot.core import BotCore, BotWires
from reactor.live_bot.counters import Counter
from reactor.live_bot.parameters import LiveBotParameters
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.loop.scheduler import go_first, watch_parent
from shm.clock import monotonic_ns
from shm.ring import NORMAL, Consumer

__all__ = ["Counter", "LiveBotParameters", "LiveBotPorts", "LiveBotRole"]

LOOK_S: Final = 0.01  # Contract of shm/ring.py: links are refreshed about every 10 ms.
LOCK_TRIES: Final = 8  # The strategy sleeps most of the time; whoever meets it computing comes again at the next look.
READY_AFTER_NS_MAX: Final = 20_000_000_000  # A long compilation does not hold up the session: the supervisor gives 30 s.
LEAVE_S: Final = 0.7  # The supervisor gives a second to leave.
ORPHAN_S: Final = 1.0
REFUSALS_NS: Final = 10_000_000_000  # Refusals are told this often, by reason.
CONTROL_STOP: Final = int(ControlKind.STOP)
TRACE_LINES: Final = 4


@dataclass
class LiveBotPorts:
    """What a bot is plugged into."""

    instruments: Instruments
    wires: BotWires
    metrics: Metrics
    log: Log
    links: Sequence[Any]  # everything that wants refresh
    is_reconciled: Callable[[], bool]  # prepost may trade
    control: Consumer | None = None
    source_index: int = 0
    directory: Path | None = None  # where records are saved; None: nowhere


class LiveBotRole:
    """One bot in its process."""

    def __init__(self, parameters: LiveBotParameters, ports: LiveBotPorts) -> None:
        parameters.check(ports.instruments)
        self.name = parameters.name
        self.parameters = parameters
        self._ports = ports
        self._log = ports.log
        self._metrics = ports.metrics
        self.core = BotCore(
            parameters.assets,
            [ports.instruments[asset.instrument_index] for asset in parameters.assets],
            ports.wires,
            ports.metrics,
            ports.source_index,
            parameters.strategy_index,
            parameters.orders_max,
            parameters.trades_kept,
            parameters.clock_speed,
        )
        self._thread = threading.Thread(target=self._trade, name=f"strategy {parameters.name}", daemon=True)
        self._notes: deque[tuple[str, str, dict[str, Any]]] = deque()  # from the strategy's thread to the log
        self._started_ns = 0
        self._meetings = 0  # with prepost
        self._refusals: dict[int, int] = {}
        self._refusals_ns = 0
        self._parent = os.getppid()
        self._is_leaving = False
        self._is_stopping = False
        self._is_ready = False
        self._has_ended = False
        self._config_error: ConfigError | None = None

    # -- the main thread

    def run(self) -> int:
        """The whole life of the process. Returns its exit code.

        Raises:
            ConfigError: the strategy cannot be loaded or compiled.
        """
        signal.signal(signal.SIGTERM, self._on_leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the supervisor decides.
        signal.signal(signal.SIGHUP, self._on_parent_signal)
        watch_parent()
        self._begin()
        while not self._is_leaving:
            self._look(monotonic_ns())
            if self._config_error is not None:
                self._metrics.fail(str(self._config_error))
                self._metrics.publish()
                raise self._config_error
            if os.getppid() != self._parent:
                self._log.warning("the supervisor is gone: leaving")
                self.core.stop()
                self._thread.join(ORPHAN_S)  # The engine cancels what is ours.
                break
            time.sleep(LOOK_S)
        self._end()
        return 0

    def _on_leave(self, number: int, frame: object) -> None:
        self._is_leaving = True
        self.core.stop()

    def _on_parent_signal(self, number: int, frame: object) -> None:
        """The loop looks at the parent."""

    def _begin(self) -> None:
        now_ns = self._started_ns = monotonic_ns()
        view = self._metrics.view
        view.pid, view.started_ns, view.heartbeat_ns = os.getpid(), now_ns, now_ns
        view.life_state = LifeState.STARTING
        self._metrics.publish()
        self._thread.start()

    def _look(self, now_ns: int) -> None:
        """One round of everything that is not trading."""
        if self._take_lock():
            try:
                self._look_locked(now_ns)
            finally:
                self.core.unlock()
        while self._notes:
            level, text, fields = self._notes.popleft()
            getattr(self._log, level)(text, **fields)

    def _take_lock(self) -> bool:
        for _ in range(LOCK_TRIES):
            if self.core.try_lock():
                return True
            time.sleep(LOOK_S / 20)
        return False

    def _look_locked(self, now_ns: int) -> None:
        core, ports = self.core, self._ports
        core.pump()  # So that a successor's ring is met with an empty one.
        for link in ports.links:
            link.refresh(now_ns)
        meetings = ports.wires.responses.meetings
        if meetings != self._meetings:
            if self._meetings:
                self._note("warning", "prepost was started again: open orders count as over", orders=core.forget())
            self._meetings = meetings
        self._take_control()
        if self._has_ended or self._is_stopping:
            core.withdraw()
        if not self._is_ready and (self._is_ready_now() or now_ns - self._started_ns > READY_AFTER_NS_MAX):
            self._is_ready = True
            self._metrics.view.life_state = LifeState.READY
            self._note("info", "ready", after_ms=(now_ns - self._started_ns) // 1_000_000)
        if now_ns - self._refusals_ns > REFUSALS_NS:
            self._refusals_ns = now_ns
            self._tell_refusals()
        core.beat()

    def _take_control(self) -> None:
        control = self._ports.control
        if control is None:
            return
        while (message := control.try_peek(NORMAL)) is not None:
            if message.header.kind == CONTROL_STOP:
                self._is_stopping = True
                self.core.stop()
            self._metrics.view.control_sequence = message.header.sequence
        control.release(NORMAL)

    def _is_ready_now(self) -> bool:
        return self._has_begun or self._has_ended

    def _tell_refusals(self) -> None:
        counts = self.core.refusals()
        for reason, count in counts.items():
            before = self._refusals.get(reason, 0)
            if count > before:
                name = Reason(reason).name.lower()
                self._note(
                    "warning", "risk rules refused orders of a strategy", strategy=self.name, reason=name, orders=count - before
                )
        self._refusals = counts

    def _end(self) -> None:
        """Waits a little for the strategy, withdraws what it left, says goodbye."""
        self._thread.join(LEAVE_S)
        if self._thread.is_alive():
            self._log.warning("the strategy does not return from its loop: left behind", strategy=self.name)
        elif self.core.try_lock():
            self.core.withdraw()
            self._metrics.view.life_state = LifeState.STOPPED
            self.core.beat()
            self.core.unlock()
        while self._notes:
            level, text, fields = self._notes.popleft()
            getattr(self._log, level)(text, **fields)
        self._metrics.publish()

    def _note(self, level: str, text: str, **fields: Any) -> None:
        self._notes.append((level, text, fields))

    # -- the strategy's thread

    _has_begun = False

    def _trade(self) -> None:
        recorder = None
        try:
            run, recorder = self._prepare()
            if self._wait_for_market():
                self._has_begun = True
                self._note("info", "strategy begins", strategy=self.name, function=self.parameters.function)
                gc.collect()
                gc.freeze()
                gc.disable()
                go_first(is_alone=False)  # Of this thread only: a compilation must not push the others off their cores.
                with self.core.locked():
                    run()
                self._note("info", "strategy has returned", strategy=self.name)
        except ConfigError as error:
            self._config_error = error
        except Exception as error:  # Somebody's strategy: its orders go, it is switched off, the session goes on.
            lines = " | ".join(line.strip() for line in traceback.format_exc().splitlines()[-TRACE_LINES:])
            traceback.print_exc()
            self._note(
                "error",
                "strategy switched off: it failed",
                strategy=self.name,
                error=f"{type(error).__name__}: {error}",
                at=lines,
            )
        finally:
            self._has_ended = True
            self.core.stop()
            self._save(recorder)

    def _prepare(self) -> tuple[Callable[[], None], Any]:
        """Loads and compiles. (the strategy ready to run, its recorder)"""
        try:
            from reactor.live_bot import records, strategy, surface
        except ModuleNotFoundError as error:
            raise ConfigError(f"live bot {self.name!r} needs {error.name}: pip install 'crypto-trade[backtest]'") from None
        begun_ns = monotonic_ns()
        parameters = self.parameters
        function = strategy.load_function(parameters.file, parameters.function)
        recorder = None
        if strategy.recorder_name(function, parameters.parameters):
            recorder = records.make_recorder(parameters.records_kept, len(parameters.assets))
        arguments = strategy.arguments_of(function, surface.LiveBot(self.core.address), recorder, parameters.parameters)
        run = strategy.compiled(function, arguments)
        took_ms = (monotonic_ns() - begun_ns) // 1_000_000
        self._note("info", "strategy compiled", strategy=self.name, function=parameters.function, took_ms=took_ms)
        return run, recorder

    def _wait_for_market(self) -> bool:
        """True: every book may be believed and prepost may trade. False: stopped before."""
        while not (self._is_leaving or self._is_stopping):
            with self.core.locked():
                if self.core.is_synchronised() and self._ports.is_reconciled():
                    return True
            time.sleep(LOOK_S)
        return False

    def _save(self, recorder: Any) -> None:
        if recorder is None or self._ports.directory is None:
            return
        from reactor.live_bot.records import save_records

        path = self._ports.directory / f"{self.name}.npz"
        try:
            rows = save_records(recorder, path)
        except OSError as error:
            self._note("warning", "records cannot be saved", path=str(path), error=str(error))
        else:
            self._note("info", "records saved", path=str(path), rows=rows)
