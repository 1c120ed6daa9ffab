"""One session of one instance, from an empty run directory to the report.

    prepare     lock, leftovers, log, simulated exchange, account, instruments, plan
    run         start roles behind their gates, watch heartbeats, restart, write the log, answer the control socket
    stop        lifecycle.StopSequence: drain, confirm with the venue, leave, close
    report      what prepost counted, and what the exchange says

The exit code is 0 only if the venue itself confirmed that nothing of ours is open and that our books are its books
(final_report.py has the others). What stands beside: the simulated exchange (exchange_process.py), what is asked first
(survey.py), the processes (crew.py), what an operator may ask meanwhile (operator_requests.py), the end in figures
(final_report.py).
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from reactor.config.assemble import assemble, symbols_by_venue
from reactor.config.host import this_host
from reactor.config.plan import SUPERVISOR, Plan, write_plan
from reactor.config.schema import Config
from reactor.config.secrets import Secrets, read_token
from reactor.domain.errors import ConfigError
from reactor.domain.ids import ClientIds
from reactor.domain.messages import ControlKind
from reactor.exchanges.venue import Credentials
from reactor.loop.clock import SystemClock
from reactor.loop.log import Level
from reactor.monitor.reader import Picture, Reader
from reactor.monitor.report import Report
from reactor.supervisor.awake import cores_awake
from reactor.supervisor.cancel_all import Confirmation, cancel_ours, confirm
from reactor.supervisor.control import ControlServer
from reactor.supervisor.crew import Crew, CrewPorts
from reactor.supervisor.exchange_process import NAME as SIM
from reactor.supervisor.exchange_process import ExchangeProcess
from reactor.supervisor.final_report import exit_code, fill_comparison, fill_confirmation, fill_figures
from reactor.supervisor.instance import Instance
from reactor.supervisor.lifecycle import RESTARTED_IN_STOP, Lifecycle, RoleState, StopSequence, StopStep
from reactor.supervisor.log_file import LogFile, SupervisorLog, echo_stream
from reactor.supervisor.notify import are_fresh, for_this_process
from reactor.supervisor.operator_requests import OperatorRequests
from reactor.supervisor.processes import Processes, environment_without
from reactor.supervisor.survey import credentials_of, endpoints_in, fetch_instruments, put_journal_aside, show_account
from reactor.supervisor.venue_desk import VenueDesk
from shm.segment import Memory
from shm.wake import Bell

if TYPE_CHECKING:
    from reactor.supervisor.watch import MetricsPage

TICK_S = 0.02  # While a role is missing: what it needs next is given within this time.
CALM_TICK_S = 0.05  # While all are there. A death is told by the kernel; a tick costs 0.3 ms of a core that may be a hot one.
PICTURE_S = 0.5
SUMMARY_S = 10.0  # A summary line in the log, for who has no terminal.
START_PATIENCE_S = 3.0  # Who is told to stop while it prepares may finish the request that is under way.
EXCHANGE_LEAVES_S = 2.0


class View(Protocol):
    """Who watches: the dashboard, or nobody."""

    def say(self, sentence: str) -> None:
        """Something the trader should read."""

    def show(self, picture: Picture, state: str) -> None:
        """The newest picture."""


class NoView:
    """Nobody watches."""

    def say(self, sentence: str) -> None: ...
    def show(self, picture: Picture, state: str) -> None: ...


@dataclass(frozen=True)
class SessionOptions:
    """What the command line adds to the config."""

    duration_s: float = 0.0  # 0: the config's
    is_quiet: bool = False  # no log lines on stdout
    reload: Callable[[], Config] | None = None  # reads the config again, for `reload`


class Session:
    """One run of the supervisor."""

    def __init__(self, config: Config, options: SessionOptions, view: View | None = None) -> None:
        self.config = config
        self._options = options
        self._has_view = view is not None
        self._view: View = view or NoView()
        self._clock = SystemClock()
        self._instance = Instance(config.system.instance)
        self._processes = Processes(self._instance.directory)
        self._bells: dict[str, Bell] = {}
        self.desks: list[VenueDesk] = []
        self._background: set[asyncio.Task[Any]] = set()
        self.state = "starting"
        self._stopping = asyncio.Event()
        self._stirred = asyncio.Event()  # A child has ended, or a stop is asked for: no use in waiting for the next tick.
        self._is_flatten = False
        self._failure = ""
        self._signals = 0
        self._page: MetricsPage | None = None
        self._exchange: ExchangeProcess | None = None
        self._stopped_by = ""
        self._drained_ms = 0  # wall clock: when the roles had their last word from the venues
        self._notifier = for_this_process()
        self.report = Report(instance=config.system.instance, profile=config.profile)

    # -- the whole way ---------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Runs the session. Returns the exit code.

        Raises:
            TradeError, SegmentError: it could not even start; nothing was sent.
        """
        self._instance.acquire()
        try:
            return await self._run_locked()
        finally:
            self._processes.kill_all()
            self._instance.release()

    async def _run_locked(self) -> int:
        started = time.monotonic()
        ended = self._instance.end_leftovers()
        system = self.config.system
        home = system.home
        self._file = LogFile(
            home / "log.jsonl",
            system.log.file_size_mb_max << 20,
            None if self._options.is_quiet else echo_stream(),
            self._view.say,
        )
        self._log = SupervisorLog(self._file, self._clock, Level[system.log.level.upper()])
        for line in ended:
            self._log.warning("a process of a killed predecessor was still there", what=line)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGCHLD, self._stirred.set)
        try:
            async with aiohttp.ClientSession() as http:
                await self._prepare_or_stop(http)
                with cores_awake(system.placement.keep_awake) as how:
                    self._log.info("idle cores", how=how)
                    try:
                        await self._watch()
                    finally:
                        await self._stop()
                self.report.duration_s = time.monotonic() - started
                await self._close()
        finally:
            self._file.close()
        self._instance.leave_code(self.report.exit)
        return self.report.exit

    # -- prepare ---------------------------------------------------------------------------------------------

    async def _prepare_or_stop(self, http: aiohttp.ClientSession) -> None:
        """Prepares; whoever stops us meanwhile does not wait for a venue that does not answer.

        Raises:
            ConfigError: stopped before anything could be sent.
        """
        preparing = asyncio.ensure_future(self._prepare(http))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((preparing, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not preparing.done():
                await asyncio.wait((preparing,), timeout=START_PATIENCE_S)
            if not preparing.done():
                raise ConfigError(f"{self._stopped_by} while starting: the venue had not answered yet; no order was sent")
            preparing.result()
        finally:
            stopping.cancel()
            preparing.cancel()
            await asyncio.wait((preparing, stopping))

    async def _prepare(self, http: aiohttp.ClientSession) -> None:
        """What the roles stand on: memory, an exchange, its instruments, the plan, who watches them, who may ask."""
        self._take_memory()
        binance, external = self.config.exchanges.binance, self.config.strategy.external
        keys, credentials = binance.credentials, credentials_of(self.config)
        secrets = Secrets(credentials, read_token(os.environ, external.token_variable, external.token_file))
        environment = environment_without((keys.api_key_variable, keys.secret_variable, external.token_variable))
        has_sim = binance.environment == "simulated" and not binance.simulated.base_url
        base_url = await self._start_exchange(environment) if has_sim else binance.simulated.base_url
        await self._ask_venues(http, base_url, credentials)
        self.plan = self._make_plan(self.config, 0)
        for note in self.plan.notes:
            self._log.info("placement", shard=note)
        self._gather_crew(secrets, environment)
        await self._open_doors()

    def _take_memory(self) -> None:
        self._memory = Memory(self.config.system.instance, SUPERVISOR)
        removed = self._memory.remove_stale_resources()
        if removed:
            self._log.info("shared memory of dead processes removed", nodes=removed)
        for warning in self._memory.warnings:
            self._log.warning("memory is not locked", reason=warning)

    async def _start_exchange(self, environment: dict[str, str]) -> str:
        """The simulated exchange, which knows nothing of yesterday's journal. Returns where its spot venue listens."""
        simulated = self.config.exchanges.binance.simulated
        put_journal_aside(self.config.system.home / "journal.sqlite")
        self._exchange = ExchangeProcess(self._processes, self._instance.directory, self._file)
        spot_port = await self._exchange.start(simulated, environment, symbols_by_venue(self.config))
        self._instance.note_pids(self._processes.table())
        self._log.info("simulated exchange listens", spot_port=spot_port, usdm_port=spot_port + 1, source=simulated.source)
        return f"http://127.0.0.1:{spot_port}"

    async def _ask_venues(self, http: aiohttp.ClientSession, base_url: str, credentials: Credentials) -> None:
        """Our own line to each venue, and what it says of its instruments and of us."""
        ids = ClientIds(self.config.system.order_id_prefix)
        self._endpoints = [endpoints_in(self.config, venue, base_url) for venue in self.config.exchanges.binance.venues]
        self.desks = [VenueDesk(http, each, credentials, ids) for each in self._endpoints]
        self._instruments, self._rate_limits = await fetch_instruments(self.config, self.desks)
        await show_account(self.desks, self._log)

    def _gather_crew(self, secrets: Secrets, environment: dict[str, str]) -> None:
        """Who starts and watches the processes of the plan. The simulated exchange runs already."""
        kinds = [(role.name, role.kind) for role in self.plan.roles]
        has_sim = self._exchange is not None
        self._lifecycle = Lifecycle([*kinds, (SIM, SIM)] if has_sim else kinds, self.config.system.restart)
        if has_sim:
            now_ns = self._clock.monotonic_ns()
            self._lifecycle.on_started(SIM, now_ns)
            self._lifecycle.on_ready(SIM, now_ns)
        self.reader = Reader(self.plan, self._memory)
        self._crew = Crew(
            self.plan,
            CrewPorts(
                self._lifecycle,
                self._processes,
                self._instance,
                self._memory,
                self._bells,
                self.reader,
                secrets,
                environment,
                self._file,
                self._log,
                self._exchange,
                lambda role: self._start(self._cancel_after_death(role)),
                self._on_give_up,
            ),
        )

    async def _open_doors(self) -> None:
        """The operator's socket, and the page of metrics where one is wanted."""
        self._server = ControlServer(self._instance.directory / "control", OperatorRequests(self).answer)
        await self._server.open()
        metrics = self.config.system.metrics
        if metrics.port:
            token = os.environ.get(metrics.token_variable, "") if metrics.token_variable else ""
            if metrics.token_variable and not token:
                raise ConfigError(f"system.metrics.token_variable: {metrics.token_variable} is not set in the environment")
            from reactor.supervisor.watch import MetricsPage  # Here: a web server comes with it, and few want the page.

            self._page = MetricsPage(self._take_picture, self.config.system.instance, token)
            await self._page.open(metrics.address, metrics.port)

    def _make_plan(self, config: Config, generation: int) -> Plan:
        plan = assemble(
            config,
            self._instruments,
            self._endpoints,
            self._rate_limits,
            this_host(),
            str(self._instance.directory),
            self._bell,
            generation,
        )
        write_plan(plan, self._instance.directory / f"plan.{generation}")
        return plan

    def _bell(self, shard: str) -> int:
        if shard not in self._bells:
            self._bells[shard] = Bell.make()
        return self._bells[shard].fd

    # -- run -------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        duration_s = self._options.duration_s or self.config.system.duration_s
        running_since = 0.0
        next_picture = next_summary = 0.0
        while not self._stopping.is_set():
            self._stirred.clear()
            self._crew.tick()
            now = time.monotonic()
            is_complete = self._lifecycle.is_running()
            if is_complete and not running_since:
                running_since = now
                self._log.info("all roles are ready")
                self._notifier.ready()
            if now >= next_picture:
                next_picture = now + PICTURE_S
                self.state = self._describe(now, running_since, duration_s)
                if self._has_view:
                    self._view.show(self._take_picture(), self.state)
                if running_since:
                    self._feed_watchdog(now)
            if running_since and now >= next_summary:
                next_summary = now + SUMMARY_S
                self._summary()
            if duration_s and running_since and now - running_since >= duration_s:
                self.ask_stop("the planned duration is over", self.config.system.flatten_after_duration)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CALM_TICK_S if is_complete else TICK_S):
                    await self._stirred.wait()

    def _feed_watchdog(self, now: float) -> None:
        heartbeats = [int(self.reader.metrics(role.name).heartbeat_ns) for role in self.plan.roles]
        if are_fresh(heartbeats, self._clock.monotonic_ns()):
            self._notifier.alive(now, "running")

    async def _feed_while_stopping(self) -> None:
        """The stop sequence keeps its own times, and systemd its TimeoutStopSec; roles may be gone."""
        while True:
            self._notifier.alive(time.monotonic(), "stopping")
            await asyncio.sleep(PICTURE_S)

    def _describe(self, now: float, running_since: float, duration_s: float) -> str:
        if not running_since:
            waiting = [life.name for life in self._lifecycle.roles.values() if life.state != RoleState.READY]
            return f"starting: {', '.join(waiting)}" if waiting else "starting"
        passed = now - running_since
        return f"running {passed:.0f} s" + (f" of {duration_s:.0f}" if duration_s else "")

    async def _cancel_after_death(self, role: str) -> None:
        answer = await cancel_ours(self.desks)
        self._log.warning(
            "orders of ours cancelled over REST after a death",
            name=role,
            cancelled=answer.cancelled,
            still_open=len(answer.ours),
            problems=" | ".join(answer.problems),
        )

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._on_background_done)

    def _on_background_done(self, task: "asyncio.Task[Any]") -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("a task of the supervisor failed", error=repr(task.exception()))

    def _take_picture(self) -> Picture:
        """Only for who looks: it takes milliseconds, and on a full host a tick may be waiting for the core."""
        return self.reader.picture(self._clock.monotonic_ns())

    def _summary(self) -> None:
        picture = self._take_picture()
        risk, internal = picture.risk, picture.latency_us.get("internal")
        self._log.info(
            "summary",
            state=self.state,
            kill_switch=picture.kill_switch,
            orders=risk["orders"],
            fills=risk["fills"],
            rejects=risk["rejects"],
            refusals=risk["refusals"],
            pairs_opened=risk["pairs_opened"],
            pairs_closed=risk["pairs_closed"],
            open_orders=risk["open_orders"],
            net_exposure_usdt=risk["net_exposure_e8"] / 1e8,
            realised_pnl_usdt=risk["realised_pnl_e8"] / 1e8,
            internal_us_p50=None if internal is None else internal.p50,
            memory_mb=round(sum({role.pid: role.memory_mb for role in picture.roles}.values())),
        )

    # -- control ---------------------------------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        self._signals += 1
        name = signal.Signals(number).name
        if self._signals == 1:
            self.ask_stop(name)
        else:
            self._log.warning("already stopping; open orders of ours are being cancelled", signal=name)

    def ask_stop(self, reason: str, flatten: bool = False) -> None:
        if not self._stopping.is_set():
            self._stopped_by = reason
            self._is_flatten = flatten
            self._log.info("stopping", reason=reason, flatten=flatten)
            self._stopping.set()
            self._stirred.set()

    def _on_give_up(self, sentence: str) -> None:
        if not self._failure:
            self._failure = sentence
            self.ask_stop(sentence)

    def tell(self, kind: int, text: str, kinds: tuple[str, ...], generation: int = 0) -> int:
        """Tells every role of these kinds. Returns how many could be told."""
        return self._crew.tell(kind, text, kinds, generation)

    def deaths(self) -> dict[str, int]:
        """How often each role died, where it did."""
        return self._crew.deaths()

    @property
    def is_stopping(self) -> bool:
        """It has been asked to stop."""
        return self._stopping.is_set()

    @property
    def log_path(self) -> Path:
        """The log file."""
        return self._file.path

    def read_config(self) -> Config | None:
        """The config as it stands in the files now; None: there is none to read again.

        Raises:
            ConfigError: with everything that is wrong with it.
        """
        return self._options.reload() if self._options.reload is not None else None

    def take_config(self, config: Config) -> int:
        """Makes a config, of which only what can be reloaded differs, ours. Returns how many roles were told.

        Raises:
            ConfigError: a room refuses its parameters; nothing has changed.
        """
        plan = self._make_plan(config, self.plan.generation + 1)
        self.config = config
        self.plan = self._crew.plan = plan
        told = self.tell(ControlKind.RELOAD, "operator", ("prepost", "collector", "feed"), plan.generation)
        self._log.info("config reloaded", generation=plan.generation, roles=told)
        return told

    # -- stop ------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        system = self.config.system
        self.state = "stopping"
        self._notifier.stopping(self.state)
        self._start(self._feed_while_stopping())
        sequence = StopSequence(system.stop, self._is_flatten, self._clock.monotonic_ns())
        try:
            await self._drain(sequence)
        except Exception as error:  # Whatever is broken in here, the next step cancels what is ours.
            self._log.error("draining failed", error=repr(error))
            sequence.step = StopStep.CONFIRMING
        self._drained_ms = time.time_ns() // 1_000_000
        self._tell_what_is_missing(sequence)
        self._log.info("drained" if sequence.is_drained else "could not drain in order; cancelling over REST")
        confirmation = await cancel_ours(self.desks)
        sequence.done(StopStep.CONFIRMING)
        await self._crew.leave(system.stop.leave_ms / 1000)
        if confirmation.cancelled or not sequence.is_drained:
            # The roles are gone: nobody can have placed anything after this answer.
            confirmation = await cancel_ours(self.desks)
        else:
            confirmation = await confirm(self.desks)
            if confirmation.ours:
                confirmation = await cancel_ours(self.desks)
        sequence.done(StopStep.LEAVING)
        await self._write_report(confirmation)
        await self._crew.end_exchange(EXCHANGE_LEAVES_S)
        sequence.done(StopStep.CLOSING)

    async def _drain(self, sequence: StopSequence) -> None:
        """Prepost and the engine end in order, if they can; who has died comes back for that, if there is time."""
        lifecycle = self._lifecycle
        told = 0  # which incarnation of prepost knows that it is over
        while sequence.step == StopStep.DRAINING:
            self._crew.tick(RESTARTED_IN_STOP)
            can_drain = lifecycle.can_drain()
            # A stop is told to a prepost without an engine too: nothing opens when that comes back. Closing needs the engine.
            can_tell = can_drain or (lifecycle.is_alive("prepost") and not self._is_flatten)
            if can_tell and told != self._incarnation("prepost"):
                told = self._incarnation("prepost")
                self.tell(ControlKind.STOP, self._stopped_by[:50], ("live_bot",))  # They wish nothing any more.
                if self._is_flatten:
                    self.tell(ControlKind.FLATTEN, self._stopped_by[:50], ("prepost",))
                self.tell(ControlKind.STOP, self._stopped_by[:50], ("prepost",))  # Taken when it is flat.
            risk = self.reader.risk()
            is_clean = bool(told and risk.venue_confirmed_clean and risk.is_reconciled) and not lifecycle.is_returning(
                "journal"
            )
            now_ns = self._clock.monotonic_ns()
            if sequence.advance(can_drain, is_clean, now_ns, may_drain=lifecycle.may_drain()) == StopStep.DRAINING:
                await asyncio.sleep(TICK_S)

    def _incarnation(self, kind: str) -> int:
        return sum(life.incarnation for life in self._lifecycle.roles.values() if life.kind == kind)

    def _tell_what_is_missing(self, sequence: StopSequence) -> None:
        """Plainly, where something may have been sent and the way out was cut short."""
        missing = [life.name for life in self._lifecycle.roles.values() if life.deaths and life.state != RoleState.READY]
        if sequence.is_drained or not self._incarnation("prepost"):
            return
        why = f"{', '.join(missing)} had died and was not back" if missing else "prepost could not bring our books to the end"
        limit = f"within the {sequence.limit_ms / 1000:g} s that a stop waits"
        self.report.problems.append(f"{why} {limit}: fills that nobody heard are booked by the next start")

    async def _write_report(self, confirmation: Confirmation) -> None:
        report = self.report
        picture = self._take_picture()
        fill_figures(report, picture)
        report.restarts = self._crew.deaths()
        fill_confirmation(report, confirmation)
        are_books_equal = True
        if (self.config.system.home / "journal.sqlite").exists():  # Without one no role has traded: stopped while starting.
            are_books_equal = await fill_comparison(
                report, self.plan, self._instruments, self.desks, self._drained_ms, self._log
            )
        if self._failure:
            report.problems.append(self._failure)
        if self._exchange is not None:
            report.notices += self._exchange.notices
        report.exit = exit_code(confirmation, self._failure, are_books_equal=are_books_equal)
        self._log.info("session ended", exit=report.exit, open_orders=report.open_orders)

    async def _close(self) -> None:
        await self._server.close()
        if self._page is not None:
            await self._page.close()
        for task in list(self._background):
            task.cancel()
        self._crew.move_log()
        if self._exchange is not None:
            self._exchange.close()
        self._memory.close()
        for bell in self._bells.values():
            os.close(bell.fd)
        self._notifier.close()
