"""The signal table: freshness belongs to the binding; an edge is an edge. Literal times, in nanoseconds."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.collector.table import Bound, SignalTable
from reactor.collector.triggers.trigger import EVERY, Binding, Edge, Priority, Rearm, Trigger
from reactor.domain.messages import SignalType, new, signal_index

MS = 1_000_000
FIRST, SECOND = SignalType.USER, SignalType.USER + 1


class Above(Trigger):
    """True while every fresh binding's first value is above 0.5."""

    name = "above"

    def __init__(
        self, bindings: Sequence[Binding], rearm: Rearm = EVERY, priority: Priority = Priority.NORMAL, pair_id: int = 0
    ) -> None:
        self._bindings = bindings
        self.rearm = rearm
        self.priority = priority
        self.pair_id = pair_id
        self.seen: list[tuple[float | None, ...]] = []

    def bindings(self) -> Sequence[Binding]:
        return self._bindings

    def evaluate(self, signals: Sequence[Any], now_ns: int) -> int | None:
        values = tuple(None if signal is None else signal.values[0] for signal in signals)
        self.seen.append(values)
        return int(all(value is None or value > 0.5 for value in values))

    def write(self, event: Any, signals: Sequence[Any]) -> None:
        """Not asked here."""


def table_of(*triggers: Trigger) -> tuple[SignalTable, list[Bound]]:
    bound = [Bound(trigger, index, False) for index, trigger in enumerate(triggers)]
    return SignalTable(bound), bound


def apply(table: SignalTable, signal_type: int, instrument: int, value: float, time_ns: int) -> None:
    slot = table.find(signal_index(signal_type, instrument))
    assert slot is not None
    view = new("signal")
    view.values[0] = value
    slot.apply(view, time_ns)


def test_a_signal_without_a_trigger_has_no_slot() -> None:
    table, _ = table_of(Above([Binding(FIRST, 3)]))
    assert table.find(signal_index(FIRST, 3)) is not None
    assert table.find(signal_index(FIRST, 4)) is None
    assert table.find(2**32 - 1) is None
    assert table.find_any(FIRST) is None
    assert table.find_any(2**16 - 1) is None


def test_the_table_keeps_its_own_copy() -> None:
    table, _ = table_of(Above([Binding(FIRST, 0)]))
    slot = table.find(signal_index(FIRST, 0))
    assert slot is not None
    view = new("signal")
    view.values[0] = 1.0
    slot.apply(view, 5)
    view.values[0] = 2.0
    assert (slot.last.values[0], slot.time_ns) == (1.0, 5)


@pytest.mark.parametrize(("age_ms", "is_firing"), [(0, True), (100, True), (100.000001, False), (5_000, False), (-3, True)])
def test_a_signal_is_fresh_up_to_the_age_of_its_binding(age_ms: float, is_firing: bool) -> None:
    table, (bound,) = table_of(Above([Binding(FIRST, 0, age_ms_max=100)]))
    now_ns = 10_000 * MS
    apply(table, FIRST, 0, 1.0, now_ns - int(age_ms * MS))
    assert bound.is_firing(now_ns) is is_firing
    assert bound.stale == (not is_firing)


def test_one_trigger_may_find_stale_what_another_finds_fresh() -> None:
    table, (strict, patient) = table_of(Above([Binding(FIRST, 0, 10)]), Above([Binding(FIRST, 0, 1_000)]))
    apply(table, FIRST, 0, 1.0, 1_000 * MS)
    assert not strict.is_firing(1_500 * MS)
    assert patient.is_firing(1_500 * MS)


def test_an_optional_signal_that_is_missing_or_stale_is_none() -> None:
    trigger = Above([Binding(FIRST, 0, 100), Binding(SECOND, 0, 100, is_required=False)])
    table, (bound,) = table_of(trigger)
    apply(table, FIRST, 0, 1.0, 1_000 * MS)
    assert bound.is_firing(1_000 * MS)
    apply(table, SECOND, 0, 0.0, 1_000 * MS)
    assert not bound.is_firing(1_050 * MS)
    apply(table, FIRST, 0, 1.0, 1_150 * MS)
    assert bound.is_firing(1_150 * MS)
    assert trigger.seen == [(1.0, None), (1.0, 0.0), (1.0, None)]


def test_urgent_triggers_of_a_signal_come_first_then_the_order_of_the_plan() -> None:
    table, bound = table_of(
        Above([Binding(FIRST, 0)]),
        Above([Binding(FIRST, 0)], priority=Priority.URGENT),
        Above([Binding(FIRST, 0)]),
        Above([Binding(FIRST, 0)], priority=Priority.URGENT),
    )
    slot = table.find(signal_index(FIRST, 0))
    assert slot is not None
    assert [each.index for each in slot.bound] == [1, 3, 0, 2]
    assert (table.fan(0, is_response=False), table.fan(1, is_response=False)) == (2, 2)
    table.switch_off(bound[3], "enough")
    assert [each.index for each in slot.bound] == [1, 0, 2]


def test_a_trigger_bound_twice_to_one_signal_is_evaluated_once() -> None:
    table, _ = table_of(Above([Binding(FIRST, 0, 100), Binding(FIRST, 0, 1_000)]))
    slot = table.find(signal_index(FIRST, 0))
    assert slot is not None
    assert len(slot.bound) == 1


def test_a_binding_to_any_instrument_hears_all_of_them() -> None:
    table, (bound,) = table_of(Above([Binding(FIRST)]))
    slot = table.find_any(FIRST)
    assert slot is not None
    assert slot.bound == (bound,)


def test_a_successor_of_the_table_goes_on_where_it_stood() -> None:
    once = Rearm()
    before, (first,) = table_of(Above([Binding(FIRST, 0, 100)], once))
    apply(before, FIRST, 0, 1.0, 1_000 * MS)
    assert first.is_firing(1_000 * MS)
    after, (second,) = table_of(Above([Binding(FIRST, 0, 50)], once))
    after.take_over(before)
    assert not second.is_firing(1_010 * MS), "the same condition is no new edge"
    assert not second.is_firing(1_060 * MS), "and the new age limit counts"
    assert second.stale == 1


# -- the edge rule against its naive twin ------------------------------------------------------------------------


@given(
    rearm=st.builds(Rearm, is_every=st.booleans(), after_ms=st.sampled_from([0, 1, 5])),
    steps=st.lists(st.tuples(st.sampled_from([None, 0, 1, -1, 2]), st.integers(0, 4), st.booleans()), max_size=60),
)
def test_the_edge_rule_is_the_sentence_in_its_docstring(rearm: Rearm, steps: list[tuple[int | None, int, bool]]) -> None:
    edge = Edge(rearm)
    now_ns = 1_000 * MS
    held: int | None = None  # The condition that has fired and has not been seen otherwise since.
    fired_at_ns = 0
    for condition, wait_ms, is_rearmed in steps:
        now_ns += wait_ms * MS
        if is_rearmed:
            edge.rearm()
            held = None
        expected = False
        if condition == 0:
            held = None
        elif condition is not None:
            is_over = rearm.after_ms > 0 and now_ns - fired_at_ns >= rearm.after_ms * MS
            expected = condition != held or rearm.is_every or is_over
            if expected:
                held, fired_at_ns = condition, now_ns
        assert edge.passes(condition, now_ns) is expected


@given(
    age_ms=st.integers(1, 50),
    events=st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.floats(0, 1), st.integers(0, 30)), max_size=40),
)
def test_no_stale_signal_ever_satisfies_a_trigger(age_ms: int, events: list[tuple[int, float, int]]) -> None:
    table, (bound,) = table_of(Above([Binding(FIRST, 0, age_ms), Binding(SECOND, 0, age_ms)]))
    now_ns = 1_000 * MS
    last: dict[int, tuple[float, int]] = {}
    for signal_type, value, wait_ms in events:
        now_ns += wait_ms * MS
        apply(table, signal_type, 0, value, now_ns)
        last[signal_type] = (value, now_ns)
        is_true = len(last) == 2 and all(seen > 0.5 and now_ns - time_ns <= age_ms * MS for seen, time_ns in last.values())
        assert bound.is_firing(now_ns) is is_true
