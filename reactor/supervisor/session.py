"""One session of one instance, from an empty run directory to the report.

    prepare     lock, leftovers, log, simulated exchange, account, instruments, plan
    run         start roles behind their gates, watch heartbeats, restart, write the log, answer the control socket
    stop        lifecycle.StopSequence: drain, confirm with the venue, leave, close
    report      what prepost counted, and what the exchange says

The exit code is 0 only if the venue itself confirmed that nothing of ours is open. What stands beside: the simulated
exchange (exchange_process.py), what an operator may ask meanwhile (operator_requests.py), the end in figures (final_report.py).
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from reactor.config.assemble import assemble, symbols_by_venue
from reactor.config.host import this_host
from reactor.config.plan import SUPERVISOR, Plan, ShardPlan, write_plan
from reactor.config.schema import Config
from reactor.config.secrets import SIMULATED_KEY, Secrets, hand_over, read_credentials, read_token
from reactor.domain.errors import ConfigError
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import VENUE_NAMES, Instrument, Instruments
from reactor.domain.messages import ControlKind, LifeState, clear, put_text, text_of
from reactor.exchanges.binance.rules import endpoints_at, endpoints_of
from reactor.exchanges.venue import Credentials, Endpoints, RateLimit
from reactor.loop.clock import SystemClock
from reactor.loop.log import Level
from reactor.loop.shard import EXIT_CONFIG
from reactor.monitor.reader import Picture, Reader
from reactor.monitor.report import Report
from reactor.supervisor.cancel_all import Confirmation, cancel_ours, confirm
from reactor.supervisor.control import ControlServer
from reactor.supervisor.exchange_process import NAME as SIM
from reactor.supervisor.exchange_process import ExchangeProcess
from reactor.supervisor.final_report import exit_code, fill_comparison, fill_confirmation, fill_figures
from reactor.supervisor.instance import Instance
from reactor.supervisor.lifecycle import Consequence, Lifecycle, RoleState, StopSequence, StopStep
from reactor.supervisor.log_file import LogFile, SupervisorLog, drain, echo_stream
from reactor.supervisor.operator_requests import OperatorRequests
from reactor.supervisor.processes import Processes, environment_without
from reactor.supervisor.venue_desk import VenueDesk
from reactor.supervisor.watch import MetricsPage
from reactor.wiring import open_consumer_of, open_producer_of
from shm.ring import Consumer, Producer
from shm.segment import Memory
from shm.wake import Bell

TICK_S = 0.02  # How fast a death is seen; a tick costs about 100 µs.
PICTURE_S = 0.5
SUMMARY_S = 10.0  # A summary line in the log, for who has no terminal.
START_PATIENCE_S = 3.0  # Who is told to stop while it prepares may finish the request that is under way.
JOURNALS_KEPT = 10  # Of earlier sessions on a simulated exchange.


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
        self._view: View = view or NoView()
        self._clock = SystemClock()
        self._instance = Instance(config.system.instance)
        self._processes = Processes(self._instance.directory)
        self._bells: dict[str, Bell] = {}
        self._controls: dict[str, Producer] = {}
        self._logs: list[tuple[str, Consumer]] = []
        self.desks: list[VenueDesk] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._control_number = 0
        self.state = "starting"
        self._stopping = asyncio.Event()
        self._is_flatten = False
        self._failure = ""
        self._signals = 0
        self._page: MetricsPage | None = None
        self._exchange: ExchangeProcess | None = None
        self._picture = Picture()
        self._stopped_by = ""
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
        try:
            async with aiohttp.ClientSession() as http:
                await self._prepare_or_stop(http)
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
        system, binance = self.config.system, self.config.exchanges.binance
        self._memory = Memory(system.instance, SUPERVISOR)
        removed = self._memory.remove_stale_resources()
        if removed:
            self._log.info("shared memory of dead processes removed", nodes=removed)
        for warning in self._memory.warnings:
            self._log.warning("memory is not locked", reason=warning)
        self._credentials = self._read_credentials()
        external = self.config.strategy.external
        self._external_token = read_token(os.environ, external.token_variable, external.token_file)
        has_sim = binance.environment == "simulated" and not binance.simulated.base_url
        if has_sim:
            put_journal_aside(system.home / "journal.sqlite")
        base_url = binance.simulated.base_url
        if has_sim:
            self._exchange = ExchangeProcess(self._processes, self._instance.directory, self._file)
            spot_port = await self._exchange.start(binance.simulated, self._child_environment(), symbols_by_venue(self.config))
            self._note_pids()
            source = binance.simulated.source
            self._log.info("simulated exchange listens", spot_port=spot_port, usdm_port=spot_port + 1, source=source)
            base_url = f"http://127.0.0.1:{spot_port}"
        endpoints = [self._endpoints(venue, base_url) for venue in binance.venues]
        ids = ClientIds(system.order_id_prefix)
        self.desks = [VenueDesk(http, each, self._credentials, ids) for each in endpoints]
        instruments, rate_limits = await self._fetch_instruments()
        await self._show_account()
        self._endpoints_used, self._rate_limits = endpoints, rate_limits
        self._instruments = Instruments(instruments)
        self.plan = self._make_plan(self.config, 0)
        for note in self.plan.notes:
            self._log.info("placement", shard=note)
        kinds = [(role.name, role.kind) for role in self.plan.roles]
        self._lifecycle = Lifecycle([*kinds, (SIM, SIM)] if has_sim else kinds, system.restart)
        if has_sim:
            now_ns = self._clock.monotonic_ns()
            self._lifecycle.on_started(SIM, now_ns)
            self._lifecycle.on_ready(SIM, now_ns)
        self.reader = Reader(self.plan, self._memory)
        for link in self.plan.links:
            if link.producer == SUPERVISOR:
                bell = self.plan.shard_of(link.consumer).wake_fd
                self._controls[link.consumer] = open_producer_of(self._memory, link, bell)
            elif link.consumer == SUPERVISOR:
                self._logs.append((link.producer, open_consumer_of(self._memory, link)))
        self._server = ControlServer(self._instance.directory / "control", OperatorRequests(self).answer)
        await self._server.open()
        metrics = system.metrics
        if metrics.port:
            token = os.environ.get(metrics.token_variable, "") if metrics.token_variable else ""
            if metrics.token_variable and not token:
                raise ConfigError(f"system.metrics.token_variable: {metrics.token_variable} is not set in the environment")
            self._page = MetricsPage(lambda: self._picture, system.instance, token)
            await self._page.open(metrics.address, metrics.port)

    def _read_credentials(self) -> Credentials:
        binance = self.config.exchanges.binance
        keys = binance.credentials
        if binance.environment in ("simulated", "paper") and not keys.file and not os.environ.get(keys.api_key_variable):
            return SIMULATED_KEY
        return read_credentials(os.environ, keys.api_key_variable, keys.secret_variable, keys.file)

    def _endpoints(self, venue_name: str, base_url: str) -> Endpoints:
        binance = self.config.exchanges.binance
        venue = VENUE_NAMES.index(venue_name)
        own = binance.addresses.get(venue_name)
        if own is not None:
            return Endpoints(venue, own.rest_url, own.orders_url, own.public_url, own.market_url, own.private_url)
        if base_url:
            return endpoints_at(venue, _port_shifted(base_url, 0 if venue_name == "binance_spot" else 1))
        return endpoints_of(venue, binance.environment)

    async def _fetch_instruments(self) -> tuple[list[Instrument], dict[int, tuple[RateLimit, ...]]]:
        wanted = symbols_by_venue(self.config)
        instruments: list[Instrument] = []
        limits: dict[int, tuple[RateLimit, ...]] = {}
        for desk in self.desks:
            symbols = wanted[desk.name]
            await desk.synchronise()
            fees = await desk.fees(symbols)
            info = await desk.exchange_info(symbols, len(instruments), fees)
            instruments += info.instruments
            limits[desk.line.venue] = info.rate_limits
        return instruments, limits

    async def _show_account(self) -> None:
        """The start-up page: what the account has, before the first order may go out."""
        for desk in self.desks:
            balances = [each for each in await desk.balances() if each.free_e8 or each.locked_e8]
            orders = await desk.open_orders()
            ours = [order for order in orders if order.is_ours]
            foreign = [order for order in orders if not order.is_ours]
            positions = await desk.positions()
            self._log.info(
                "account",
                venue=desk.name,
                balances=", ".join(f"{each.asset} {(each.free_e8 + each.locked_e8) / 1e8:g}" for each in balances) or "nothing",
                positions=", ".join(f"{each.symbol} {each.quantity_e8 / 1e8:g}" for each in positions) or "none",
                open_orders_ours=len(ours),
                open_orders_foreign=len(foreign),
                clock_offset_ms=desk.clock_offset_ms,
            )

    def _make_plan(self, config: Config, generation: int) -> Plan:
        plan = assemble(
            config,
            self._instruments,
            self._endpoints_used,
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
            self._tick()
            now = time.monotonic()
            if self._lifecycle.is_running() and not running_since:
                running_since = now
                self._log.info("all roles are ready")
            if now >= next_picture:
                next_picture = now + PICTURE_S
                self.state = self._describe(now, running_since, duration_s)
                self._take_picture()
            if running_since and now >= next_summary:
                next_summary = now + SUMMARY_S
                self._summary()
            if duration_s and running_since and now - running_since >= duration_s:
                self.ask_stop("the planned duration is over", self.config.system.flatten_after_duration)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_S)

    def _describe(self, now: float, running_since: float, duration_s: float) -> str:
        if not running_since:
            waiting = [life.name for life in self._lifecycle.roles.values() if life.state != RoleState.READY]
            return f"starting: {', '.join(waiting)}" if waiting else "starting"
        passed = now - running_since
        return f"running {passed:.0f} s" + (f" of {duration_s:.0f}" if duration_s else "")

    def _tick(self) -> None:
        """Everything periodic: reap, read life signs, start what is due, move the log."""
        now_ns = self._clock.monotonic_ns()
        for name, code in self._processes.reap():
            self._on_death(name, code)
        self.reader.refresh(now_ns)
        for producer in self._controls.values():
            producer.refresh(now_ns)
        for _, consumer in self._logs:
            consumer.refresh(now_ns)
        heartbeats = {}
        for role in self.plan.roles:
            row = self.reader.metrics(role.name)
            shard = self.plan.shard_of(role.name).name
            if row.pid == self._processes.pid(shard) and row.pid:
                heartbeats[role.name] = int(row.heartbeat_ns)
                if row.life_state == LifeState.READY and self._lifecycle.on_ready(role.name, now_ns):
                    self._log.info("role is ready", name=role.name)
        for name in self._lifecycle.hung(heartbeats, now_ns):
            self._log.error("role gives no sign of life; it is killed", name=name)
            self._processes.kill(self.plan.shard_of(name).name)
        if not self._stopping.is_set():
            self._start_due(now_ns)
        self._move_log()

    def _move_log(self) -> None:
        """What the roles and the simulated exchange have said goes into our log."""
        drain(self._logs, self._file)
        if self._exchange is not None:
            self._exchange.drain()
        self._file.flush()

    def _start_due(self, now_ns: int) -> None:
        due = set(self._lifecycle.due_starts(now_ns))
        for shard in self.plan.shards:
            # A shard of several roles starts when all of them may; their gates lie inside the shard anyway.
            if self._processes.is_alive(shard.name) or not due.intersection(shard.roles):
                continue
            if any(self._lifecycle.roles[name].state == RoleState.BACKOFF for name in shard.roles):
                continue
            self._spawn(shard)
            for name in shard.roles:
                self._lifecycle.on_started(name, now_ns)

    def _spawn(self, shard: ShardPlan) -> None:
        arguments = ["-m", "reactor.wiring", str(self._plan_path()), shard.name]
        fds = [bell.fd for bell in self._bells.values()]
        close_after: list[int] = []
        kinds = {self.plan.role(name).kind for name in shard.roles}
        if kinds & {"engine", "collector"}:
            secrets = Secrets(
                self._credentials if "engine" in kinds else None, self._external_token if "collector" in kinds else b""
            )
            secret = hand_over(secrets)
            arguments.append(str(secret))
            fds.append(secret)
            close_after.append(secret)
        if any(self._lifecycle.roles[name].incarnation for name in shard.roles):
            self._memory.remove_stale_resources()
        self._processes.spawn(shard.name, arguments, fds, self._child_environment(), close_after)
        self._note_pids()

    def _plan_path(self) -> Path:
        return self._instance.directory / f"plan.{self.plan.generation}"

    def _child_environment(self) -> dict[str, str]:
        keys, external = self.config.exchanges.binance.credentials, self.config.strategy.external
        return environment_without((keys.api_key_variable, keys.secret_variable, external.token_variable))

    def _note_pids(self) -> None:
        self._instance.note_pids(self._processes.table())

    def _on_death(self, name: str, code: int) -> None:
        now_ns = self._clock.monotonic_ns()
        self._note_pids()
        roles = (name,) if name == SIM else self.plan.shard(name).roles
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        is_told = False
        for role in roles:
            life = self._lifecycle.roles.get(role)
            if life is None:
                continue
            was_wanted = life.state not in (RoleState.STOPPED, RoleState.FAILED)
            consequence = self._lifecycle.on_died(role, now_ns, is_config=code == EXIT_CONFIG)
            if not was_wanted:
                continue
            sentence = self._why(name, role) if code > 0 else ""
            if not is_told or name == role:
                is_told = True
                self._log.error("role died", name=role if len(roles) == 1 else name, how=how, why=sentence)
                self._keep_traceback(name)
            if consequence == Consequence.CANCEL_OURS:
                self._start(self._cancel_after_death(role))
            elif consequence == Consequence.END_SESSION and not self._failure:
                self._failure = f"{role if len(roles) == 1 else name} gave up: {sentence or how}"
                self.ask_stop(self._failure)

    def _why(self, shard: str, role: str) -> str:
        """One sentence: the role's own, or the last one that its process said."""
        own = text_of(self.reader.metrics(role).failure) if role != SIM else ""
        return own or self._processes.last_words(shard)

    def _keep_traceback(self, shard: str) -> None:
        """For who reads the code: into the log file, never onto the user's screen."""
        said = self._processes.said(shard)
        if "Traceback" in said:
            self._file.note(self._clock.realtime_ns(), Level.ERROR, shard, {"text": "its traceback", "traceback": said})

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

    def _take_picture(self) -> None:
        self._picture = self.reader.picture(self._clock.monotonic_ns())
        self._view.show(self._picture, self.state)

    def _summary(self) -> None:
        risk = self._picture.risk
        internal = self._picture.latency_us.get("internal")
        self._log.info(
            "summary",
            state=self.state,
            kill_switch=self._picture.kill_switch,
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
            memory_mb=round(sum({role.pid: role.memory_mb for role in self._picture.roles}.values())),
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

    def send_control(self, kind: int, text: str, kinds: tuple[str, ...], generation: int = 0) -> int:
        """Tells every role of these kinds. Returns how many could be told."""
        told = 0
        self._control_number += 1
        for role in self.plan.roles:
            if role.kind not in kinds:
                continue
            producer = self._controls[role.name]
            slot = producer.try_claim()
            if slot is None:
                self._log.error("a role does not read its control ring", name=role.name)
                continue
            clear(slot, "control")
            slot.header.sequence = producer.sequence()
            slot.header.kind = kind
            slot.generation = generation
            put_text(slot.text, text)
            producer.commit()
            told += 1
        return told

    @property
    def is_stopping(self) -> bool:
        """It has been asked to stop."""
        return self._stopping.is_set()

    @property
    def log_path(self) -> Path:
        """The log file."""
        return self._file.path

    def deaths(self) -> dict[str, int]:
        """How often each role died, where it did."""
        return {life.name: life.deaths for life in self._lifecycle.roles.values() if life.deaths}

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
        self.config, self.plan = config, plan
        told = self.send_control(ControlKind.RELOAD, "operator", ("prepost", "collector", "feed"), plan.generation)
        self._log.info("config reloaded", generation=plan.generation, roles=told)
        return told

    # -- stop ------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        system = self.config.system
        self.state = "stopping"
        sequence = StopSequence(system.stop, self._is_flatten, self._clock.monotonic_ns())
        try:
            await self._drain(sequence)
        except Exception as error:  # Whatever is broken in here, the next step cancels what is ours.
            self._log.error("draining failed", error=repr(error))
            sequence.step = StopStep.CONFIRMING
        self._log.info("drained" if sequence.is_drained else "could not drain in order; cancelling over REST")
        confirmation = await cancel_ours(self.desks)
        sequence.done(StopStep.CONFIRMING)
        await self._leave()
        if confirmation.cancelled or not sequence.is_drained:
            # The roles are gone: nobody can have placed anything after this answer.
            confirmation = await cancel_ours(self.desks)
        else:
            confirmation = await confirm(self.desks)
            if confirmation.ours:
                confirmation = await cancel_ours(self.desks)
        sequence.done(StopStep.LEAVING)
        await self._write_report(confirmation)
        if self._processes.is_alive(SIM):
            self._lifecycle.on_stop(SIM, self._clock.monotonic_ns())
            self._processes.terminate(SIM)
            await self._wait_gone((SIM,), 2.0)
        sequence.done(StopStep.CLOSING)

    async def _drain(self, sequence: StopSequence) -> None:
        """Prepost and the engine end in order, if they can."""
        sent = False
        while sequence.step == StopStep.DRAINING:
            self._tick()
            can_drain = self._lifecycle.is_alive("prepost") and self._lifecycle.is_alive("engine")
            if can_drain and not sent:
                sent = True
                if self._is_flatten:
                    self.send_control(ControlKind.FLATTEN, self._stopped_by[:50], ("prepost",))
                self.send_control(ControlKind.STOP, self._stopped_by[:50], ("prepost",))  # Taken when it is flat.
            is_clean = sent and bool(self.reader.risk().venue_confirmed_clean)
            if sequence.advance(can_drain, is_clean, self._clock.monotonic_ns()) == StopStep.DRAINING:
                await asyncio.sleep(TICK_S)

    async def _leave(self) -> None:
        """Every role but the simulated exchange leaves, in order of the flow."""
        leave_s = self.config.system.stop.leave_ms / 1000
        order = self._lifecycle.stop_order()
        shards = list(dict.fromkeys(self.plan.shard_of(name).name for name in order))
        journal = {self.plan.shard_of(role.name).name for role in self.plan.of_kind("journal")}
        for name in order:
            self._lifecycle.on_stop(name, self._clock.monotonic_ns())
        # All but the journal writer at once: a role that sees its neighbour gone first would take it for a death. The
        # journal writer then finds everything that they said.
        for group in ([name for name in shards if name not in journal], [name for name in shards if name in journal]):
            for name in group:
                self._processes.terminate(name)
            await self._wait_gone(tuple(group), leave_s)
            for name in group:
                if self._processes.is_alive(name):
                    self._log.warning("role did not leave in time; it is killed", name=name)
                    self._processes.kill(name)
            await self._wait_gone(tuple(group), 1.0)

    async def _wait_gone(self, names: tuple[str, ...], time_s: float) -> None:
        deadline = time.monotonic() + time_s
        while any(self._processes.is_alive(name) for name in names) and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
            for name, code in self._processes.reap():
                self._on_death(name, code)
            self._move_log()

    async def _write_report(self, confirmation: Confirmation) -> None:
        report = self.report
        picture = self._picture = self.reader.picture(self._clock.monotonic_ns())
        fill_figures(report, picture)
        report.restarts = self.deaths()
        fill_confirmation(report, confirmation)
        if (self.config.system.home / "journal.sqlite").exists():  # Without one no role has traded: stopped while starting.
            await fill_comparison(report, self.plan, self._instruments, self.desks, self._log)
        if self._failure:
            report.problems.append(self._failure)
        if self._exchange is not None:
            report.notices += self._exchange.notices
        report.exit = exit_code(confirmation, self._failure)
        self._log.info("session ended", exit=report.exit, open_orders=report.open_orders)

    async def _close(self) -> None:
        await self._server.close()
        if self._page is not None:
            await self._page.close()
        for task in list(self._background):
            task.cancel()
        self._move_log()
        if self._exchange is not None:
            self._exchange.close()
        self._memory.close()
        for bell in self._bells.values():
            os.close(bell.fd)


def put_journal_aside(path: Path) -> None:
    """A simulated exchange that has just been started knows nothing of yesterday: yesterday's journal is kept beside."""
    if not path.exists():
        return
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(path.stat().st_mtime))
    for each in path.parent.glob(path.name + "*"):
        if each.name[len(path.name) :] in ("", "-wal", "-shm"):
            each.replace(each.with_name(f"journal.{stamp}.sqlite{each.name[len(path.name) :]}"))
    kept = sorted(path.parent.glob("journal.*-*.sqlite"))
    for old in kept[:-JOURNALS_KEPT]:
        for suffix in ("", "-wal", "-shm"):
            old.with_name(old.name + suffix).unlink(missing_ok=True)


def _port_shifted(base_url: str, shift: int) -> str:
    head, colon, port = base_url.rstrip("/").rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"exchanges.binance.simulated.base_url: {base_url!r}; write http://host:port")
    return f"{head}:{int(port) + shift}"
