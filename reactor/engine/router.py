"""Down which connections a request goes. Pure.

    race       copies down several connections at once; the first good answer counts. For what may be repeated freely:
               cancels, queries, and (opt-in) a reduce-only close of a whole position.
    failover   the best connection; another one only if the first provably did not send. For everything that opens exposure:
               a venue refuses a second copy of a client id only while the first is open, so a copy of an order that fills
               at once executes twice.
    copies     an explicit opt-in: places down several connections. DANGER: whatever fills between two copies executes twice,
               post-only orders too. A short receive window bounds the race, it does not close it; a double is detected and
               reported, prepost unwinds it.

A cancel of an order that is not acknowledged yet goes only down the connection that carried the place: on another one it
could overtake it, find nothing, and leave the order open.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Protocol, TypeVar

from reactor.engine.parameters import RouterParameters

COPIES_MAX: Final = 4  # A wire number has two bits for the copy.


class Policy(IntEnum):
    """How a request is sent."""

    FAILOVER = 0
    RACE = 1
    COPIES = 2


class Candidate(Protocol):
    """What the router sees of a connection."""

    index: int
    score: int
    in_flight: int


def policy_of(parameters: RouterParameters, *, is_place: bool, is_whole_close: bool) -> Policy:
    """The policy of a request. `is_whole_close`: reduce-only, and for all that is left of the position."""
    if not is_place:
        return Policy.RACE
    if is_whole_close and parameters.race_closes:
        return Policy.RACE
    if parameters.dangerous_place_copies > 1:
        return Policy.COPIES
    return Policy.FAILOVER


def copies_of(parameters: RouterParameters, policy: Policy) -> int:
    """How many connections a policy uses at once."""
    if policy == Policy.RACE:
        return min(parameters.race_copies, COPIES_MAX)
    if policy == Policy.COPIES:
        return min(parameters.dangerous_place_copies, COPIES_MAX)
    return 1


Connection = TypeVar("Connection", bound=Candidate)


def route(connections: Sequence[Connection], only_index: int = -1) -> list[Connection]:
    """All usable connections: by score, then by requests in flight.

    `only_index` ≥ 0 restricts to that one, the carrier of a place not yet acknowledged. If it is gone, any will do: what it
    carried has arrived by now or never will.
    """
    if only_index >= 0:
        carrier = [connection for connection in connections if connection.index == only_index]
        if carrier:
            return carrier
    return sorted(connections, key=_rank)


def _rank(connection: Candidate) -> tuple[int, int, int]:
    return (-connection.score, connection.in_flight, connection.index)


def sessions_wanted(
    wanted: int, least: int, most: int, in_flight: Sequence[int], healthy: int, busy_in_flight: int = 32
) -> int:
    """How many order sessions there should be now, between `least` and `most`.

    One more than `wanted` if every session is busy, or for each session that is up but not healthy.
    """
    target = wanted
    if in_flight and min(in_flight) >= busy_in_flight:
        target = len(in_flight) + 1
    target += max(0, len(in_flight) - healthy)
    return max(least, min(most, target))
