"""Requests that have left: who answers what, and what nobody answers."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reactor.engine.in_flight import LATE_MEMORY_NS, Asked, InFlight, Slot

SECOND = 1_000_000_000


def sent(in_flight: InFlight, copies: int = 1, now_ns: int = 1, venue: int = 0) -> Slot:
    slot = in_flight.open(Asked.CANCEL, venue, 7)
    for copy in range(copies):
        in_flight.sent(slot, copy, copy, now_ns, 3 * SECOND)
    return slot


def test_an_answer_finds_its_request_once() -> None:
    in_flight = InFlight()
    slot = sent(in_flight)
    number = in_flight.wire_number(slot, 0)
    found, copy = in_flight.find(number)
    assert (found, copy) == (slot, 0)
    assert in_flight.succeeded(slot, 0)
    in_flight.settle(slot)
    assert in_flight.find(number) == (None, 0)
    assert len(in_flight) == 0


def test_of_a_race_the_first_yes_counts_and_later_answers_are_known_but_not_news() -> None:
    in_flight = InFlight()
    slot = sent(in_flight, copies=2)
    assert in_flight.succeeded(slot, 1)
    in_flight.settle(slot)
    assert in_flight.find(in_flight.wire_number(slot, 0))[0] is slot
    assert in_flight.refused(slot, 0, "no") is None
    in_flight.settle(slot)
    assert len(in_flight) == 0


def test_of_a_race_a_no_waits_for_the_other_copies() -> None:
    in_flight = InFlight()
    slot = sent(in_flight, copies=2)
    assert in_flight.refused(slot, 0, "first no") is None
    assert in_flight.refused(slot, 1, "second no") == "first no"


def test_silence_expires_once_and_a_late_answer_is_still_recognised() -> None:
    in_flight = InFlight()
    slot = sent(in_flight)
    assert list(in_flight.expired(3 * SECOND)) == []
    assert list(in_flight.expired(3 * SECOND + 1)) == [slot]
    assert list(in_flight.expired(9 * SECOND)) == []
    assert in_flight.find(in_flight.wire_number(slot, 0))[0] is slot
    assert slot.is_late
    assert list(in_flight.expired(4 * SECOND + LATE_MEMORY_NS)) == []
    assert len(in_flight) == 0


def test_the_missing_second_copy_of_a_success_expires_without_a_word() -> None:
    in_flight = InFlight()
    slot = sent(in_flight, copies=2)
    in_flight.succeeded(slot, 0)
    in_flight.settle(slot)
    assert list(in_flight.expired(4 * SECOND)) == []
    assert len(in_flight) == 0


def test_a_lost_connection_loses_only_what_nobody_else_carries() -> None:
    in_flight = InFlight()
    alone, raced, elsewhere = sent(in_flight), sent(in_flight, copies=2), sent(in_flight, venue=1)
    assert in_flight.connection_lost(0, 0, 5) == [alone]
    assert in_flight.connection_lost(0, 1, 5) == [raced]
    assert not elsewhere.is_late


def test_a_request_that_was_never_handed_over_leaves_nothing_behind() -> None:
    in_flight = InFlight()
    in_flight.drop(in_flight.open(Asked.PLACE, 0, 1))
    assert len(in_flight) == 0
    assert in_flight.next_expiry_ns() == 0


class AnyOrderOfAnswers(RuleBasedStateMachine):
    """Whatever comes back, in whatever order: every request is told exactly one first outcome, and none is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.in_flight = InFlight()
        self.now_ns = 1
        self.numbers: list[int] = []
        self.told: dict[int, list[str]] = {}

    @rule(copies=st.integers(1, 3))
    def send(self, copies: int) -> None:
        slot = sent(self.in_flight, copies, self.now_ns)
        self.told[slot.number] = []
        self.numbers += [self.in_flight.wire_number(slot, copy) for copy in range(copies)]

    @rule(data=st.data(), is_yes=st.booleans())
    def answer(self, data: st.DataObject, is_yes: bool) -> None:
        if not self.numbers:
            return
        slot, copy = self.in_flight.find(data.draw(st.sampled_from(self.numbers)))
        if slot is None:
            return
        number, was_late = slot.number, slot.is_late
        if is_yes:
            if self.in_flight.succeeded(slot, copy):
                self.told[number].append("late yes" if was_late else "yes")
        elif self.in_flight.refused(slot, copy, "no") is not None:
            self.told[number].append("late no" if was_late else "no")
        self.in_flight.settle(slot)

    @rule(connection=st.integers(0, 2))
    def lose(self, connection: int) -> None:
        for slot in self.in_flight.connection_lost(0, connection, self.now_ns):
            self.told[slot.number].append("unknown")

    @rule(elapsed_ns=st.integers(0, 2 * SECOND))
    def wait(self, elapsed_ns: int) -> None:
        self.now_ns += elapsed_ns
        for slot in self.in_flight.expired(self.now_ns):
            self.told[slot.number].append("unknown")

    @invariant()
    def each_is_told_one_outcome_and_at_most_one_late_correction(self) -> None:
        for told in self.told.values():
            assert told in ([], ["yes"], ["no"], ["unknown"], ["unknown", "late yes"], ["unknown", "late no"]), told

    def teardown(self) -> None:
        self.now_ns += 10 * SECOND
        self.wait(0)
        assert all(self.told.values()), "every request has an outcome in the end"
        for _ in self.in_flight.expired(self.now_ns + 2 * LATE_MEMORY_NS):
            raise AssertionError("nothing expires twice")
        assert len(self.in_flight) == 0


TestAnyOrderOfAnswers = AnyOrderOfAnswers.TestCase
TestAnyOrderOfAnswers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_only_copy_that_nothing_was_heard_of_is_found_and_settled_at_once() -> None:
    in_flight = InFlight()
    slot = in_flight.open(Asked.PLACE, 0, 7)
    in_flight.sent(slot, 0, 3, 100, 1000)
    wire_number = in_flight.wire_number(slot, 0)
    assert in_flight.sole(wire_number + 1) is None  # Another copy of it never went out.
    assert in_flight.sole(wire_number) is slot
    in_flight.settle_sole(slot)
    assert (len(in_flight), in_flight.sole(wire_number), in_flight.find(wire_number)[0]) == (0, None, None)
    again = in_flight.open(Asked.QUERY, 1, 8)
    assert (again.open_copies, again.successes, again.sent_ns, again.entry, again.client_order_id) == (0, 0, 0, None, "")


def test_a_raced_a_late_and_a_refused_request_are_no_sole_copies() -> None:
    in_flight = InFlight()
    raced, late = in_flight.open(Asked.CANCEL, 0, 1), in_flight.open(Asked.PLACE, 0, 2)
    for copy in (0, 1):
        in_flight.sent(raced, copy, copy, 100, 1000)
    in_flight.sent(late, 0, 3, 100, 1000)
    assert in_flight.sole(in_flight.wire_number(raced, 0)) is None
    in_flight.succeeded(raced, 0)
    assert in_flight.sole(in_flight.wire_number(raced, 1)) is None
    assert list(in_flight.expired(2000)) == [late]
    assert in_flight.sole(in_flight.wire_number(late, 0)) is None
