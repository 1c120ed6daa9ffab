"""The plan: everything that the processes of one session are built from, as frozen dataclasses without pydantic.

The supervisor writes it once (mode 0600, never with a secret in it); each process reads it and builds its own shard. A
room's parameters travel pickled inside, so that a process imports only the rooms that it hosts.
"""

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path

from reactor.domain.instrument import Instrument
from reactor.exchanges.venue import Endpoints, RateLimit

SUPERVISOR = "supervisor"
HOT_KINDS = ("feed", "collector", "prepost", "engine")  # of roles: from a tick to an order, in this sequence

# Ring capacities: slots per lane, powers of two, each with its reason.
SIGNALS_CAPACITY = 1024  # State-like signals conflate; edge-like ones come by the dozen. 64 collector passes.
EVENTS_CAPACITY = 1024  # A grid of 64 quotes per trigger fits many times; prepost takes 64 per pass.
COMMANDS_CAPACITY = 4096  # 10 000 orders/s for 0.4 s: longer than any pause of the engine that is not a fault.
REPORTS_CAPACITY = 4096  # Two reports per order, and snapshots of a whole account at once; 2 MB per lane.
RESPONSES_CAPACITY = 4096  # One per report that a strategy cares for.
MARKET_CAPACITY = 4096  # 2 MB: a whole book of 2 · 1 000 levels in 72 messages, and a second of a fast market.
JOURNAL_CAPACITY = 8192  # Two thousand orders' lives while a disk stalls; then prepost opens nothing more.
CONTROL_CAPACITY = 64  # A human asks.
LOG_CAPACITY = 1024  # Sampled; a full ring drops and counts.


@dataclass(frozen=True)
class RolePlan:
    """One role. `parameters` is the pickled dataclass of its room."""

    name: str
    kind: str  # feed, collector, prepost, engine, journal, live_bot
    index: int  # header.source of what it writes
    parameters: bytes = b""
    instruments: tuple[int, ...] = ()  # feed: the books it owns; live bot: those it trades
    strategies: int = 0  # how many it hosts

    def read_parameters(self) -> object:
        """Imports the room and opens its parameters."""
        loaded: object = pickle.loads(self.parameters)
        return loaded


@dataclass(frozen=True)
class ShardPlan:
    """One process."""

    name: str
    roles: tuple[str, ...]
    core: int | None
    wait_policy: int
    hybrid_spin_us: int
    wake_fd: int  # inherited under this number
    rehearsal_us: int = 0  # how often idle code is kept warm (reactor/rehearsal.py); 0: never


@dataclass(frozen=True)
class LinkPlan:
    """One ring. `message` is a key of domain.messages.MESSAGE_STRUCTS."""

    name: str
    message: str
    producer: str
    consumer: str
    capacity: int
    lanes: int = 2


@dataclass(frozen=True)
class RowsPlan:
    """One seqlocked segment, open to any reader."""

    name: str
    message: str
    writer: str
    count: int


@dataclass(frozen=True)
class Plan:
    """One session of one instance."""

    instance: str
    generation: int
    directory: str  # the run directory
    home: str  # journal, log, reports
    order_id_prefix: str
    dedicated_account: bool
    is_simulated: bool
    instruments: tuple[Instrument, ...]
    pairs: tuple[tuple[int, int], ...]
    endpoints: tuple[Endpoints, ...]
    rate_limits: tuple[tuple[int, tuple[RateLimit, ...]], ...]
    roles: tuple[RolePlan, ...]
    shards: tuple[ShardPlan, ...]
    links: tuple[LinkPlan, ...]
    rows: tuple[RowsPlan, ...]
    log_level: int = 20
    has_topic: bool = True
    notes: tuple[str, ...] = field(default=())  # why the placement is as it is

    def role(self, name: str) -> RolePlan:
        """The role of that name."""
        return next(role for role in self.roles if role.name == name)

    def shard(self, name: str) -> ShardPlan:
        """The shard of that name."""
        return next(shard for shard in self.shards if shard.name == name)

    def shard_of(self, role: str) -> ShardPlan:
        """The shard that hosts a role."""
        return next(shard for shard in self.shards if role in shard.roles)

    def of_kind(self, kind: str) -> tuple[RolePlan, ...]:
        """All roles of a kind, in plan order."""
        return tuple(role for role in self.roles if role.kind == kind)


def market_link(feed: str, bot: str) -> str:
    """The name of the ring by which a feed tells a live bot its books."""
    return f"market.{feed}.{bot}"


def links_of(roles: tuple[RolePlan, ...]) -> tuple[LinkPlan, ...]:
    """The arrows of the drawing: who writes to whom."""
    kinds = ("feed", "collector", "prepost", "engine", "journal")
    bots = [role for role in roles if role.kind == "live_bot"]
    names = {kind: [role.name for role in roles if role.kind == kind] for kind in kinds}
    links: list[LinkPlan] = []
    for collector in names["collector"]:
        producers = [*names["feed"], *(bot.name for bot in bots)]
        links += (LinkPlan(f"signals.{name}", "signal", name, collector, SIGNALS_CAPACITY) for name in producers)
    for prepost in names["prepost"]:
        for collector in names["collector"]:
            links.append(LinkPlan("events", "event", collector, prepost, EVENTS_CAPACITY))
            links.append(LinkPlan("responses", "response", prepost, collector, RESPONSES_CAPACITY))
        for engine in names["engine"]:
            links.append(LinkPlan("commands", "command", prepost, engine, COMMANDS_CAPACITY))
            links.append(LinkPlan("reports", "report", engine, prepost, REPORTS_CAPACITY))
        for journal in names["journal"]:
            links.append(LinkPlan("journal", "journal", prepost, journal, JOURNAL_CAPACITY, lanes=1))
        links += (
            LinkPlan(f"responses.{role.name}", "response", prepost, role.name, RESPONSES_CAPACITY)
            for role in roles
            if role.kind in ("feed", "live_bot") and role.strategies
        )
    for bot in bots:
        links += (
            LinkPlan(market_link(role.name, bot.name), "market", role.name, bot.name, MARKET_CAPACITY, lanes=1)
            for role in roles
            if role.kind == "feed" and not set(bot.instruments).isdisjoint(role.instruments)
        )
    for role in roles:
        links.append(LinkPlan(f"control.{role.name}", "control", SUPERVISOR, role.name, CONTROL_CAPACITY, lanes=1))
        links.append(LinkPlan(f"log.{role.name}", "log", role.name, SUPERVISOR, LOG_CAPACITY, lanes=1))
    return tuple(links)


def rows_of(roles: tuple[RolePlan, ...], instrument_count: int) -> tuple[RowsPlan, ...]:
    """What anybody may watch."""
    rows = [RowsPlan(f"metrics.{role.name}", "metrics", role.name, 1) for role in roles]
    for role in roles:
        if role.kind == "feed":
            rows.append(RowsPlan(f"tops.{role.name}", "book_top", role.name, instrument_count))
        elif role.kind == "prepost":
            rows.append(RowsPlan("positions", "position", role.name, instrument_count))
            rows.append(RowsPlan("risk", "risk", role.name, 1))
    return tuple(rows)


def write_plan(plan: Plan, path: Path) -> None:
    """Replaces the plan file; only the owner may read it."""
    scratch = path.with_suffix(".new")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        pickle.dump(plan, file)
    os.replace(scratch, path)


def read_plan(path: Path) -> Plan:
    """The plan that this process is built from."""
    with open(path, "rb") as file:
        plan = pickle.load(file)
    assert isinstance(plan, Plan), f"{path} is not a plan"
    return plan
