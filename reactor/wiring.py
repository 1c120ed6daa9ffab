"""The fuse box: plan → roles joined by links. The only file that knows every room.

    python -m reactor.wiring <plan file> <shard> [secrets fd]

builds exactly one shard and runs it; the supervisor starts one such process per shard. A room is imported only where one of
its roles runs. Two roles in one shard are joined by a ring in private memory, with the same code on both ends.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reactor.config.plan import HOT_KINDS, SUPERVISOR, LinkPlan, Plan, RolePlan, RowsPlan, ShardPlan, market_link, read_plan
from reactor.config.secrets import Secrets, take_over
from reactor.domain.errors import ConfigError, TradeError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import SIZE, VIEW, LifeState
from reactor.exchanges.venue import Credentials
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics, Span
from reactor.loop.log import RingLog
from reactor.loop.role import Role
from reactor.loop.scheduler import pin_to
from reactor.loop.shard import EXIT_CONFIG, EXIT_FAILED, Cell, Link, Shard, ShardParameters
from reactor.loop.wait import WaitPolicy
from shm.histogram import open_histograms_writer
from shm.ring import Consumer, Dormitory, Producer, Watch, heap_ring, open_consumer, open_producer
from shm.segment import Memory, SegmentError
from shm.seqlock import RowsReader, RowsWriter, open_rows_reader, open_rows_writer
from shm.wake import Bell

HEARTBEAT_AGE_NS_MAX = 1_000_000_000  # Neighbours of a role count it as dead after a second without a pass.
WARM_UP_PLAYS = 100  # Beyond a few dozen the interpreter has specialised everything; 30 ms.
FLOW = ("collector", "prepost", "engine", "feed", "journal")  # Of a pass: a feed speaks from its sockets, not in its pass.
DECIDERS = ("prepost", "engine", "collector")  # The first of them that a shard has knows when something was decided.
PRODUCER_KINDS = ("feed", "live_bot")  # They write signals.
CONNECT_WAIT_NS = 200_000_000  # The supervisor looks every 20 ms.
JOURNAL_WAIT_NS = 1_000_000_000  # A journal writer that lives needs milliseconds.
JOURNAL_COMMIT_S = 0.02  # What it has read is in the file after its delay_ms_max (5 ms) and a commit.


def open_rows_of(memory: Memory, rows: RowsPlan) -> RowsReader:
    """What anybody outside of the writer uses to look at a segment of the plan."""
    return open_rows_reader(memory, rows.name, rows.count, SIZE[rows.message], VIEW[rows.message])


def open_consumer_of(memory: Memory, link: LinkPlan) -> Consumer:
    """The reading end of a link of the plan."""
    return open_consumer(memory, link.name, link.capacity, SIZE[link.message], VIEW[link.message], link.lanes)


def open_producer_of(memory: Memory, link: LinkPlan, wake_fd: int) -> Producer:
    """The writing end of a link of the plan. `wake_fd`: the bell of the shard that reads."""
    return open_producer(memory, link.name, link.capacity, SIZE[link.message], VIEW[link.message], wake_fd, link.lanes)


class Wires:
    """The ends of links and segments that one shard holds."""

    def __init__(self, plan: Plan, shard: ShardPlan, memory: Memory) -> None:
        self.plan = plan
        self.shard = shard
        self.memory = memory
        self.inputs: list[Consumer] = []  # they wake this shard
        self.neighbours: list[tuple[Consumer, int]] = []  # lanes of signals between two roles of this shard
        self.read: list[tuple[Consumer, int]] = []  # lanes that the role which is being built reads
        self.links: list[Link] = []  # everything that wants refresh
        self._heap: dict[str, tuple[Producer, Consumer]] = {}
        self._links = {link.name: link for link in plan.links}
        self._rows = {rows.name: rows for rows in plan.rows}
        self._writers: dict[str, RowsWriter] = {}
        self._readers: dict[str, RowsReader] = {}

    def _is_inside(self, link: LinkPlan) -> bool:
        return link.producer in self.shard.roles and link.consumer in self.shard.roles

    def _inside(self, link: LinkPlan) -> tuple[Producer, Consumer]:
        if link.name not in self._heap:
            self._heap[link.name] = heap_ring(link.capacity, SIZE[link.message], VIEW[link.message], link.lanes, name=link.name)
        return self._heap[link.name]

    def producer(self, name: str) -> Producer:
        """The writing end of a link."""
        link = self._links[name]
        if self._is_inside(link):
            return self._inside(link)[0]
        reader = None if link.consumer == SUPERVISOR else self.plan.shard_of(link.consumer)
        producer = open_producer_of(self.memory, link, -1 if reader is None else reader.wake_fd)
        if reader is not None and reader.core == self.shard.core and self.plan.role(link.consumer).kind in HOT_KINDS:
            producer.hand_over()  # Both pinned nowhere, or to one core. The tick goes on; what is left of our pass can wait.
        self.links.append(producer)
        return producer

    def consumer(self, name: str, is_apart: bool = False) -> Consumer:
        """The reading end of a link. `is_apart`: nobody wakes its reader or looks for its partner; the role sees to both."""
        link = self._links[name]
        if self._is_inside(link):  # Nobody writes to it while we sleep: it needs no bell and no partner to look for.
            consumer = self._inside(link)[1]
            if link.message == "signal":
                self.neighbours += [(consumer, lane) for lane in range(link.lanes)]
        else:
            consumer = open_consumer_of(self.memory, link)
            if not is_apart:
                self.inputs.append(consumer)
                self.links.append(consumer)
        self.read += [(consumer, lane) for lane in range(link.lanes)]
        return consumer

    def rows_writer(self, name: str) -> RowsWriter:
        """The one writer of a segment."""
        if name not in self._writers:
            rows = self._rows[name]
            writer = open_rows_writer(self.memory, rows.name, rows.count, SIZE[rows.message], VIEW[rows.message])
            self.links.append(writer)
            self._writers[name] = writer
        return self._writers[name]

    def rows_reader(self, name: str) -> RowsReader:
        """A reader of a segment; of our own one too."""
        if name not in self._readers:
            rows = self._rows[name]
            if rows.writer in self.shard.roles:
                reader = RowsReader(rows.name, rows.count, SIZE[rows.message], VIEW[rows.message], None)
                reader.attach(self.rows_writer(name).own_segment)
            else:
                reader = open_rows_of(self.memory, rows)
                self.links.append(reader)
            self._readers[name] = reader
        return self._readers[name]

    def is_alive(self, role: str) -> Callable[[int], bool]:
        """Whether a neighbour has had a pass within the last second."""
        if role in self.shard.roles:
            return lambda now_ns: True
        reader = self.rows_reader(f"metrics.{role}")

        def alive(now_ns: int) -> bool:
            row = reader.read(0)
            return bool(now_ns - row.heartbeat_ns < HEARTBEAT_AGE_NS_MAX and row.life_state in _LIVING)

        return alive

    def tops(self) -> Callable[[int], Any]:
        """Instrument index → its book top, whichever feed owns the book."""
        owner = {index: role.name for role in self.plan.of_kind("feed") for index in role.instruments}
        if len(set(owner.values())) == 1 and len(owner) == len(self.plan.instruments):
            read_top: Callable[[int], Any] = self.rows_reader(f"tops.{owner[0]}").read
            return read_top  # One feed has all books: nothing to choose per order.
        readers = [self.rows_reader(f"tops.{owner[i]}").read if i in owner else None for i in range(len(self.plan.instruments))]

        def top(instrument_index: int) -> Any:
            read = readers[instrument_index]
            assert read is not None, "every traded instrument has a feed"
            return read(instrument_index)

        return top


# Who has left in order counts as alive until its last heartbeat is old: at a stop all leave within milliseconds, and no
# neighbour shall take that for a death.
_LIVING = (LifeState.STARTING, LifeState.READY, LifeState.RUNNING, LifeState.STOPPING, LifeState.STOPPED)


@dataclass
class Bench:
    """Everything that a room's builder may need."""

    plan: Plan
    role: RolePlan
    parameters: Any  # the room's own dataclass
    wires: Wires
    shard: Shard
    clock: SystemClock
    metrics: Metrics
    log: RingLog
    secrets: Secrets
    instruments: Instruments

    def network(self) -> Any:
        """The role's network, closed after on_stop. A frame of a feed may be a tick: what it wrote is read at once."""
        from reactor.net.session import UvloopNetwork

        network = UvloopNetwork(
            on_error=self._on_error, on_activity=self.shard.activity_of(self.role.name, is_tick=self.role.kind == "feed")
        )
        self.shard.on_close(network.close)
        return network

    def _on_error(self, error: BaseException, where: str) -> None:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
        self.log.error("a network callback failed", where=where, error=f"{type(error).__name__}: {error}")

    def control(self) -> Consumer:
        """The supervisor's voice."""
        return self.wires.consumer(f"control.{self.role.name}")

    def one(self, kind: str) -> str:
        """Name of the only role of a kind."""
        return self.plan.of_kind(kind)[0].name

    def reload(self) -> Callable[[int], Any]:
        """Plan generation → this role's parameters in it."""

        def load(generation: int) -> Any:
            plan = read_plan(Path(self.plan.directory) / f"plan.{generation}")
            return plan.role(self.role.name).read_parameters()

        return load


def _journal(bench: Bench) -> Role:
    from reactor.journal.role import JournalPorts, JournalRole
    from reactor.journal.schema import Words, names_of
    from reactor.prepost.kill_switch import Pull
    from reactor.prepost.orders import IS_TERMINAL, OrderEvent, OrderState
    from reactor.prepost.pairs import PairState

    ports = JournalPorts(
        journal=[bench.wires.consumer("journal", is_apart=True)],
        path=Path(bench.plan.home) / "journal.sqlite",
        instruments=bench.instruments,
        clock=bench.clock,
        metrics=bench.metrics,
        log=bench.log,
        words=Words(
            order_states=names_of(OrderState),
            order_events=names_of(OrderEvent),
            pair_states=names_of(PairState),
            actions=names_of(Pull),
            final_order_states=frozenset(int(state) for state in OrderState if IS_TERMINAL[state]),
            final_pair_states=frozenset({int(PairState.IDLE)}),
        ),
    )
    return JournalRole(bench.parameters, ports)


def _collector(bench: Bench) -> Role:
    from reactor.collector.external import open_external
    from reactor.collector.role import CollectorPorts, CollectorRole

    parameters = bench.parameters
    external = open_external(
        parameters.external,
        bench.wires.memory,
        bench.instruments,
        parameters.pairs,
        bench.clock,
        bench.log,
        bench.secrets.external_token,
    )
    ports = CollectorPorts(
        instruments=bench.instruments,
        clock=bench.clock,
        metrics=bench.metrics,
        log=bench.log,
        signals=[bench.wires.consumer(f"signals.{role.name}") for kind in PRODUCER_KINDS for role in bench.plan.of_kind(kind)],
        responses=bench.wires.consumer("responses"),
        events=bench.wires.producer("events"),
        control=bench.control(),
        external=external,
        reload=bench.reload(),
        source_index=bench.role.index,
    )
    return CollectorRole(bench.parameters, ports)


def wait_until_connected(end: Producer | RowsReader) -> None:
    """Blocks, at start only, until the other end has met us, or seems not to be there: so that the first words are heard."""
    deadline_ns = time.monotonic_ns() + CONNECT_WAIT_NS
    while not end.is_connected and time.monotonic_ns() < deadline_ns:
        time.sleep(0.002)
        end.refresh(time.monotonic_ns())


def wait_until_read(producer: Producer) -> None:
    """Blocks, at start only, until the reader of a ring has everything that our predecessor wrote, or seems to be dead."""
    deadline_ns = time.monotonic_ns() + JOURNAL_WAIT_NS
    while time.monotonic_ns() < deadline_ns:
        producer.refresh(time.monotonic_ns())
        if producer.is_connected and producer.free() >= producer.capacity:
            time.sleep(JOURNAL_COMMIT_S)
            return
        time.sleep(0.002)


def _prepost(bench: Bench) -> Role:
    from reactor.collector.role import Counter as CollectorCounter
    from reactor.journal.checkpoint import FILLS_MIN, plan_text, write_checkpoint
    from reactor.journal.history import next_epoch, read_start
    from reactor.journal.role import state_of
    from reactor.prepost.role import PrepostPorts, PrepostRole

    plan, wires = bench.plan, bench.wires
    path = Path(plan.home) / "journal.sqlite"
    journal = wires.producer("journal")
    wait_until_read(journal)
    epoch = next_epoch(path, f"{plan.instance} pid {os.getpid()}")
    history, forgotten, mark = read_start(path, bench.instruments, plan.pairs, epoch)

    def keep_checkpoint(state: str) -> None:
        try:
            write_checkpoint(path, plan_text(bench.instruments, plan.pairs), mark, state, time.time_ns())
        except TradeError as error:  # The next start reads more: that is all.
            bench.log.warning("no checkpoint of the journal was written", why=str(error))

    if forgotten.instruments or forgotten.pairs:
        bench.log.warning(
            "the journal knows what the config does not",
            instruments=", ".join(forgotten.instruments),
            pairs=", ".join(forgotten.pairs),
        )
    feeds = {role.name: role for role in plan.of_kind("feed") if role.strategies}
    answers = {name: wires.producer(f"responses.{name}") for name in feeds}
    strategy_responses = [answers[name] for name, role in feeds.items() for _ in range(role.strategies)]
    bots = {len(strategy_responses) + number: bot.name for number, bot in enumerate(plan.of_kind("live_bot"))}
    strategy_responses += [wires.producer(f"responses.{name}") for name in bots.values()]
    journal_metrics = wires.rows_reader(f"metrics.{bench.one('journal')}")
    collector_metrics = wires.rows_reader(f"metrics.{bench.one('collector')}")
    wait_until_connected(journal_metrics)
    ports = PrepostPorts(
        instruments=bench.instruments,
        clock=bench.clock,
        metrics=bench.metrics,
        log=bench.log,
        events=wires.consumer("events"),
        reports=wires.consumer("reports"),
        commands=wires.producer("commands"),
        journal=journal,
        positions=wires.rows_writer("positions"),
        risk=wires.rows_writer("risk"),
        tops=wires.tops(),
        collector_alive=wires.is_alive(bench.one("collector")),
        collector_hears=lambda: bool(collector_metrics.read(0).counters[CollectorCounter.RESPONSE_READERS]),
        journal_trouble=lambda now_ns: int(state_of(journal_metrics.read(0), now_ns)),
        control=bench.control(),
        responses=wires.producer("responses"),
        strategy_responses=strategy_responses,
        strategies_alive={index: wires.is_alive(name) for index, name in bots.items()},
        history=history,
        keep_checkpoint=keep_checkpoint if len(history.fills) >= FILLS_MIN else None,
        load_parameters=bench.reload(),
        source=bench.role.index,
    )
    return PrepostRole(bench.parameters, ports)


def _feed(bench: Bench) -> Role:
    from reactor.feed.publish import TOPIC_NAME
    from reactor.feed.role import FeedPorts, FeedRole
    from shm.topic import TopicPublisher

    plan, wires, role = bench.plan, bench.wires, bench.role
    topic = TopicPublisher(wires.memory, TOPIC_NAME, role.index) if plan.has_topic else None
    if topic is not None:
        wires.links.append(topic)  # Who is refreshed notices that somebody listens.
    ports = FeedPorts(
        instruments=bench.instruments,
        endpoints={each.venue: each for each in plan.endpoints},
        network=bench.network(),
        clock=bench.clock,
        metrics=bench.metrics,
        log=bench.log,
        signals=wires.producer(f"signals.{role.name}"),
        tops=wires.rows_writer(f"tops.{role.name}"),
        positions=wires.rows_reader("positions"),
        control=bench.control(),
        responses=wires.consumer(f"responses.{role.name}") if role.strategies else None,
        topic=topic,
        reload=bench.reload(),
        source_index=role.index,
        bots=[
            (wires.producer(market_link(role.name, bot.name)), frozenset(bot.instruments))
            for bot in plan.of_kind("live_bot")
            if not set(bot.instruments).isdisjoint(role.instruments)
        ],
    )
    return FeedRole(bench.parameters, ports)


def _engine(bench: Bench) -> Role:
    from reactor.engine.role import EnginePorts, EngineRole

    credentials = bench.secrets.credentials
    assert credentials is not None, "the supervisor hands the key to the engine's process"
    ports = EnginePorts(
        commands=bench.wires.consumer("commands"),
        reports=bench.wires.producer("reports"),
        network=bench.network(),
        prepost_alive=bench.wires.is_alive(bench.one("prepost")),
        credentials={each.venue: credentials for each in bench.plan.endpoints},
        instruments=bench.instruments,
        clock=bench.clock,
        metrics=bench.metrics,
        log=bench.log,
        control=bench.control(),
    )
    return EngineRole(bench.parameters, ports)


BUILDERS: dict[str, Callable[[Bench], Role]] = {
    "journal": _journal,
    "collector": _collector,
    "prepost": _prepost,
    "feed": _feed,
    "engine": _engine,
}


def build(plan: Plan, shard_plan: ShardPlan, shard: Shard, secrets: Secrets) -> None:
    """Builds the roles of one shard and plugs them in.

    Raises:
        TradeError, SegmentError: the role cannot start; the sentence is for the user.
    """
    memory = Memory(plan.instance, shard_plan.name)
    memory.remove_stale_resources()  # A predecessor that was killed still owns what we are about to open.
    wires = Wires(plan, shard_plan, memory)
    clock = SystemClock()
    instruments = Instruments(plan.instruments)
    cells: list[Cell] = []
    here = {plan.role(name).kind for name in shard_plan.roles}
    decider = next((kind for kind in DECIDERS if kind in here), "")
    for name in shard_plan.roles:
        role_plan = plan.role(name)
        histograms = open_histograms_writer(memory, f"histograms.{name}", len(Span))
        wires.links.append(histograms)
        metrics = Metrics(wires.rows_writer(f"metrics.{name}"), histograms)
        log_ring = wires.producer(f"log.{name}")
        wait_until_connected(log_ring)
        log = RingLog(log_ring, clock, role_plan.index, plan.log_level)
        for warning in memory.warnings:
            log.warning("memory is not locked", reason=warning)
        memory.warnings.clear()
        bench = Bench(plan, role_plan, role_plan.read_parameters(), wires, shard, clock, metrics, log, secrets, instruments)
        wires.read.clear()
        role = BUILDERS[role_plan.kind](bench)
        # The journal writer has its own rhythm: it gathers.
        unread = None if role_plan.kind == "journal" else Watch(wires.read).unread
        cells.append(Cell(role, metrics, log, unread, decides=role_plan.kind == decider))
    flow = {kind: place for place, kind in enumerate(FLOW)}
    cells.sort(key=lambda cell: flow[plan.role(cell.role.name).kind])  # Built in order of start, worked in order of the flow.
    kinds = {plan.role(cell.role.name).kind: cell.role for cell in cells}
    if "prepost" in kinds and "engine" in kinds:
        plug_engine_beside(kinds["prepost"], kinds["engine"], shard)
    if "collector" in kinds:
        for cell in cells:
            if plan.role(cell.role.name).kind == "feed":
                plug_collector_beside(cell.role, kinds["collector"], shard)
    plays = rehearsals(plan, shard_plan, instruments, secrets.credentials) if shard_plan.rehearsal_us else []
    for _ in range(WARM_UP_PLAYS):
        for play in plays:
            play()
    sleepers = [Dormitory(wires.inputs)] if wires.inputs else []
    shard.plug(cells, sleepers, wires.links, Watch(wires.neighbours).unread if wires.neighbours else None, plays)


def plug_engine_beside(prepost: Role, engine: Role, shard: Shard) -> None:
    """An engine beside prepost sends a command at once: prepost's bookkeeping waits for the socket, not the other way round."""
    from reactor.engine.role import EngineRole
    from reactor.prepost.role import PrepostRole

    assert isinstance(prepost, PrepostRole), "roles are what their kinds say"
    assert isinstance(engine, EngineRole), "roles are what their kinds say"
    prepost.out.send_at_once = engine.take_commands
    engine.wake = shard.waker_of(engine.name)


def plug_collector_beside(feed: Role, collector: Role, shard: Shard) -> None:
    """A collector beside a feed reads what a trigger waits for as soon as it is said: nothing of the pass stands between."""
    from reactor.collector.role import CollectorRole
    from reactor.feed.role import FeedRole

    assert isinstance(feed, FeedRole), "roles are what their kinds say"
    assert isinstance(collector, CollectorRole), "roles are what their kinds say"
    feed.board.plug_collector(shard.turn_behind(feed.name), collector.is_awaiting)


def rehearsals(
    plan: Plan, shard_plan: ShardPlan, instruments: Instruments, credentials: Credentials | None
) -> list[Callable[[], None]]:
    """What keeps this shard's decisions warm, in the order of the flow."""
    from reactor.rehearsal import CollectorRehearsal, EngineRehearsal, MarketRehearsal, PrepostRehearsal

    plays: list[Callable[[], None]] = []
    roles = [plan.role(name) for name in shard_plan.roles]
    collector = next((role.read_parameters() for role in roles if role.kind == "collector"), None)
    markets = [
        parameters for parameters in (role.read_parameters() for role in roles if role.kind == "feed") if owns_pair(parameters)
    ]
    if markets:  # One is enough: the others run the same code.
        endpoints = {each.venue: each for each in plan.endpoints}
        plays.extend(MarketRehearsal(markets[0], instruments, endpoints, collector).acts)
    elif collector is not None:
        plays.extend(CollectorRehearsal(collector, instruments).acts)
    for role in sorted(roles, key=lambda role: FLOW.index(role.kind)):
        if role.kind == "prepost":
            plays.extend(PrepostRehearsal(role.read_parameters(), instruments).acts)
        elif role.kind == "engine" and credentials is not None:
            keys = {each.venue: credentials for each in plan.endpoints}
            has_loopback = shard_plan.wait_policy != WaitPolicy.SPIN
            plays.extend(EngineRehearsal(role.read_parameters(), instruments, keys, has_loopback=has_loopback).acts)
    return plays


def owns_pair(feed: Any) -> bool:
    """The feed of these parameters makes the signals of a pair."""
    return any(set(legs) <= set(feed.instruments) for legs in feed.pairs)


def run_live_bot(plan: Plan, shard_plan: ShardPlan) -> int:
    """The process of a live bot: no shard and no loop of ours, the strategy's own loop. Returns its exit code.

    Raises:
        TradeError, SegmentError: it cannot start; the sentence is for the user.
    """
    from reactor.live_bot.core import BotWires
    from reactor.live_bot.role import LiveBotPorts, LiveBotRole

    role_plan = plan.role(shard_plan.roles[0])
    pin_to(shard_plan.core)
    memory = Memory(plan.instance, shard_plan.name)
    memory.remove_stale_resources()
    wires = Wires(plan, shard_plan, memory)
    rows = wires.rows_writer(f"metrics.{role_plan.name}")
    risk = wires.rows_reader("risk")
    log_ring = wires.producer(f"log.{role_plan.name}")
    wait_until_connected(log_ring)
    feeds = [feed for feed in plan.of_kind("feed") if not set(role_plan.instruments).isdisjoint(feed.instruments)]
    bot_wires = BotWires(
        signals=wires.producer(f"signals.{role_plan.name}"),
        markets=[wires.consumer(market_link(feed.name, role_plan.name)) for feed in feeds],
        responses=wires.consumer(f"responses.{role_plan.name}"),
        positions=wires.rows_reader("positions"),
        metrics_segment=rows.own_segment.address,
        wake_fd=shard_plan.wake_fd,
    )
    ports = LiveBotPorts(
        instruments=Instruments(plan.instruments),
        wires=bot_wires,
        metrics=Metrics(rows),
        log=RingLog(log_ring, SystemClock(), role_plan.index, plan.log_level),
        control=wires.consumer(f"control.{role_plan.name}"),
        links=wires.links,
        is_reconciled=lambda: bool(risk.read(0).is_reconciled),
        source_index=role_plan.index,
        directory=Path(plan.home),
    )
    parameters: Any = role_plan.read_parameters()
    return LiveBotRole(parameters, ports).run()


def is_hot(plan: Plan, shard_plan: ShardPlan) -> bool:
    """It stands between a tick and an order."""
    return any(plan.role(name).kind in HOT_KINDS for name in shard_plan.roles)


def step_of(plan: Plan, shard_plan: ShardPlan) -> int:
    """How many roles a tick has passed before it comes to this shard."""
    kinds = [plan.role(name).kind for name in shard_plan.roles]
    return min((HOT_KINDS.index(kind) for kind in kinds if kind in HOT_KINDS), default=0)


def hot_neighbours(plan: Plan, shard_plan: ShardPlan) -> int:
    """How many other hot processes may run on its core."""
    others = [each for each in plan.shards if each.name != shard_plan.name and is_hot(plan, each)]
    return sum(shard_plan.core is None or each.core in (None, shard_plan.core) for each in others)


def main(arguments: list[str]) -> int:
    """The process of one shard. Returns its exit code."""
    plan = read_plan(Path(arguments[0]))
    shard_plan = plan.shard(arguments[1])
    secrets = take_over(int(arguments[2])) if len(arguments) > 2 else Secrets()
    parameters = ShardParameters(
        shard_plan.name,
        shard_plan.core,
        WaitPolicy(shard_plan.wait_policy),
        shard_plan.hybrid_spin_us,
        is_hot=is_hot(plan, shard_plan),
        hot_neighbours=hot_neighbours(plan, shard_plan),
        step=step_of(plan, shard_plan),
        rehearsal_ns=shard_plan.rehearsal_us * 1000,
    )
    try:
        if plan.role(shard_plan.roles[0]).kind == "live_bot":
            return run_live_bot(plan, shard_plan)
        shard = Shard(parameters, SystemClock(), shard_plan.wake_fd, Bell(shard_plan.wake_fd).silence)
        return shard.run(lambda it: build(plan, shard_plan, it, secrets))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except (TradeError, SegmentError) as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    finally:
        sys.stderr.flush()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # No interpreter teardown: iceoryx2 has been closed, and a role that leaves should be gone.
