"""Start order, restarts and the stop sequence."""

import itertools

import pytest

from reactor.config.system import RestartParameters, StopParameters
from reactor.supervisor.lifecycle import (
    TRANSITIONS,
    Consequence,
    Lifecycle,
    RoleEvent,
    RoleLife,
    RoleState,
    StopSequence,
    StopStep,
)

MS = 1_000_000
ALL = (
    ("sim", "sim"),
    ("journal", "journal"),
    ("engine", "engine"),
    ("prepost", "prepost"),
    ("collector", "collector"),
    ("feed-0", "feed"),
    ("feed-1", "feed"),
)


def started(roles=ALL, parameters=RestartParameters()) -> Lifecycle:
    lifecycle = Lifecycle(roles, parameters)
    while due := lifecycle.due_starts(0):
        for name in due:
            lifecycle.on_started(name, 0)
            lifecycle.on_ready(name, 0)
    assert lifecycle.is_running()
    return lifecycle


def test_roles_start_one_after_the_other_each_behind_its_gate():
    lifecycle = Lifecycle(ALL, RestartParameters())
    order = []
    while due := lifecycle.due_starts(0):
        order.append(tuple(due))
        for name in due:
            lifecycle.on_started(name, 0)
        assert lifecycle.due_starts(0) == []
        for name in due:
            lifecycle.on_ready(name, 0)
    assert order == [("sim", "journal"), ("engine",), ("prepost",), ("collector",), ("feed-0", "feed-1")]


def test_live_bots_start_behind_the_feeds_and_leave_before_them():
    lifecycle = Lifecycle((*ALL, ("bot-grid", "live_bot")), RestartParameters())
    while "bot-grid" not in (due := lifecycle.due_starts(0)):
        for name in due:
            lifecycle.on_started(name, 0)
            lifecycle.on_ready(name, 0)
    assert lifecycle.is_alive("feed")
    assert lifecycle.stop_order()[0] == "bot-grid"


def test_a_live_bot_that_dies_too_often_ends_nobody_elses_trading_and_a_wrong_one_is_told_at_once():
    parameters = RestartParameters(deaths_max=1)
    lifecycle = started((*ALL, ("bot-grid", "live_bot")), parameters)
    assert lifecycle.on_died("bot-grid", 0) == Consequence.NOTHING
    lifecycle.due_starts(10**12)
    lifecycle.on_started("bot-grid", 10**12)
    assert lifecycle.on_died("bot-grid", 10**12 + 1) == Consequence.NOTHING
    lifecycle = started((*ALL, ("bot-grid", "live_bot")), parameters)
    assert lifecycle.on_died("bot-grid", 0, is_config=True) == Consequence.END_SESSION


def test_without_a_simulated_exchange_its_gate_counts_as_open():
    lifecycle = Lifecycle(ALL[2:], RestartParameters())
    assert lifecycle.due_starts(0) == ["engine"]


def test_a_dead_role_is_started_again_after_its_backoff():
    lifecycle = started(parameters=RestartParameters(backoff_ms=100))
    assert lifecycle.on_died("collector", 1000 * MS) == Consequence.NOTHING
    assert lifecycle.due_starts(1099 * MS) == []
    assert lifecycle.due_starts(1100 * MS) == ["collector"]


def test_the_backoff_doubles_up_to_its_limit():
    lifecycle = started(parameters=RestartParameters(backoff_ms=100, backoff_ms_max=300, deaths_max=10))
    now, waits = 0, []
    for _ in range(4):
        lifecycle.on_died("feed-0", now)
        waits.append(lifecycle.roles["feed-0"].due_ns - now)
        now = lifecycle.roles["feed-0"].due_ns
        assert lifecycle.due_starts(now) == ["feed-0"]
        lifecycle.on_started("feed-0", now)
    assert waits == [100 * MS, 200 * MS, 300 * MS, 300 * MS]


def test_a_dead_engine_asks_for_cancelling_over_rest():
    assert started().on_died("engine", 0) == Consequence.CANCEL_OURS


def test_a_role_that_dies_too_often_ends_the_session():
    lifecycle = started(parameters=RestartParameters(deaths_max=2))
    answers = []
    for _ in range(3):
        answers.append(lifecycle.on_died("prepost", 0))
        for name in lifecycle.due_starts(10_000 * MS):
            lifecycle.on_started(name, 0)
    assert answers == [Consequence.NOTHING, Consequence.NOTHING, Consequence.END_SESSION]
    assert lifecycle.roles["prepost"].state == RoleState.FAILED


def test_a_role_whose_configuration_is_wrong_is_not_tried_again():
    assert started().on_died("collector", 1, is_config=True) == Consequence.END_SESSION


def test_a_configuration_that_was_good_once_is_tried_again():
    lifecycle = started()
    lifecycle.on_died("collector", 1)
    lifecycle.due_starts(10**12)
    lifecycle.on_started("collector", 10**12)
    assert lifecycle.on_died("collector", 10**12 + 1, is_config=True) == Consequence.NOTHING


def test_a_feed_that_gives_up_ends_nothing_while_another_lives():
    lifecycle = started(parameters=RestartParameters(deaths_max=0))
    assert lifecycle.on_died("feed-0", 0) == Consequence.NOTHING
    assert lifecycle.on_died("feed-1", 0) == Consequence.END_SESSION


def test_the_death_of_the_simulated_exchange_ends_the_session():
    assert started().on_died("sim", 0) == Consequence.END_SESSION


def test_a_role_without_heartbeat_is_hung():
    lifecycle = started(parameters=RestartParameters(heartbeat_age_ms_max=1000))
    beats = {name: 5000 * MS for name, _ in ALL} | {"collector": 3000 * MS}
    assert lifecycle.hung(beats, 5001 * MS) == ["collector"]


def test_a_role_that_never_gets_ready_is_hung():
    lifecycle = Lifecycle((("engine", "engine"),), RestartParameters(start_time_max_s=1))
    lifecycle.on_started("engine", 0)
    assert lifecycle.hung({}, 999 * MS) == []
    assert lifecycle.hung({}, 1001 * MS) == ["engine"]


def test_a_death_that_was_asked_for_is_not_restarted():
    lifecycle = started()
    for name in lifecycle.stop_order():
        lifecycle.on_stop(name, 0)
        assert lifecycle.on_died(name, 0) == Consequence.NOTHING
    assert lifecycle.due_starts(10**12) == []


def test_stop_order_follows_the_flow_and_leaves_the_exchange_for_last():
    assert started().stop_order() == ["feed-0", "feed-1", "collector", "prepost", "engine", "journal"]


@pytest.mark.parametrize(("state", "event"), list(itertools.product(RoleState, RoleEvent)))
def test_every_pair_is_a_line_of_the_table_or_refused(state: RoleState, event: RoleEvent):
    life = RoleLife("x", "feed", state=state)
    target = TRANSITIONS.get((state, event))
    assert life.apply(event, 1) is (target is not None)
    assert life.state == (target if target is not None else state)


def test_draining_ends_when_the_venue_confirmed():
    stop = StopSequence(StopParameters(drain_ms=1000), is_flatten=False, started_ns=0)
    assert stop.advance(can_drain=True, is_clean=False, now_ns=999 * MS) == StopStep.DRAINING
    assert stop.advance(can_drain=True, is_clean=True, now_ns=999 * MS) == StopStep.CONFIRMING
    assert stop.is_drained


@pytest.mark.parametrize(("can_drain", "now_ms"), [(False, 1), (True, 1001)], ids=["prepost is dead", "time is over"])
def test_draining_ends_without_confirmation_too(can_drain: bool, now_ms: int):
    stop = StopSequence(StopParameters(drain_ms=1000), is_flatten=False, started_ns=0)
    assert stop.advance(can_drain=can_drain, is_clean=False, now_ns=now_ms * MS) == StopStep.CONFIRMING
    assert not stop.is_drained


def test_flatten_may_take_longer():
    stop = StopSequence(StopParameters(drain_ms=1000, flatten_ms=9000), is_flatten=True, started_ns=0)
    assert stop.advance(can_drain=True, is_clean=False, now_ns=8000 * MS) == StopStep.DRAINING


def test_draining_waits_for_an_engine_that_comes_back_and_then_for_prepost_to_hear_of_it():
    stop = StopSequence(StopParameters(drain_ms=1000), is_flatten=False, started_ns=0)
    # What prepost said before the engine died proves nothing about what was filled meanwhile.
    assert stop.advance(can_drain=False, is_clean=True, now_ns=500 * MS, may_drain=True) == StopStep.DRAINING
    assert stop.advance(can_drain=True, is_clean=True, now_ns=520 * MS) == StopStep.DRAINING
    assert stop.advance(can_drain=True, is_clean=True, now_ns=601 * MS) == StopStep.CONFIRMING
    assert stop.is_drained


def test_draining_waits_for_a_dead_engine_no_longer_than_for_a_living_one():
    stop = StopSequence(StopParameters(drain_ms=1000), is_flatten=False, started_ns=0)
    assert stop.advance(can_drain=False, is_clean=False, now_ns=1000 * MS, may_drain=True) == StopStep.DRAINING
    assert stop.advance(can_drain=False, is_clean=True, now_ns=1001 * MS, may_drain=True) == StopStep.CONFIRMING
    assert not stop.is_drained


def test_an_engine_that_died_may_still_drain_until_it_has_given_up():
    lifecycle = started()
    assert lifecycle.can_drain()
    for death in range(RestartParameters().deaths_max):
        assert lifecycle.on_died("engine", death) == Consequence.CANCEL_OURS
        assert (lifecycle.can_drain(), lifecycle.may_drain()) == (False, True), "waits for its backoff"
        assert "engine" in lifecycle.due_starts(10_000 * MS)
        lifecycle.on_started("engine", death)
        assert lifecycle.may_drain(), "it starts"
        lifecycle.on_ready("engine", death)
        assert lifecycle.can_drain()
    assert lifecycle.on_died("engine", 9) == Consequence.END_SESSION
    assert not lifecycle.may_drain()


def test_who_has_never_run_is_not_waited_for():
    lifecycle = Lifecycle(ALL, RestartParameters())
    lifecycle.on_started("journal", 0)
    assert not lifecycle.may_drain(), "stopped while it starts: nothing was sent"


def test_the_steps_follow_each_other():
    stop = StopSequence(StopParameters(), is_flatten=False, started_ns=0, step=StopStep.CONFIRMING)
    assert [stop.done(step) for step in (StopStep.CONFIRMING, StopStep.LEAVING, StopStep.CLOSING)] == [
        StopStep.LEAVING,
        StopStep.CLOSING,
        StopStep.STOPPED,
    ]
