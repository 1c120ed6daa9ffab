"""What a process learns of its neighbours from the plan."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reactor.config.plan import Plan
from reactor.wiring import hot_neighbours, is_hot, step_of

sys.path.insert(0, str(Path(__file__).parent / "config"))

from test_plan import make_plan


def neighbours(plan: Plan) -> dict[str, int]:
    return {shard.name: hot_neighbours(plan, shard) for shard in plan.shards if is_hot(plan, shard)}


def test_the_only_hot_process_is_alone_although_the_journal_may_share_its_core():
    assert list(neighbours(make_plan()).values()) == [0]


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        ((None, None, None, None), (4, 4, 4, 4)),
        ((1, 2, 3, 4), (0, 0, 0, 0)),
        ((1, 2, 2, 3), (0, 1, 1, 0)),
        ((1, 2, 3, None), (1, 1, 1, 4)),
        ((2, 2, 2, 2), (3, 3, 3, 3)),
    ],
)
def test_neighbours_are_the_hot_processes_that_may_run_on_ones_core(cores: tuple[int | None, ...], expected: tuple[int, ...]):
    plan = make_plan(("system.placement.layout=processes",))
    roles = ("feed-0", "collector", "prepost", "engine")
    place = dict(zip(roles, cores, strict=True))
    shards = tuple(replace(shard, core=place.get(shard.name, 9)) for shard in plan.shards)
    found = neighbours(replace(plan, shards=shards))
    assert tuple(found[role] for role in roles) == expected


def test_steps_go_from_the_tick_to_the_order_and_a_shared_process_counts_from_its_first_role():
    plan = make_plan(("system.placement.layout=processes",))
    roles = ("feed-0", "feed-1", "collector", "prepost", "engine")
    assert [step_of(plan, plan.shard(name)) for name in roles] == [0, 0, 1, 2, 3]
    together = make_plan()
    assert [step_of(together, shard) for shard in together.shards if is_hot(together, shard)] == [0]
