"""One decision, every order in which its messages can arrive: may it execute twice?

The venue's real rule, small enough to enumerate: a client id is refused only while an order with it is *open*; whatever has
filled or expired has set its id free again. The engine's side is the real router: policy, number of copies, next connection.

    to send ─▶ handed over to a connection ─▶ arrives (or is lost with it) ─▶ refused | rests | fills
            └▶ provably not sent ─▶ the next connection

Between any two steps a resting order may be filled or cancelled by the world.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from reactor.engine.parameters import RouterParameters
from reactor.engine.router import copies_of, policy_of, route

CONNECTIONS = 3


@dataclass(frozen=True)
class Line:
    """One order session, as the router sees it."""

    index: int
    score: int = 100
    in_flight: int = 0


@dataclass(frozen=True)
class State:
    """Everything that matters about one decision."""

    to_try: tuple[int, ...]  # connections that the engine would still use
    copies_left: int
    under_way: tuple[int, ...] = ()  # connections with a copy on them
    is_open: bool = False  # at the venue, under this client id
    executed: int = 0


def first(parameters: RouterParameters, *, is_whole_close: bool = False) -> State:
    """The engine has a place to send."""
    lines = [Line(index) for index in range(CONNECTIONS)]
    policy = policy_of(parameters, is_place=True, is_whole_close=is_whole_close)
    return State(tuple(line.index for line in route(lines)), copies_of(parameters, policy))


def successors(state: State, *, rests: bool) -> Iterator[State]:
    """Every next step. `rests`: post-only or GTC away from the market; otherwise it fills on arrival (IOC)."""
    if state.copies_left and state.to_try:
        line, rest = state.to_try[0], state.to_try[1:]
        yield replace(state, to_try=rest)  # Provably not sent: the engine takes the next connection.
        yield replace(state, to_try=rest, copies_left=state.copies_left - 1, under_way=(*state.under_way, line))
    for line in state.under_way:
        others = tuple(other for other in state.under_way if other != line)
        yield replace(state, under_way=others)  # Lost with its connection, or dead at the end of its receive window.
        if state.is_open:
            yield replace(state, under_way=others)  # "Duplicate order sent."
        elif rests:
            yield replace(state, under_way=others, is_open=True)
        else:
            yield replace(state, under_way=others, executed=state.executed + 1)
    if state.is_open:
        yield replace(state, is_open=False, executed=state.executed + 1)  # Somebody trades with it.
        yield replace(state, is_open=False)  # It is cancelled.


def reachable(start: State, *, rests: bool) -> set[State]:
    """All states that any order of messages leads to."""
    seen, queue = {start}, [start]
    while queue:
        for state in successors(queue.pop(), rests=rests):
            if state not in seen:
                seen.add(state)
                queue.append(state)
    return seen


def executions_max(parameters: RouterParameters, *, rests: bool) -> int:
    """The worst that can happen."""
    return max(state.executed for state in reachable(first(parameters), rests=rests))


@pytest.mark.parametrize("rests", [True, False], ids=["post_only", "immediate"])
def test_the_default_policy_executes_one_decision_once_at_most(rests: bool) -> None:
    assert executions_max(RouterParameters(), rests=rests) == 1


@pytest.mark.parametrize("rests", [True, False], ids=["post_only", "immediate"])
@pytest.mark.parametrize("copies", [2, 3])
def test_copies_of_a_place_execute_twice_post_only_included(rests: bool, copies: int) -> None:
    assert executions_max(RouterParameters(dangerous_place_copies=copies), rests=rests) == copies


def test_the_default_policy_still_gets_through_when_two_of_three_connections_are_dead() -> None:
    last = [state for state in reachable(first(RouterParameters()), rests=False) if state.executed]
    assert any(not state.to_try for state in last), "the third connection carried it"


def test_the_enumeration_is_not_vacuous() -> None:
    assert len(reachable(first(RouterParameters(dangerous_place_copies=2)), rests=True)) > 30
