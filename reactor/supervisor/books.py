"""What our own journal says we own, rebuilt by the code that books it live: the left side of the final comparison.

A desk is made on private memory, fed with the journal's history and asked; it can send nothing to anybody.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from reactor.config.plan import Plan
from reactor.domain.instrument import Instruments
from reactor.domain.messages import SIZE, VIEW, new
from reactor.journal.history import Reader, read_history
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import NullLog
from reactor.prepost.parameters import PrepostParameters
from shm.ring import Consumer, Producer, heap_ring
from shm.seqlock import RowsWriter, heap_rows

CAPACITY = 8192  # Restoring asks about every unsettled order and writes nothing else.
IDLE_CAPACITY = 64  # Of what nobody writes: a slot costs memory on both ends and in both lanes.
EPOCH_MAX = 2**23 - 1


@dataclass(frozen=True)
class OurBooks:
    """Amounts in 1e-8."""

    balances: dict[int, dict[str, int]]  # venue → asset → amount
    position_lots: tuple[int, ...]  # by instrument index


def booked_funding(plan: Plan) -> list[tuple[str, str, int]]:
    """Venue, symbol and exchange's time in ms of every funding payment in the journal.

    Raises:
        ConfigError, DataError: the journal cannot be read.
    """
    with Reader(Path(plan.home) / "journal.sqlite") as reader:
        rows = reader.rows("SELECT venue, symbol, exchange_ns FROM funding")
        return [(row["venue"], row["symbol"], row["exchange_ns"] // 1_000_000) for row in rows]


def read_books(plan: Plan) -> OurBooks:
    """Call it when the journal writer has left.

    Raises:
        ConfigError, DataError: the journal cannot be read.
    """
    from reactor.prepost.role import PrepostPorts, PrepostRole  # Here: the room comes with it, and a session ends only once.

    instruments = Instruments(plan.instruments)
    history, _ = read_history(Path(plan.home) / "journal.sqlite", instruments, plan.pairs, EPOCH_MAX)
    kept: list[object] = []

    def ring(message: str, capacity: int = CAPACITY) -> tuple[Producer, Consumer]:
        ends = heap_ring(capacity, SIZE[message], VIEW[message])
        kept.append(ends)
        return ends

    def rows(message: str, count: int) -> RowsWriter:
        writer, reader = heap_rows(count, SIZE[message], VIEW[message])
        kept.append(reader)
        return writer

    top = new("book_top")
    ports = PrepostPorts(
        instruments=instruments,
        clock=SystemClock(),
        metrics=Metrics(),
        log=NullLog(),
        events=ring("event", IDLE_CAPACITY)[1],
        reports=ring("report", IDLE_CAPACITY)[1],
        commands=ring("command")[0],
        journal=ring("journal")[0],
        positions=rows("position", len(instruments)),
        risk=rows("risk", 1),
        tops=lambda index: top,
        collector_alive=lambda now_ns: True,
        responses=ring("response", IDLE_CAPACITY)[0],
        history=history,
    )
    parameters: Any = plan.of_kind("prepost")[0].read_parameters()
    role = PrepostRole(cast(PrepostParameters, parameters), ports)
    role.on_start(ports.clock.monotonic_ns())
    role.do_work(ports.clock.monotonic_ns())
    balances = {endpoints.venue: role.desk.balances.of_venue(endpoints.venue) for endpoints in plan.endpoints}
    lots = tuple(int(ports.positions.edit(index).position_lots) for index in range(len(instruments)))
    return OurBooks(balances, lots)
