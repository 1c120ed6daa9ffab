"""Maps what the roles publish, read-only, and makes one picture of it. Watching costs the hot path nothing."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import psutil

from reactor.config.plan import Plan
from reactor.domain.instrument import Instruments
from reactor.domain.messages import FIELDS, KillSwitch, LifeState, text_of
from reactor.loop.counters import SPAN_NAMES, Span
from reactor.loop.wait import WaitPolicy
from reactor.monitor.report import Percentiles
from reactor.wiring import open_rows_of
from shm.histogram import HistogramsReader, open_histograms_reader
from shm.segment import Memory
from shm.seqlock import RowsReader

MS = 1_000_000
E8 = 100_000_000
COUNTER_MODULES = ("counters", "role")  # The first that has a Counter: a role brings its whole room into memory.
RISK_FIELDS = tuple(name for name in FIELDS["risk"] if name != "reserved")


@dataclass(frozen=True)
class RoleRow:
    """One role as it looks from outside."""

    name: str
    kind: str
    pid: int
    life: str
    wait: str
    heartbeat_age_ms: float
    incarnation: int
    work_done: int
    counters: Mapping[str, int]
    failure: str
    cpu_percent: float = 0.0
    memory_mb: float = 0.0


@dataclass(frozen=True)
class TopRow:
    """One book top."""

    name: str
    feed: str
    bid: float
    ask: float
    mark: float
    funding_rate: float
    age_ms: float
    is_synchronised: bool
    resyncs: int
    duplicates: int
    clock_offset_ms: float


@dataclass(frozen=True)
class PositionRow:
    """One position and, on an open leg, its pair."""

    name: str
    quantity: float
    lots: int
    realised_pnl_e8: int
    fees_e8: int
    funding_e8: int
    capital_used_e8: int
    pair_state: str
    pair_direction: int
    pending_orders: int
    is_halted: bool
    trades_today: int
    fills: int


@dataclass
class Picture:
    """Everything at one moment."""

    roles: list[RoleRow] = field(default_factory=list)
    tops: list[TopRow] = field(default_factory=list)
    positions: list[PositionRow] = field(default_factory=list)
    risk: dict[str, int] = field(default_factory=dict)
    kill_switch: str = ""
    latency_us: dict[str, Percentiles] = field(default_factory=dict)


def counter_names(kind: str) -> type[IntEnum] | None:
    """The room's own Counter enum."""
    for module in COUNTER_MODULES:
        try:
            found = getattr(importlib.import_module(f"reactor.{kind}.{module}"), "Counter", None)
        except ModuleNotFoundError:
            continue
        if found is not None:
            enum: type[IntEnum] = found
            return enum
    return None


def _pair_states() -> dict[int, str]:
    from reactor.prepost.pairs import PairState

    return {int(state): state.name.lower() for state in PairState}


class Reader:
    """Follows every segment of a plan."""

    def __init__(self, plan: Plan, memory: Memory) -> None:
        self.plan = plan
        self._instruments = Instruments(plan.instruments)
        self._rows: dict[str, RowsReader] = {rows.name: open_rows_of(memory, rows) for rows in plan.rows}
        self._histograms: dict[str, HistogramsReader] = {
            role.name: open_histograms_reader(memory, f"histograms.{role.name}", len(Span)) for role in plan.roles
        }
        self._counters = {role.kind: counter_names(role.kind) for role in plan.roles}
        self._pair_states = _pair_states()
        self._processes: dict[int, psutil.Process] = {}
        self._usages: dict[int, tuple[float, float]] = {}  # of this picture, by pid

    def refresh(self, now_ns: int) -> None:
        """Finds late or restarted writers."""
        for rows in self._rows.values():
            rows.refresh(now_ns)
        for histograms in self._histograms.values():
            histograms.refresh(now_ns)

    def metrics(self, role: str) -> Any:
        """role_metrics_t of a role; zeros before it has started."""
        return self._rows[f"metrics.{role}"].read(0)

    def risk(self) -> Any:
        """risk_summary_t."""
        return self._rows["risk"].read(0)

    def position(self, instrument_index: int) -> Any:
        """position_row_t."""
        return self._rows["positions"].read(instrument_index)

    def top(self, feed: str, instrument_index: int) -> Any:
        """book_top_t."""
        return self._rows[f"tops.{feed}"].read(instrument_index)

    def latency(self) -> dict[str, Percentiles]:
        """Per span, of the role that records it, in µs."""
        found: dict[str, Percentiles] = {}
        for span in Span:
            for histograms in self._histograms.values():
                histogram = histograms[span]
                if histogram is None or histogram.count == 0:
                    continue
                p50, p99, p99_9 = (value / 1000 for value in histogram.percentiles())
                found[SPAN_NAMES[span]] = Percentiles(p50, p99, p99_9, histogram.max / 1000, histogram.count)
        return found

    def counters(self, role: str, kind: str) -> dict[str, int]:
        """The role's counters that are not zero, by name."""
        names = self._counters[kind]
        values = self.metrics(role).counters
        if names is None:
            return {}
        return {member.name.lower(): int(values[member]) for member in names if member < len(values) and values[member]}

    def picture(self, now_ns: int) -> Picture:
        """Everything at this moment."""
        risk = self.risk()
        self._usages.clear()
        return Picture(
            roles=[self._role(role.name, role.kind, now_ns) for role in self.plan.roles],
            tops=[self._top(role.name, index, now_ns) for role in self.plan.of_kind("feed") for index in role.instruments],
            positions=[self._position(index) for index in range(len(self._instruments))],
            risk={name: int(getattr(risk, name)) for name in RISK_FIELDS},
            kill_switch=KillSwitch(risk.kill_switch).name,
            latency_us=self.latency(),
        )

    def _role(self, name: str, kind: str, now_ns: int) -> RoleRow:
        row = self.metrics(name)
        cpu, memory_mb = self._usage(int(row.pid))
        return RoleRow(
            name=name,
            kind=kind,
            pid=int(row.pid),
            life=LifeState(row.life_state).name.lower() if row.heartbeat_ns else "down",
            wait=WaitPolicy(row.wait_policy).name.lower(),
            heartbeat_age_ms=(now_ns - row.heartbeat_ns) / MS if row.heartbeat_ns else 0.0,
            incarnation=int(row.incarnation),
            work_done=int(row.work_done),
            counters=self.counters(name, kind),
            failure=text_of(row.failure),
            cpu_percent=cpu,
            memory_mb=memory_mb,
        )

    def _usage(self, pid: int) -> tuple[float, float]:
        """(CPU percent since the last picture, MB) of a process; roles that share it share the figures."""
        if pid not in self._usages:
            self._usages[pid] = self._measure(pid)
        return self._usages[pid]

    def _measure(self, pid: int) -> tuple[float, float]:
        if not pid:
            return 0.0, 0.0
        try:
            process = self._processes.get(pid)
            if process is None:
                process = self._processes[pid] = psutil.Process(pid)
            return float(process.cpu_percent()), process.memory_info().rss / 1e6
        except psutil.Error:
            self._processes.pop(pid, None)
            return 0.0, 0.0

    def _top(self, feed: str, index: int, now_ns: int) -> TopRow:
        row, instrument = self.top(feed, index), self._instruments[index]
        return TopRow(
            name=instrument.name,
            feed=feed,
            bid=instrument.price_float(row.bid_ticks),
            ask=instrument.price_float(row.ask_ticks),
            mark=row.mark_price,
            funding_rate=row.funding_rate,
            age_ms=max(0.0, (now_ns - row.receive_ns) / MS) if row.receive_ns else -1.0,  # It may be newer than our now.
            is_synchronised=bool(row.is_synchronised),
            resyncs=int(row.resyncs),
            duplicates=int(row.duplicates),
            clock_offset_ms=row.clock_offset_ns / MS,
        )

    def _position(self, index: int) -> PositionRow:
        row, instrument = self.position(index), self._instruments[index]
        return PositionRow(
            name=instrument.name,
            quantity=instrument.quantity_float(row.position_lots),
            lots=int(row.position_lots),
            realised_pnl_e8=int(row.realised_pnl_e8),
            fees_e8=int(row.fees_e8),
            funding_e8=int(row.funding_e8),
            capital_used_e8=int(row.capital_used_e8),
            pair_state=self._pair_states.get(int(row.pair_state), str(row.pair_state)),
            pair_direction=int(row.pair_direction),
            pending_orders=int(row.pending_orders),
            is_halted=bool(row.is_halted),
            trades_today=int(row.trades_today),
            fills=int(row.fills),
        )


def duplicates_of(tops: Sequence[TopRow]) -> tuple[int, int]:
    """(duplicates, resyncs) over all books."""
    return sum(top.duplicates for top in tops), sum(top.resyncs for top in tops)
