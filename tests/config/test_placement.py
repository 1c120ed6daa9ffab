"""Placement follows the host and says why."""

import pytest

from reactor.config.placement import Host, PlacementParameters, place, shards_of
from reactor.loop.wait import WaitPolicy

ROLES = (("journal", "journal"), ("engine", "engine"), ("prepost", "prepost"), ("collector", "collector"), ("feed-0", "feed"))


def by_shard(places):
    return {each.shard: each for each in places}


def test_two_shared_cores_pin_nobody_and_block():
    places = by_shard(place(ROLES, Host((0, 1)), PlacementParameters(layout="processes")))
    assert {each.core for each in places.values()} == {None}
    assert places["engine"].wait_policy == WaitPolicy.BLOCK
    assert "shared" in places["engine"].reason


def test_a_host_with_too_few_cores_puts_all_hot_roles_into_one_process_and_says_why():
    journal, hot = place(ROLES, Host((0, 1)), PlacementParameters())
    assert journal.roles == ("journal",)
    assert hot.roles == ("engine", "prepost", "collector", "feed-0")
    assert (hot.core, hot.wait_policy) == (None, WaitPolicy.HYBRID)
    assert "2 cores for 4 hot roles" in hot.reason
    assert place(ROLES, Host((0, 1)), PlacementParameters(layout="shared"))[1] == hot


def test_on_a_single_core_nobody_spins():
    hot = place(ROLES, Host((0,)), PlacementParameters())[1]
    assert (hot.core, hot.wait_policy) == (None, WaitPolicy.BLOCK)


def test_enough_isolated_cores_give_each_hot_shard_its_own_and_spin():
    places = by_shard(place(ROLES, Host((0, 1), isolated=(2, 3, 4, 5)), PlacementParameters()))
    hot = [places[name] for name in ("engine", "prepost", "collector", "feed-0")]
    assert [each.core for each in hot] == [2, 3, 4, 5]
    assert {each.wait_policy for each in hot} == {WaitPolicy.SPIN}
    assert places["journal"].core is None


def test_many_plain_cores_are_pinned_but_do_not_spin_for_ever():
    places = by_shard(place(ROLES, Host(tuple(range(8))), PlacementParameters()))
    assert places["engine"].core == 0
    assert places["engine"].wait_policy == WaitPolicy.HYBRID


def test_colocated_roles_are_one_shard():
    wishes = PlacementParameters(colocate=(("collector", "prepost", "engine"),))
    places = place(ROLES, Host((0, 1)), wishes)
    assert [each.roles for each in places] == [("journal",), ("collector", "prepost", "engine"), ("feed-0",)]


def test_a_wish_for_a_core_is_obeyed():
    places = by_shard(place(ROLES, Host((0, 1)), PlacementParameters(cores={"engine": 1})))
    assert places["engine"].core == 1


@pytest.mark.parametrize(
    "wishes",
    [
        PlacementParameters(colocate=(("engine", "ghost"),)),
        PlacementParameters(colocate=(("engine",), ("engine",))),
        PlacementParameters(cores={"ghost": 1}),
        PlacementParameters(cores={"engine": 99}),
    ],
    ids=["unknown role", "role twice", "unknown shard", "core that is not ours"],
)
def test_an_impossible_wish_is_refused_with_a_sentence(wishes: PlacementParameters):
    with pytest.raises(ValueError, match=r"engine|ghost"):
        place(ROLES, Host((0, 1)), wishes)


def test_roles_nobody_groups_stay_alone():
    assert shards_of(["a", "b"], []) == [("a",), ("b",)]
