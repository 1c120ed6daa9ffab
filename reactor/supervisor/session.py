"""One session of one instance, from an empty run directory to the report.

    prepare     lock, leftovers, log, simulated exchange, account, instruments, plan
    run         start roles behind their gates, watch heartbeats, restart, write the log, answer the control socket
    stop        lifecycle.StopSequence: drain, confirm with the venue, leave, close
    report      what prepost counted, and what the exchange says

The exit code is 0 only if the venue itself confirmed that nothing of ours is open.
"""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from reactor.config.assemble import assemble, symbols_by_venue
from reactor.config.host import this_host
from reactor.config.plan import SUPERVISOR, Plan, ShardPlan, write_plan
from reactor.config.schema import Config
from reactor.config.secrets import SIMULATED_KEY, hand_over, read_credentials
from reactor.config.system import SimulatedParameters
from reactor.domain.errors import ConfigError, TradeError
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import VENUE_NAMES, Instrument, Instruments
from reactor.domain.messages import ControlKind, KillSwitch, LifeState, clear, put_text, text_of
from reactor.exchanges.binance.rules import endpoints_at, endpoints_of
from reactor.exchanges.venue import Credentials, Endpoints, RateLimit
from reactor.loop.clock import SystemClock
from reactor.loop.log import Level
from reactor.monitor.reader import Picture, Reader, duplicates_of
from reactor.monitor.report import Comparison, Report
from reactor.supervisor.books import read_books
from reactor.supervisor.cancel_all import Confirmation, cancel_ours, confirm
from reactor.supervisor.control import Answer, ControlServer
from reactor.supervisor.instance import Instance
from reactor.supervisor.lifecycle import Consequence, Lifecycle, RoleState, StopSequence, StopStep
from reactor.supervisor.log_file import LogFile, SupervisorLog, drain, echo_stream
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
SIM_START_TIME_S = 30.0
BOOK_CHECK_S = 15.0  # A feed gives a comparison ten.
JOURNALS_KEPT = 10  # Of earlier sessions on a simulated exchange.
EXIT_OK = 0
EXIT_NOT_CLEAN = 1  # something of ours may be open
EXIT_FAILED = 3  # a role gave up, but nothing of ours is open
MS = 1_000_000


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
        self._desks: list[VenueDesk] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._control_number = 0
        self._state = "starting"
        self._is_stopping = asyncio.Event()
        self._is_flatten = False
        self._failure = ""
        self._signals = 0
        self._page: MetricsPage | None = None
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
                await self._prepare(http)
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

    async def _prepare(self, http: aiohttp.ClientSession) -> None:
        system, binance = self.config.system, self.config.exchanges.binance
        self._memory = Memory(system.instance, SUPERVISOR)
        removed = self._memory.remove_stale_resources()
        if removed:
            self._log.info("shared memory of dead processes removed", nodes=removed)
        for warning in self._memory.warnings:
            self._log.warning("memory is not locked", reason=warning)
        self._credentials = self._read_credentials()
        has_sim = binance.environment == "simulated" and not binance.simulated.base_url
        if has_sim:
            put_journal_aside(system.home / "journal.sqlite")
        base_url = await self._start_sim(binance.simulated) if has_sim else binance.simulated.base_url
        endpoints = [self._endpoints(venue, base_url) for venue in binance.venues]
        ids = ClientIds(system.order_id_prefix)
        self._desks = [VenueDesk(http, each, self._credentials, ids) for each in endpoints]
        instruments, rate_limits = await self._fetch_instruments()
        await self._show_account()
        self._endpoints_used, self._rate_limits = endpoints, rate_limits
        self._instruments = Instruments(instruments)
        self.plan = self._make_plan(self.config, 0)
        for note in self.plan.notes:
            self._log.info("placement", shard=note)
        kinds = [(role.name, role.kind) for role in self.plan.roles]
        self._lifecycle = Lifecycle([*kinds, ("sim", "sim")] if has_sim else kinds, system.restart)
        if has_sim:
            now_ns = self._clock.monotonic_ns()
            self._lifecycle.on_started("sim", now_ns)
            self._lifecycle.on_ready("sim", now_ns)
        self._reader = Reader(self.plan, self._memory)
        for link in self.plan.links:
            if link.producer == SUPERVISOR:
                bell = self.plan.shard_of(link.consumer).wake_fd
                self._controls[link.consumer] = open_producer_of(self._memory, link, bell)
            elif link.consumer == SUPERVISOR:
                self._logs.append((link.producer, open_consumer_of(self._memory, link)))
        self._server = ControlServer(self._instance.directory / "control", self._on_request)
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

    async def _start_sim(self, parameters: SimulatedParameters) -> str:
        """Starts the simulated exchange and waits until it listens. Returns its base URL."""
        path = self._instance.directory / "sim.json"
        path.write_text(json.dumps(sim_settings(parameters)))
        read_fd, write_fd = os.pipe()
        os.set_inheritable(write_fd, True)
        self._processes.spawn(
            "sim",
            ["-m", "reactor.sim", str(path), str(write_fd)],
            pass_fds=[write_fd],
            environment=self._child_environment(),
            close_after=[write_fd],
        )
        self._note_pids()
        os.set_blocking(read_fd, False)
        deadline = time.monotonic() + SIM_START_TIME_S
        line = b""
        try:
            while not line.endswith(b"\n"):
                await asyncio.sleep(TICK_S)
                for name, _ in self._processes.reap():
                    raise ConfigError(self._processes.last_words(name, 1) or "the simulated exchange ended at once")
                if time.monotonic() > deadline:
                    raise ConfigError("the simulated exchange did not get ready; see its .err file in the run directory")
                with contextlib.suppress(BlockingIOError):
                    line += os.read(read_fd, 64)
        finally:
            os.close(read_fd)
        spot_port = int(line.split()[0])
        self._log.info("simulated exchange listens", spot_port=spot_port, usdm_port=spot_port + 1, source=parameters.source)
        return f"http://127.0.0.1:{spot_port}"

    async def _fetch_instruments(self) -> tuple[list[Instrument], dict[int, tuple[RateLimit, ...]]]:
        wanted = symbols_by_venue(self.config)
        instruments: list[Instrument] = []
        limits: dict[int, tuple[RateLimit, ...]] = {}
        for desk in self._desks:
            symbols = wanted[desk.name]
            await desk.synchronise()
            fees = await desk.fees(symbols)
            info = await desk.exchange_info(symbols, len(instruments), fees)
            instruments += info.instruments
            limits[desk.line.venue] = info.rate_limits
        return instruments, limits

    async def _show_account(self) -> None:
        """The start-up page: what the account has, before the first order may go out."""
        for desk in self._desks:
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
        while not self._is_stopping.is_set():
            self._tick()
            now = time.monotonic()
            if self._lifecycle.is_running() and not running_since:
                running_since = now
                self._log.info("all roles are ready")
            if now >= next_picture:
                next_picture = now + PICTURE_S
                self._state = self._describe(now, running_since, duration_s)
                self._take_picture()
            if running_since and now >= next_summary:
                next_summary = now + SUMMARY_S
                self._summary()
            if duration_s and running_since and now - running_since >= duration_s:
                self._ask_stop("the planned duration is over", self.config.system.flatten_after_duration)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_stopping.wait(), TICK_S)

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
        self._reader.refresh(now_ns)
        for producer in self._controls.values():
            producer.refresh(now_ns)
        for _, consumer in self._logs:
            consumer.refresh(now_ns)
        heartbeats = {}
        for role in self.plan.roles:
            row = self._reader.metrics(role.name)
            shard = self.plan.shard_of(role.name).name
            if row.pid == self._processes.pid(shard) and row.pid:
                heartbeats[role.name] = int(row.heartbeat_ns)
                if row.life_state == LifeState.READY and self._lifecycle.on_ready(role.name, now_ns):
                    self._log.info("role is ready", name=role.name)
        for name in self._lifecycle.hung(heartbeats, now_ns):
            self._log.error("role gives no sign of life; it is killed", name=name)
            self._processes.kill(self.plan.shard_of(name).name)
        if not self._is_stopping.is_set():
            self._start_due(now_ns)
        drain(self._logs, self._file)
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
        if any(self.plan.role(name).kind == "engine" for name in shard.roles):
            secret = hand_over(self._credentials)
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
        keys = self.config.exchanges.binance.credentials
        return environment_without((keys.api_key_variable, keys.secret_variable))

    def _note_pids(self) -> None:
        self._instance.note_pids(self._processes.table())

    def _on_death(self, name: str, code: int) -> None:
        now_ns = self._clock.monotonic_ns()
        self._note_pids()
        roles = (name,) if name == "sim" else self.plan.shard(name).roles
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        for role in roles:
            life = self._lifecycle.roles.get(role)
            if life is None:
                continue
            was_wanted = life.state not in (RoleState.STOPPED, RoleState.FAILED)
            consequence = self._lifecycle.on_died(role, now_ns)
            if not was_wanted:
                continue
            words = self._processes.last_words(name) if code > 0 else ""
            self._log.error("role died", name=role, how=reason, last_words=words[:300])
            if consequence == Consequence.CANCEL_OURS:
                self._start(self._cancel_after_death(role))
            elif consequence == Consequence.END_SESSION:
                sentence = text_of(self._reader.metrics(role).failure) if role != "sim" else ""
                self._failure = f"{role} gave up: {sentence or words or reason}"
                self._ask_stop(self._failure)

    async def _cancel_after_death(self, role: str) -> None:
        answer = await cancel_ours(self._desks)
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
        self._picture = self._reader.picture(self._clock.monotonic_ns())
        self._view.show(self._picture, self._state)

    def _summary(self) -> None:
        risk = self._picture.risk
        internal = self._picture.latency_us.get("internal")
        self._log.info(
            "summary",
            state=self._state,
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
            self._ask_stop(name)
        else:
            self._log.warning("already stopping; open orders of ours are being cancelled", signal=name)

    def _ask_stop(self, reason: str, flatten: bool = False) -> None:
        if not self._is_stopping.is_set():
            self._stopped_by = reason
            self._is_flatten = flatten
            self._log.info("stopping", reason=reason, flatten=flatten)
            self._is_stopping.set()

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

    async def _on_request(self, request: dict[str, Any]) -> Answer:
        command = request.get("command")
        match command:
            case "status":
                return {"ok": True, "text": self._state, "data": self._status()}
            case "stop":
                flatten = bool(request.get("flatten"))
                self._ask_stop("stop --flatten" if flatten else "stop", flatten)
                return {"ok": True, "text": "stopping", "data": {"pid": os.getpid()}}
            case "cancel-all":
                self.send_control(ControlKind.CANCEL_ALL, "operator", ("prepost",))
                await asyncio.sleep(0.3)
                answer = await cancel_ours(self._desks)
                return {"ok": answer.is_clean, "text": _confirmation_text(answer)}
            case "halt" | "reduce-only" | "resume":
                kind = {"halt": ControlKind.HALT, "reduce-only": ControlKind.REDUCE_ONLY, "resume": ControlKind.RESUME}[command]
                told = self.send_control(kind, "operator", ("prepost",))
                await asyncio.sleep(0.3)
                switch = KillSwitch(self._reader.risk().kill_switch).name
                return {"ok": told > 0, "text": f"kill switch: {switch}"}
            case "reload":
                return self._reload()
            case "check-books":
                return await self._check_books(str(request.get("instrument") or ""))
            case _:
                return {"ok": False, "text": f"unknown command {command!r}"}

    async def _check_books(self, instrument: str) -> Answer:
        """Lets the feeds compare their books with fresh snapshots of the venue. `instrument` is "" for all."""
        known = [each.name for each in self._instruments]
        if instrument and instrument not in known:
            return {"ok": False, "text": f"there is no {instrument!r} here; there are {', '.join(known)}"}
        wanted = 1 if instrument else len(known)
        before = self._book_checks()
        self.send_control(ControlKind.CHECK_BOOK, instrument, ("feed",))
        deadline = time.monotonic() + BOOK_CHECK_S
        passed = failed = unknown = 0
        while passed + failed + unknown < wanted and time.monotonic() < deadline and not self._is_stopping.is_set():
            await asyncio.sleep(TICK_S)
            passed, failed, unknown = (now - then for now, then in zip(self._book_checks(), before, strict=True))
        text = f"{passed} of {wanted} books equal the venue's"
        if failed:
            text += f", {failed} differed and are fetched anew (the log says where)"
        if passed + failed < wanted:
            text += f", {wanted - passed - failed} could not be compared in time"
        return {"ok": passed == wanted, "text": text}

    def _book_checks(self) -> tuple[int, int, int]:
        """Checks passed, failed and without an end, of all feeds so far."""
        rows = [self._reader.counters(role.name, role.kind) for role in self.plan.of_kind("feed")]
        names = ("checks_passed", "checks_failed", "checks_open_ended")
        passed, failed, unknown = (sum(row.get(name, 0) for row in rows) for name in names)
        return passed, failed, unknown

    def _reload(self) -> Answer:
        """Risk and strategy parameters of a changed config, without restart; refused as a whole if anything is wrong."""
        if self._options.reload is None:
            return {"ok": False, "text": "this session was started without a config file"}
        config = self._options.reload()  # ConfigError becomes the answer.
        fixed = ("exchanges", "system")
        changed = [name for name in fixed if getattr(config, name) != getattr(self.config, name)]
        if changed:
            return {
                "ok": False,
                "text": f"only risk_control and strategy can be reloaded; {' and '.join(changed)} changed: restart",
            }
        if config.strategy.pairs != self.config.strategy.pairs:
            return {"ok": False, "text": "strategy.pairs changed: links and books are made at start; restart"}
        plan = self._make_plan(config, self.plan.generation + 1)
        self.config, self.plan = config, plan
        told = self.send_control(ControlKind.RELOAD, "operator", ("prepost", "collector", "feed"), plan.generation)
        self._log.info("config reloaded", generation=plan.generation, roles=told)
        return {"ok": True, "text": f"reloaded as generation {plan.generation}; {told} roles told"}

    def _status(self) -> dict[str, Any]:
        picture = self._reader.picture(self._clock.monotonic_ns())
        return {
            "instance": self.config.system.instance,
            "profile": self.config.profile,
            "pid": os.getpid(),
            "state": self._state,
            "kill_switch": picture.kill_switch,
            "risk": picture.risk,
            "roles": [asdict(role) for role in picture.roles],
            "books": [asdict(top) for top in picture.tops],
            "positions": [asdict(row) for row in picture.positions],
            "latency_us": {stage: row.json() for stage, row in picture.latency_us.items()},
            "restarts": {life.name: life.deaths for life in self._lifecycle.roles.values() if life.deaths},
            "log": str(self._file.path),
        }

    # -- stop ------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        system = self.config.system
        self._state = "stopping"
        sequence = StopSequence(system.stop, self._is_flatten, self._clock.monotonic_ns())
        try:
            await self._drain(sequence)
        except Exception as error:  # Whatever is broken in here, the next step cancels what is ours.
            self._log.error("draining failed", error=repr(error))
            sequence.step = StopStep.CONFIRMING
        self._log.info("drained" if sequence.is_drained else "could not drain in order; cancelling over REST")
        confirmation = await cancel_ours(self._desks)
        sequence.done(StopStep.CONFIRMING)
        await self._leave()
        if confirmation.cancelled or not sequence.is_drained:
            # The roles are gone: nobody can have placed anything after this answer.
            confirmation = await cancel_ours(self._desks)
        else:
            confirmation = await confirm(self._desks)
            if confirmation.ours:
                confirmation = await cancel_ours(self._desks)
        sequence.done(StopStep.LEAVING)
        await self._write_report(confirmation)
        if self._processes.is_alive("sim"):
            self._lifecycle.on_stop("sim", self._clock.monotonic_ns())
            self._processes.terminate("sim")
            await self._wait_gone(("sim",), 2.0)
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
            is_clean = sent and bool(self._reader.risk().venue_confirmed_clean)
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
            drain(self._logs, self._file)
        self._file.flush()

    async def _write_report(self, confirmation: Confirmation) -> None:
        picture = self._picture = self._reader.picture(self._clock.monotonic_ns())
        report, risk = self.report, picture.risk
        for name in ("orders", "fills", "rejects", "refusals", "pairs_opened", "pairs_closed"):
            setattr(report, name, risk[name])
        for name in ("net_exposure_e8", "equity_e8", "realised_pnl_e8", "unrealised_pnl_e8", "fees_e8", "funding_e8"):
            setattr(report, name, risk[name])
        duplicates, report.resyncs = duplicates_of(picture.tops)
        report.duplicates_detected = duplicates + risk["duplicates_detected"]
        report.latency_us = picture.latency_us
        report.kill_switch = picture.kill_switch
        report.restarts = {life.name: life.deaths for life in self._lifecycle.roles.values() if life.deaths}
        report.counters = {role.name: dict(role.counters) for role in picture.roles}
        report.problems = list(confirmation.problems)
        report.open_orders = None if confirmation.problems else len(confirmation.ours)
        report.foreign_orders = len(confirmation.foreign)
        for order in confirmation.ours:
            report.problems.append(
                f"still open: {VENUE_NAMES[order.venue]} {order.symbol} {order.client_order_id}; cancel it by hand"
            )
        try:
            if (self.config.system.home / "journal.sqlite").exists():  # Without one no role has traded: stopped while starting.
                await self._compare()
        except TradeError as error:
            report.problems.append(f"our books could not be compared with the exchange's: {error}")
        except Exception as error:  # The comparison is a service; the way out does not depend on it.
            self._log.error("the comparison failed", error=repr(error))
            report.problems.append(f"our books could not be compared with the exchange's ({type(error).__name__}); see the log")
        if self._failure:
            report.problems.append(self._failure)
        report.exit = EXIT_OK if confirmation.is_clean else EXIT_NOT_CLEAN
        if report.exit == EXIT_OK and self._failure:
            report.exit = EXIT_FAILED
        self._log.info("session ended", exit=report.exit, open_orders=report.open_orders)

    async def _compare(self) -> None:
        """Positions and balances as our journal has them beside what the exchange reports, to the last unit."""
        ours = read_books(self.plan)
        for desk in self._desks:
            venue = desk.line.venue
            balances = {each.asset: each.free_e8 + each.locked_e8 for each in await desk.balances()}
            self.report.balances[desk.name] = {asset: f"{amount / 1e8:.8f}" for asset, amount in balances.items() if amount}
            for asset, expected_e8 in sorted(ours.balances[venue].items()):
                self.report.comparisons.append(Comparison(f"{desk.name} {asset}", expected_e8, balances.get(asset, 0)))
            positions = {each.symbol: each for each in await desk.positions()}
            for symbol, position in positions.items():
                self.report.positions[f"{desk.name}:{symbol}"] = f"{position.quantity_e8 / 1e8:.8f}"
            for instrument in self._instruments:
                if instrument.venue == venue and instrument.is_perpetual:
                    ours_e8 = instrument.base_e8(ours.position_lots[instrument.instrument_index])
                    theirs_e8 = positions[instrument.symbol].quantity_e8 if instrument.symbol in positions else 0
                    self.report.comparisons.append(Comparison(f"position {instrument.name}", ours_e8, theirs_e8))

    async def _close(self) -> None:
        await self._server.close()
        if self._page is not None:
            await self._page.close()
        for task in list(self._background):
            task.cancel()
        drain(self._logs, self._file)
        self._memory.close()
        for bell in self._bells.values():
            os.close(bell.fd)


def sim_settings(parameters: SimulatedParameters) -> dict[str, Any]:
    """What the child `python -m reactor.sim` reads."""
    settings: dict[str, Any] = {
        "port": parameters.port,
        "speed": parameters.speed,
        "generator": {"seed": parameters.seed, **parameters.generator},
        "funding": parameters.funding,
        "accounts": [
            {
                "api_key": SIMULATED_KEY.api_key,
                "hmac_secret": SIMULATED_KEY.secret,
                "spot_balances": parameters.spot_balances,
                "futures_usdt": parameters.futures_usdt,
            },
            {"name": "second", "api_key": "test-key-2", "hmac_secret": "test-secret-2"},
        ],
    }
    if parameters.source == "replay":
        settings["replay"] = list(parameters.replay_paths)
    if parameters.faults:
        settings["faults"] = parameters.faults
    if not parameters.has_limits:
        settings["face"] = {"lifted_limits": ["REQUEST_WEIGHT", "RAW_REQUESTS", "ORDERS", "CONNECTIONS", "MESSAGES"]}
    if parameters.keys_file:
        settings["keys_file"] = parameters.keys_file
    return settings


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


def _confirmation_text(answer: Confirmation) -> str:
    if answer.problems:
        return "not confirmed: " + "; ".join(answer.problems)
    foreign = f"; {len(answer.foreign)} of somebody else untouched" if answer.foreign else ""
    return f"{answer.cancelled} cancelled, {len(answer.ours)} of ours still open{foreign}"
