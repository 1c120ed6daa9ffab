"""What a process learns of its neighbours from the plan."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reactor.config.plan import Plan
from reactor.wiring import is_alone, is_hot

sys.path.insert(0, str(Path(__file__).parent / "config"))

from test_plan import make_plan


def alone(plan: Plan) -> set[str]:
    return {shard.name for shard in plan.shards if is_hot(plan, shard) and is_alone(plan, shard)}


def test_the_only_hot_process_is_alone_although_the_journal_may_share_its_core():
    plan = make_plan()
    (hot,) = [shard.name for shard in plan.shards if is_hot(plan, shard)]
    assert alone(plan) == {hot}


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        ((None, None, None, None), set()),
        ((1, 2, 3, 4), {"collector", "engine", "feed-0", "feed-1", "prepost"}),
        ((1, 2, 2, 3), {"engine", "feed-0", "feed-1"}),
        ((1, 2, 3, None), set()),
    ],
)
def test_of_several_who_has_a_core_for_itself_is_alone(cores: tuple[int | None, ...], expected: set[str]):
    plan = make_plan(("system.placement.layout=processes",))
    place = dict(zip(("feed-0", "collector", "prepost", "engine"), cores, strict=True))
    shards = tuple(replace(shard, core=place.get(shard.name, 9)) for shard in plan.shards)
    assert alone(replace(plan, shards=shards)) == expected
