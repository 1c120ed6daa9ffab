"""A rehearsal plays the room's own code to the end and grows no memory; what it decides goes nowhere."""

import gc
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reactor.collector.role import Counter as CollectorCounter
from reactor.domain.instrument import Instruments
from reactor.engine.counters import Counter as EngineCounter
from reactor.exchanges.venue import Credentials
from reactor.prepost.counters import Counter as PrepostCounter
from reactor.rehearsal import CollectorRehearsal, EngineRehearsal, PrepostRehearsal

sys.path.insert(0, str(Path(__file__).parent / "config"))

from test_plan import make_plan

PLAYS = 40


@pytest.fixture(scope="module")
def rooms() -> dict[str, Any]:
    plan = make_plan()
    return {role.kind: role.read_parameters() for role in plan.roles} | {"instruments": Instruments(plan.instruments)}


def play(rehearsal: Any) -> Any:
    for _ in range(PLAYS):
        rehearsal.play()
    return rehearsal._role._metrics


def test_the_collector_fires_once_per_play(rooms: dict[str, Any]) -> None:
    metrics = play(CollectorRehearsal(rooms["collector"], rooms["instruments"]))
    assert metrics.get(CollectorCounter.EVENTS) == PLAYS


def test_the_collector_without_pairs_fires_for_a_strategy(rooms: dict[str, Any]) -> None:
    metrics = play(CollectorRehearsal(replace(rooms["collector"], pairs=()), rooms["instruments"]))
    assert metrics.get(CollectorCounter.EVENTS) == PLAYS


def test_prepost_sends_one_order_per_play_and_refuses_none(rooms: dict[str, Any]) -> None:
    rehearsal = PrepostRehearsal(rooms["prepost"], rooms["instruments"])
    metrics = play(rehearsal)
    refused = range(PrepostCounter.REFUSED, PrepostCounter.REFUSED_LAST + 1)
    assert metrics.get(PrepostCounter.EVENTS) == PLAYS
    assert not any(metrics.get(counter) for counter in refused)
    assert not rehearsal._role.desk.orders.unsettled


def test_the_engine_places_one_order_per_play_and_hears_its_end(rooms: dict[str, Any]) -> None:
    credentials = {venue: Credentials("k" * 64, "s" * 64) for venue in (0, 1)}
    rehearsal = EngineRehearsal(rooms["engine"], rooms["instruments"], credentials)
    metrics = play(rehearsal)
    assert metrics.get(EngineCounter.PLACES_SENT) == PLAYS
    assert metrics.get(EngineCounter.REPORTS) >= 2 * PLAYS  # an acknowledgement and an end for each
    assert metrics.get(EngineCounter.FRAMES_MALFORMED) == 0
    assert len(rehearsal._role._in_flight) == 0


WARM_PLAYS = 5_000  # The engine remembers 4 096 closed orders before it forgets the first.
BLOCKS_MAX = 100  # over all measured plays: a table that rounds up its size, never something per message


def _makers(rooms: dict[str, Any]) -> dict[str, Any]:
    credentials = {venue: Credentials("k" * 64, "s" * 64) for venue in (0, 1)}
    return {
        "collector": lambda: CollectorRehearsal(rooms["collector"], rooms["instruments"]),
        "prepost": lambda: PrepostRehearsal(rooms["prepost"], rooms["instruments"]),
        "engine": lambda: EngineRehearsal(rooms["engine"], rooms["instruments"], credentials),
    }


@pytest.mark.parametrize("plays", [1_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("room", ["collector", "prepost", "engine"])
def test_allocated_blocks_do_not_grow_with_the_decisions_made(rooms: dict[str, Any], room: str, plays: int) -> None:
    rehearsal = _makers(rooms)[room]()
    for _ in range(WARM_PLAYS):
        rehearsal.play()
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        for _ in range(plays):
            rehearsal.play()
        grown = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    assert grown < BLOCKS_MAX
