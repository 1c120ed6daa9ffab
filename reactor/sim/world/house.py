"""All roles of one session in one process: the same classes on the same plan as reactor/wiring.py builds, on heap rings.

Shard   one role with its passes: after every callback, when a ring has something for it, at its deadline, at least every
        PASS_PERIOD_NS. It can die at any moment and come back with new ends of its rings, as a process would.
House   the shards, the links between them, and what a supervisor does: restart, cancel ours, say stop
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, Final

from reactor.collector.external import open_external
from reactor.collector.role import CollectorPorts, CollectorRole
from reactor.config.assemble import assemble, symbols_by_venue
from reactor.config.load import load
from reactor.config.placement import Host
from reactor.config.plan import SUPERVISOR, LinkPlan, Plan, RolePlan, RowsPlan
from reactor.config.schema import Config
from reactor.domain.errors import TradeError
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import VENUE_NAMES, Instrument, Instruments
from reactor.domain.messages import SIZE, VIEW, ControlKind, LifeState, clear, put_text
from reactor.engine.role import EnginePorts, EngineRole
from reactor.exchanges.binance.cancel_all import CancelAllOurs
from reactor.exchanges.binance.orders import order_codec
from reactor.exchanges.binance.rules import LINES, endpoints_at, exchange_info_url, read_exchange_info
from reactor.exchanges.venue import Credentials, RateLimit, RestCall
from reactor.feed.role import FeedPorts, FeedRole
from reactor.journal.checkpoint import plan_text, write_checkpoint
from reactor.journal.history import next_epoch, read_start
from reactor.journal.role import JournalPorts, JournalRole, state_of
from reactor.journal.schema import Words, names_of
from reactor.loop.counters import Metrics
from reactor.loop.role import Role
from reactor.net.network import Request, Response
from reactor.prepost.kill_switch import Pull
from reactor.prepost.orders import IS_TERMINAL, OrderEvent, OrderState
from reactor.prepost.pairs import PairState
from reactor.prepost.role import PrepostPorts, PrepostRole
from reactor.sim.faces.face import Face
from reactor.sim.faces.request import HttpRequest
from reactor.sim.faces.signatures import DEFAULT_PRIVATE_PEM
from reactor.sim.faces.spot import SpotFace
from reactor.sim.faces.usdm import UsdmFace
from reactor.sim.parameters import SimParameters
from reactor.sim.server import open_exchange
from reactor.sim.world.network import Cloud, WorldNetwork
from reactor.sim.world.story import Story, StoryLog
from reactor.sim.world.time import BIRTHDAY_NS, MS, SECOND, HostClock, VirtualTime
from shm.ring import NORMAL, URGENT, Consumer, Producer, heap_consumer, heap_producer
from shm.seqlock import RowsReader, RowsWriter, heap_rows

PASS_PERIOD_NS: Final = 20 * MS  # A hot shard's is 5 ms; roles say by deadline_ns when they need one sooner, and shall mean it.
HEARTBEAT_NS: Final = MS  # A row of metrics is published that often at most; a shard does every 4 ms.
TIMER_NS: Final = 20 * MS  # How fine the timers of this host are: nobody is woken for a deadline earlier than this.
FINE_TIMER_NS: Final = 5 * MS  # A shard's own period; some seeds have it, so that both are tried.
CAPACITY_MAX: Final = 256  # Slots per lane: enough for a thin market, little enough to be full in a bad moment.
PASS_GAP_NS: Final = 20_000  # What a pass with work costs before the next one.
WAKE_BITS: Final = 15  # Up to 33 µs from a commit to the reader's pass.
HEARTBEAT_AGE_NS_MAX: Final = SECOND  # As in reactor/wiring.py
JOURNAL_WAIT_NS: Final = SECOND
JOURNAL_COMMIT_NS: Final = 20 * MS
CANCEL_ROUND_NS: Final = 200 * MS
ORDERS_MAX: Final = 512  # Of a prepost: a world that needs more has found a leak.
KEY: Final = Credentials("test-key", "test-secret")
LOGON_KEY: Final = Credentials("test-key-ed25519", DEFAULT_PRIVATE_PEM)  # signs once per session
HOSTS: Final = {"binance_spot": "spot", "binance_usdm": "usdm"}
LIVING: Final = (LifeState.STARTING, LifeState.READY, LifeState.RUNNING, LifeState.STOPPING, LifeState.STOPPED)


@lru_cache(maxsize=16)
def plan_of(symbols: tuple[str, ...], settings: tuple[str, ...]) -> Plan:
    """The plan that a supervisor would make of the profile `generated` for these coins, with `settings` as --set takes them.

    Raises:
        ConfigError: a setting is wrong.
    """
    pairs = [{"open": f"binance_spot:{symbol}", "hedge": f"binance_usdm:{symbol}"} for symbol in symbols]
    return plan_with(load("generated", None, {}, settings, {"strategy.pairs": pairs}), symbols)


def plan_with(config: Config, symbols: tuple[str, ...], *, has_limits: bool = True) -> Plan:
    """The plan of a config on the generated market of these coins; without limits the engine sends as fast as it is asked."""
    parameters = SimParameters()
    parameters = replace(parameters, generator=replace(parameters.generator, symbols=symbols))
    exchange, face = open_exchange(parameters, BIRTHDAY_NS)
    faces: dict[str, Face] = {"binance_spot": SpotFace(exchange.spot, face), "binance_usdm": UsdmFace(exchange.usdm, face)}
    fees = {"binance_spot": parameters.spot, "binance_usdm": parameters.usdm}
    rows: list[Instrument] = []
    limits: dict[int, tuple[RateLimit, ...]] = {}
    endpoints = []
    for venue_name, symbols_there in symbols_by_venue(config).items():
        line = next(line for line in LINES.values() if VENUE_NAMES[line.venue] == venue_name)
        endpoint = endpoints_at(line.venue, f"http://{HOSTS[venue_name]}")
        endpoints.append(endpoint)
        path = exchange_info_url(line, endpoint).removeprefix(f"http://{HOSTS[venue_name]}")
        body = faces[venue_name].on_request(HttpRequest("GET", path), BIRTHDAY_NS).body
        fee = fees[venue_name]
        info = read_exchange_info(line, body, symbols_there, len(rows), fee.maker_fee_e8, fee.taker_fee_e8)
        rows += info.instruments
        if has_limits:
            limits[line.venue] = info.rate_limits
    return assemble(config, Instruments(rows), endpoints, limits, Host((0,)), "", lambda shard: -1)


class Link:
    """One ring of the plan: its ends as they are now. What a dead writer left unread is read; what a dead reader had not
    released comes again to its successor; if both are dead, it is gone, as it is with two processes."""

    def __init__(self, plan: LinkPlan) -> None:
        self.name = plan.name
        self.message = plan.message
        self.writer = plan.producer
        self.reader = plan.consumer
        self.capacity = min(plan.capacity, CAPACITY_MAX)
        self.producer: Producer | None = None
        self.consumer: Consumer | None = None
        self.has_met = True

    def open_producer(self) -> Producer:
        """A new writer; it meets the reader, if that is there."""
        self.producer = heap_producer(self.capacity, SIZE[self.message], VIEW[self.message], name=self.name)
        self._meet()
        return self.producer

    def open_consumer(self) -> Consumer:
        """A new reader; it meets the writer, if that is there."""
        self.consumer = heap_consumer(self.capacity, SIZE[self.message], VIEW[self.message], name=self.name)
        self._meet()
        return self.consumer

    def _meet(self) -> None:
        self.has_met = True
        if self.producer is not None and self.consumer is not None:
            self.consumer.offer(self.producer.own_segment)
            self.try_meet()

    def try_meet(self) -> None:
        """Lets both sides meet. A reader that has not yet read what two dead writers left behind meets the third one later."""
        producer, consumer = self.producer, self.consumer
        self.has_met = producer is None or consumer is None or (
            producer.meet(consumer.own_segment) and consumer.meet(producer.own_segment)
        )  # fmt: skip

    def has_news(self) -> bool:
        """Something is unread."""
        consumer = self.consumer
        return consumer is not None and bool(consumer.pending(NORMAL) or consumer.pending(URGENT))


class Rows:
    """One segment: the readers follow the writer that there is."""

    def __init__(self, plan: RowsPlan) -> None:
        self._plan = plan
        self._writer: RowsWriter | None = None
        self._readers: list[RowsReader] = []

    def open_writer(self) -> RowsWriter:
        """A new writer; the readers find it at once."""
        plan = self._plan
        self._writer, reader = heap_rows(plan.count, SIZE[plan.message], VIEW[plan.message], plan.name)
        for known in self._readers:
            known.attach(self._writer.own_segment)
        del reader
        return self._writer

    def reader(self) -> RowsReader:
        """A reader; zeros until somebody writes."""
        plan = self._plan
        reader = RowsReader(plan.name, plan.count, SIZE[plan.message], VIEW[plan.message], None)
        if self._writer is not None:
            reader.attach(self._writer.own_segment)
        self._readers.append(reader)
        return reader


class Shard:
    """One role, and its passes."""

    def __init__(self, house: "House", plan: RolePlan) -> None:
        self.house = house
        self.plan = plan
        self.name = plan.name
        self.role: Role | None = None
        self.metrics = Metrics()
        self.network = WorldNetwork(house.cloud, plan.name, self.on_activity)
        self.outputs = [link for link in house.links.values() if link.writer == plan.name]
        self.inputs = [link for link in house.links.values() if link.reader == plan.name]
        self.readers: list[tuple[Link, Shard]] = []  # whom a pass of ours may have given something to read
        self.incarnation = 0
        self.passes = 0
        self._next_ns = 0  # when the next pass is wanted
        self._timer_ns = 0  # when the timer that is set goes off; 0: none is
        self._paused_until_ns = 0
        self._is_starting = False
        self._heartbeat_due_ns = 0  # when its row is published next

    # -- life

    def start(self) -> None:
        """A new process: rings first, then the role. Prepost waits until the journal has what its predecessor wrote."""
        assert self.role is None, "it is dead"
        house = self.house
        self.incarnation += 1
        house.story.tell(self.name, f"starts ({self.incarnation})")
        self.network = WorldNetwork(house.cloud, self.name, self.on_activity)
        self.metrics = Metrics(house.rows[f"metrics.{self.name}"].open_writer())
        for link in self.outputs:
            link.open_producer()
        for link in self.inputs:
            link.open_consumer()
        if self.plan.kind == "prepost":
            self._await_journal(self.incarnation, house.time.now_ns + JOURNAL_WAIT_NS)
        else:
            self._plug()

    def _await_journal(self, incarnation: int, until_ns: int) -> None:
        house = self.house
        if incarnation != self.incarnation or self.role is not None:
            return
        link = house.links["journal"]
        producer = link.producer
        assert producer is not None, "it has just been opened"
        if house.time.now_ns < until_ns and not (producer.is_connected and producer.free() >= producer.capacity
                                                 and not link.has_news()):  # fmt: skip
            house.time.after(2 * MS, self._await_journal, incarnation, until_ns)
            return
        house.time.after(JOURNAL_COMMIT_NS, self._plug, incarnation)

    def _plug(self, incarnation: int = 0) -> None:
        if self.role is not None or (incarnation and incarnation != self.incarnation):
            return
        now_ns = self.house.time.now_ns
        view = self.metrics.view
        view.life_state = LifeState.STARTING
        view.started_ns = view.heartbeat_ns = now_ns
        self.metrics.publish()
        self._next_ns = self._timer_ns = self._heartbeat_due_ns = 0
        self._is_starting = True
        try:
            self.role = BUILDERS[self.plan.kind](self)
            self.role.on_start(now_ns)
        except TradeError as error:
            self.house.story.tell(self.name, f"!! cannot start: {error}")
            self.crash("cannot start")
            return
        self.request_pass()

    def crash(self, why: str) -> None:
        """kill -9. Its rings keep what it has published; nothing of it is called any more."""
        if self.role is None and not self.incarnation:
            return
        self.house.story.tell(self.name, f"!! dies: {why}")
        role, self.role = self.role, None
        self.incarnation += 1
        self.network.die()
        if isinstance(role, JournalRole):  # The kernel closes its file and its lock.
            if role._scribe is not None:
                role._scribe.close()
            role._lock.release()
        for link in self.outputs:
            link.producer = None
        for link in self.inputs:
            link.consumer = None

    def is_alive(self, now_ns: int) -> bool:
        """What a neighbour reads in its metrics."""
        view = self.metrics.view
        return bool(now_ns - view.heartbeat_ns < HEARTBEAT_AGE_NS_MAX and view.life_state in LIVING and self.incarnation)

    def resume(self) -> None:
        """It gets passes again."""
        if self.is_paused:
            self._paused_until_ns = self._next_ns = 0
            self.request_pass()

    # -- passes

    def request_pass(self) -> None:
        """Something has come in."""
        self.want(self.house.time.now_ns)

    def on_activity(self) -> None:
        """A socket callback of ours is over: the pass after it, as in a shard."""
        now_ns = self.house.time.now_ns
        if now_ns < self._paused_until_ns:
            self.want(now_ns)
        else:
            self._pass(now_ns)

    def want(self, at_ns: int) -> None:
        """A pass at that time, if none comes before."""
        at_ns = max(at_ns, self._paused_until_ns)
        now_ns = self.house.time.now_ns
        if self._next_ns < now_ns or at_ns < self._next_ns:
            self._next_ns = max(at_ns, now_ns)
            if not now_ns <= self._timer_ns <= self._next_ns:  # A timer that goes off too early is set again.
                self._set_timer()

    def _set_timer(self) -> None:
        self._timer_ns = self._next_ns
        self.house.time.at(self._timer_ns, self._on_timer, self._timer_ns, self.incarnation)

    def _on_timer(self, timer_ns: int, incarnation: int) -> None:
        if timer_ns != self._timer_ns or incarnation != self.incarnation or self.role is None:
            return
        self._timer_ns = 0
        if timer_ns < self._next_ns:
            self._set_timer()
        else:
            self._pass(timer_ns)

    @property
    def is_paused(self) -> bool:
        """It gets no passes now."""
        return self.house.time.now_ns < self._paused_until_ns

    def pause(self, ns: int) -> None:
        """The host gives the core to somebody else."""
        self._paused_until_ns = self.house.time.now_ns + ns
        self._next_ns = 0
        self.want(self._paused_until_ns)

    def _pass(self, now_ns: int) -> None:
        role, house = self.role, self.house
        if role is None:
            return
        self._next_ns = 0
        self.passes += 1
        for link in self.inputs:
            if not link.has_met:
                link.try_meet()
        work = role.do_work(now_ns)
        view = self.metrics.view
        if self._is_starting and view.life_state == LifeState.STARTING and role.is_ready():
            self._is_starting = False
            view.life_state = LifeState.READY
            house.story.tell(self.name, "ready")
        if now_ns >= self._heartbeat_due_ns:
            self._heartbeat_due_ns = now_ns + HEARTBEAT_NS
            view.heartbeat_ns = now_ns
            view.passes = self.passes
            self.metrics.publish()
        for link, reader in self.readers:
            if reader.role is not None and link.has_news():
                reader.want(now_ns + house.wake_ns())
        if work:
            self.want(now_ns + house.pass_gap_ns)
        else:
            self.want(max(min(role.deadline_ns(now_ns), now_ns + house.pass_period_ns), now_ns + house.timer_ns))
        house.after_pass(self)


class Supervisor:
    """What a supervisor does for a house: restarts who has died, cancels ours over REST when the engine is dead, says stop."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self.network = WorldNetwork(house.cloud, "supervisor", lambda: None)
        self._works: dict[int, CancelAllOurs] = {}
        self.restart_ns = 200 * MS

    def crash(self, name: str, why: str, down_ns: int = 0) -> None:
        """A role is killed; it comes back after `down_ns` (0: the supervisor's usual pause)."""
        house = self._house
        shard = house.shards[name]
        shard.crash(why)
        if shard.plan.kind == "engine":
            self.cancel_ours()
        house.time.after(down_ns or self.restart_ns, self._restart, name, shard.incarnation)

    def _restart(self, name: str, incarnation: int) -> None:
        shard = self._house.shards[name]
        if shard.role is None and shard.incarnation == incarnation:
            shard.start()

    def revive(self) -> None:
        """Everybody who is dead comes back now."""
        for shard in self._house.shards.values():
            if shard.role is None and shard.plan.kind != "prepost":
                shard.crash("to be started again")
                shard.start()
        prepost = self._house.shards["prepost"]
        if prepost.role is None:
            prepost.crash("to be started again")
            prepost.start()

    def control(self, kind: int, names: tuple[str, ...], text: str = "world", generation: int = 0) -> None:
        """A word of the operator."""
        house = self._house
        for name in names:
            producer = house.links[f"control.{name}"].producer
            message = None if producer is None else producer.try_claim(NORMAL)
            if message is None or producer is None:
                continue
            clear(message, "control")
            message.header.sequence = producer.sequence(NORMAL)
            message.header.kind = kind
            message.generation = generation
            put_text(message.text, text)
            producer.commit(NORMAL)
            house.story.tell("operator", f"{ControlKind(kind).name} to {name}")
            house.shards[name].request_pass()

    def cancel_ours(self) -> None:
        """The engine is dead: over REST, by prefix, on every venue."""
        house = self._house
        for endpoint in house.plan.endpoints:
            codec = order_codec(endpoint.venue, endpoint, house.key, house.instruments)
            work = self._works[endpoint.venue] = CancelAllOurs(codec, ClientIds(house.plan.order_id_prefix))
            self._call(work, work.start(self._local_ms()))

    def _call(self, work: CancelAllOurs, calls: list[tuple[int, RestCall]]) -> None:
        for tag, call in calls:
            request = Request(call.method, call.url, call.headers, call.body)
            self.network.request(request, lambda response, tag=tag: self._answered(work, tag, response))  # type: ignore[misc]

    def _answered(self, work: CancelAllOurs, tag: int, response: Response) -> None:
        now_ms = self._local_ms()
        self._call(work, work.on_answer(tag, response.status, response.headers, response.body, now_ms))
        if work.needs_round:
            self._house.time.after(max(CANCEL_ROUND_NS, (work.wait_until_ms - now_ms) * MS), self._round, work)

    def _round(self, work: CancelAllOurs) -> None:
        if work.needs_round:
            self._call(work, work.next_round(self._local_ms()))

    def _local_ms(self) -> int:
        return self._house.clock.realtime_ns() // MS


class House:
    """Everything of ours."""

    def __init__(self, plan: Plan, time: VirtualTime, dice: Random, cloud: Cloud, story: Story, home: Path) -> None:
        self.plan = plan
        self.time = time
        self.dice = dice
        self.cloud = cloud
        self.story = story
        self.home = home
        self.journal_path = home / "journal.sqlite"
        self.clock = HostClock(time)
        self.epoch = 0  # of the prepost that was started last
        self.key = KEY
        self.instruments = Instruments(plan.instruments)
        self.pass_period_ns = PASS_PERIOD_NS
        self.timer_ns = TIMER_NS
        self.pass_gap_ns = PASS_GAP_NS
        self.wake_ns: Callable[[], int] = lambda: 1_000 + dice.getrandbits(WAKE_BITS)
        self.after_pass: Callable[[Shard], None] = lambda shard: None
        self.links = {link.name: Link(link) for link in plan.links if not link.name.startswith("log.")}
        self.rows = {rows.name: Rows(rows) for rows in plan.rows}
        self.shards = {role.name: Shard(self, role) for role in plan.roles}
        for shard in self.shards.values():
            shard.readers = [(link, self.shards[link.reader]) for link in shard.outputs if link.reader in self.shards]
        for name, link in self.links.items():
            if link.writer == SUPERVISOR and name.startswith("control."):
                link.open_producer()
        self.supervisor = Supervisor(self)
        self.parameters: dict[str, Any] = {}
        self.read_parameters(plan)

    def read_parameters(self, plan: Plan) -> None:
        """What roles have from their next start or reload on."""
        self.parameters = {role.name: role.read_parameters() for role in plan.roles}

    def start(self) -> None:
        """In the order of the lifecycle, a few ms between them."""
        for number, shard in enumerate(self.shards.values()):
            self.time.after(number * 3 * MS, shard.start)

    def role(self, kind: str) -> Any:
        """The only role of a kind, as it is now; None while it is dead."""
        return next(shard.role for shard in self.shards.values() if shard.plan.kind == kind)

    def tops(self) -> Callable[[int], Any]:
        """Instrument index → its book top, as in reactor/wiring.py."""
        readers: list[Callable[[int], Any] | None] = [None] * len(self.instruments)
        for role in self.plan.of_kind("feed"):
            read = self.rows[f"tops.{role.name}"].reader().read
            for index in role.instruments:
                readers[index] = read

        def top(instrument_index: int) -> Any:
            read = readers[instrument_index]
            assert read is not None, "every traded instrument has a feed"
            return read(instrument_index)

        return top


# -- the roles, as reactor/wiring.py builds them -----------------------------------------------------------------


def _producer(shard: Shard, name: str) -> Producer:
    producer = shard.house.links[name].producer
    assert producer is not None, "a shard opens its rings first"
    return producer


def _consumer(shard: Shard, name: str) -> Consumer:
    consumer = shard.house.links[name].consumer
    assert consumer is not None, "a shard opens its rings first"
    return consumer


def _log(shard: Shard) -> StoryLog:
    return StoryLog(shard.house.story, shard.name)


def _journal(shard: Shard) -> Role:
    house = shard.house
    parameters = replace(
        house.parameters[shard.name],
        is_threaded=False,
        commit_slow_ms=3_600_000,  # Real time does not count here: a slow disk is a fault of the world's own.
        free_mb_min=0,
    )
    ports = JournalPorts(
        journal=[_consumer(shard, "journal")],
        path=house.journal_path,
        instruments=house.instruments,
        clock=house.clock,
        metrics=shard.metrics,
        log=_log(shard),
        words=Words(
            order_states=names_of(OrderState),
            order_events=names_of(OrderEvent),
            pair_states=names_of(PairState),
            actions=names_of(Pull),
            final_order_states=frozenset(int(state) for state in OrderState if IS_TERMINAL[state]),
            final_pair_states=frozenset({int(PairState.IDLE)}),
        ),
    )
    return JournalRole(parameters, ports)


def _collector(shard: Shard) -> Role:
    house = shard.house
    parameters = house.parameters[shard.name]
    log = _log(shard)
    ports = CollectorPorts(
        instruments=house.instruments,
        clock=house.clock,
        metrics=shard.metrics,
        log=log,
        signals=[_consumer(shard, f"signals.{feed.name}") for feed in house.plan.of_kind("feed")],
        responses=_consumer(shard, "responses"),
        events=_producer(shard, "events"),
        control=_consumer(shard, f"control.{shard.name}"),
        external=open_external(parameters.external, None, house.instruments, parameters.pairs, house.clock, log),
        reload=lambda generation: house.parameters[shard.name],
        source_index=shard.plan.index,
    )
    return CollectorRole(parameters, ports)


def _prepost(shard: Shard) -> Role:
    house = shard.house
    wall_ns = house.clock.realtime_ns
    epoch = house.epoch = next_epoch(house.journal_path, "world", wall_ns)
    pairs = house.plan.pairs
    history, _, mark = read_start(house.journal_path, house.instruments, pairs, epoch, wall_ns=wall_ns)
    plan = plan_text(house.instruments, pairs)
    journal_metrics = house.rows["metrics.journal"].reader()
    collector = house.shards["collector"]
    ports = PrepostPorts(
        instruments=house.instruments,
        clock=house.clock,
        metrics=shard.metrics,
        log=_log(shard),
        events=_consumer(shard, "events"),
        reports=_consumer(shard, "reports"),
        commands=_producer(shard, "commands"),
        journal=_producer(shard, "journal"),
        positions=house.rows["positions"].open_writer(),
        risk=house.rows["risk"].open_writer(),
        tops=house.tops(),
        collector_alive=collector.is_alive,
        journal_trouble=lambda now_ns: int(state_of(journal_metrics.read(0), now_ns)),
        control=_consumer(shard, f"control.{shard.name}"),
        responses=_producer(shard, "responses"),
        strategy_responses=[
            _producer(shard, f"responses.{role.name}") for role in house.plan.of_kind("feed") for _ in range(role.strategies)
        ],
        history=history,
        keep_checkpoint=lambda state: write_checkpoint(house.journal_path, plan, mark, state, wall_ns()),
        load_parameters=lambda generation: house.parameters[shard.name],
        source=shard.plan.index,
    )
    parameters = replace(house.parameters[shard.name], orders_max=ORDERS_MAX, closed_orders_kept_max=ORDERS_MAX)
    return PrepostRole(parameters, ports)


def _feed(shard: Shard) -> Role:
    house = shard.house
    ports = FeedPorts(
        instruments=house.instruments,
        endpoints={each.venue: each for each in house.plan.endpoints},
        network=shard.network,
        clock=house.clock,
        metrics=shard.metrics,
        log=_log(shard),
        signals=_producer(shard, f"signals.{shard.name}"),
        tops=house.rows[f"tops.{shard.name}"].open_writer(),
        positions=house.rows["positions"].reader(),
        control=_consumer(shard, f"control.{shard.name}"),
        responses=_consumer(shard, f"responses.{shard.name}") if shard.plan.strategies else None,
        reload=lambda generation: house.parameters[shard.name],
        source_index=shard.plan.index,
    )
    return FeedRole(house.parameters[shard.name], ports)


def _engine(shard: Shard) -> Role:
    house = shard.house
    ports = EnginePorts(
        commands=_consumer(shard, "commands"),
        reports=_producer(shard, "reports"),
        network=shard.network,
        prepost_alive=house.shards["prepost"].is_alive,
        credentials={each.venue: house.key for each in house.plan.endpoints},
        instruments=house.instruments,
        clock=house.clock,
        metrics=shard.metrics,
        log=_log(shard),
        control=_consumer(shard, f"control.{shard.name}"),
        uniform=house.dice.random,
    )
    return EngineRole(house.parameters[shard.name], ports)


BUILDERS: Final[dict[str, Callable[[Shard], Role]]] = {
    "journal": _journal,
    "collector": _collector,
    "prepost": _prepost,
    "feed": _feed,
    "engine": _engine,
}
