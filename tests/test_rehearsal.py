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
from reactor.feed.counters import Counter as FeedCounter
from reactor.prepost.counters import Counter as PrepostCounter
from reactor.rehearsal import HOLD_PLAYS, CollectorRehearsal, EngineRehearsal, MarketRehearsal, PrepostRehearsal

sys.path.insert(0, str(Path(__file__).parent / "config"))

from test_plan import make_plan

PLAYS = 40


@pytest.fixture(scope="module")
def rooms() -> dict[str, Any]:
    plan = make_plan()
    others = {"instruments": Instruments(plan.instruments), "endpoints": {each.venue: each for each in plan.endpoints}}
    return {role.kind: role.read_parameters() for role in plan.roles} | others


def play(rehearsal: Any) -> Any:
    for _ in range(PLAYS):
        rehearsal.play()
    return rehearsal._role._metrics


def test_the_market_opens_a_pair_at_wide_spreads_and_closes_an_open_one_at_narrow_ones(
    rooms: dict[str, Any],
) -> None:
    rehearsal = MarketRehearsal(rooms["feed"], rooms["instruments"], rooms["endpoints"], rooms["collector"])
    metrics, counted = rehearsal._collector._metrics, []
    for _ in range(3):
        for _ in range(2 * HOLD_PLAYS):
            rehearsal.play()
        rehearsal._collector._publish()
        counted.append((metrics.get(CollectorCounter.EVENTS), metrics.get(CollectorCounter.EVENTS_URGENT)))
    closes = HOLD_PLAYS // 2 + 1  # one by a refresh, when the position is seen
    assert counted[2][0] - counted[1][0] == HOLD_PLAYS + closes
    assert counted[2][1] - counted[1][1] == closes


def test_the_market_plays_without_a_collector(rooms: dict[str, Any]) -> None:
    rehearsal = MarketRehearsal(rooms["feed"], rooms["instruments"], rooms["endpoints"], None)
    metrics = play(rehearsal)
    rehearsal._role.board.flush()
    assert metrics.get(FeedCounter.SIGNALS) > PLAYS
    assert metrics.get(FeedCounter.SIGNALS_SKIPPED) == 0


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
        "market": lambda: MarketRehearsal(rooms["feed"], rooms["instruments"], rooms["endpoints"], rooms["collector"]),
        "collector": lambda: CollectorRehearsal(rooms["collector"], rooms["instruments"]),
        "prepost": lambda: PrepostRehearsal(rooms["prepost"], rooms["instruments"]),
        "engine": lambda: EngineRehearsal(rooms["engine"], rooms["instruments"], credentials),
    }


@pytest.mark.parametrize("plays", [1_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("room", ["market", "collector", "prepost", "engine"])
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
