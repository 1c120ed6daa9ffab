"""Who carries a request."""

from dataclasses import dataclass

import pytest

from reactor.engine.parameters import RouterParameters
from reactor.engine.router import COPIES_MAX, Policy, copies_of, policy_of, route, sessions_wanted


@dataclass
class Connection:
    index: int
    score: int
    in_flight: int = 0


def test_what_opens_exposure_is_never_raced_by_default() -> None:
    parameters = RouterParameters()
    assert policy_of(parameters, is_place=True, is_whole_close=False) is Policy.FAILOVER
    assert policy_of(parameters, is_place=True, is_whole_close=True) is Policy.FAILOVER
    assert copies_of(parameters, Policy.FAILOVER) == 1


def test_cancels_and_queries_race() -> None:
    parameters = RouterParameters()
    assert policy_of(parameters, is_place=False, is_whole_close=False) is Policy.RACE
    assert copies_of(parameters, Policy.RACE) == 2


def test_a_reduce_only_close_of_a_whole_position_may_race_where_the_config_allows_it() -> None:
    parameters = RouterParameters(race_closes=True)
    assert policy_of(parameters, is_place=True, is_whole_close=True) is Policy.RACE
    assert policy_of(parameters, is_place=True, is_whole_close=False) is Policy.FAILOVER


def test_copies_of_places_are_bounded() -> None:
    parameters = RouterParameters(dangerous_place_copies=99)
    assert policy_of(parameters, is_place=True, is_whole_close=False) is Policy.COPIES
    assert copies_of(parameters, Policy.COPIES) == COPIES_MAX


def test_the_healthiest_comes_first_and_the_less_busy_of_equals() -> None:
    connections = [Connection(0, 80), Connection(1, 95, in_flight=3), Connection(2, 95, in_flight=1)]
    assert [connection.index for connection in route(connections)] == [2, 1, 0]


def test_a_carrier_is_kept_to_while_it_lives() -> None:
    connections = [Connection(0, 80), Connection(1, 95)]
    assert [connection.index for connection in route(connections, only_index=0)] == [0]
    assert [connection.index for connection in route(connections, only_index=7)] == [1, 0]


@pytest.mark.parametrize(
    ("in_flight", "healthy", "expected"),
    [([0, 0, 0], 3, 3), ([40, 50, 33], 3, 4), ([40, 0, 40], 3, 3), ([0, 0, 0], 2, 4), ([0, 0, 0], 0, 6), ([], 0, 3)],
)
def test_the_pool_grows_with_load_and_sickness_within_its_bounds(in_flight: list[int], healthy: int, expected: int) -> None:
    assert sessions_wanted(3, 2, 6, in_flight, healthy) == expected
