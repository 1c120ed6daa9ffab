"""Places of one pass: the first leaves at once, those behind it leave in one write, and nothing waits beyond its pass."""

from engine_network import FakeConnection
from engine_stand import SPOT, Stand, ack

from reactor.domain.messages import FLAG_HEDGE, Stage
from reactor.engine.requests import HELD_MAX, HELD_NS
from reactor.net.network import Sent


class Source:
    """A connection that can hold frames back, before the fake one."""

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection
        self.waiting: list[bytes] = []
        self.writes: list[int] = []  # how many frames left in each

    def put(self, payload: bytes) -> Sent:
        if not self._connection.is_open:
            return Sent.NOT_SENT
        self.waiting.append(payload)
        return Sent.HANDED_OVER

    def flush(self) -> None:
        if self.waiting:
            self.writes.append(len(self.waiting))
            self._connection.sent += self.waiting
            self.waiting = []


def stand_with_source() -> tuple[Stand, Source]:
    stand = Stand()
    stand.bring_up()
    session = stand.role._venues[SPOT].connections.usable[0]
    assert isinstance(session.connection, FakeConnection)
    source = Source(session.connection)
    session._source = source  # type: ignore[assignment]
    return stand, source


def places_sent(stand: Stand) -> int:
    return sum(len(connection.sent) for connection in stand.order_sessions(SPOT))


def test_the_first_place_of_a_pass_leaves_at_once_and_the_others_in_one_write() -> None:
    stand, source = stand_with_source()
    ids = [stand.place(SPOT) for _ in range(5)]
    stand.work()
    assert source.writes == [4]
    assert [request["params"]["newClientOrderId"] for _, request in stand.sent(SPOT)] == ids


def test_beside_prepost_the_second_place_waits_for_our_part_of_the_pass() -> None:
    stand, source = stand_with_source()
    woken: list[int] = []
    stand.role.wake = lambda: woken.append(1)
    for _ in range(3):
        stand.place(SPOT)
        stand.role.take_commands()
    assert woken
    assert (places_sent(stand), len(source.waiting)) == (1, 2)
    stand.work()
    assert (places_sent(stand), source.writes) == (3, [2])
    stand.place(SPOT)
    stand.role.take_commands()  # The next pass begins anew.
    assert places_sent(stand) == 4


def test_where_nobody_calls_us_back_nothing_waits() -> None:
    stand, source = stand_with_source()
    for number in range(3):
        stand.place(SPOT)
        stand.role.take_commands()
        assert places_sent(stand) == number + 1
    assert source.writes == []


def test_neither_many_nor_old_places_wait() -> None:
    stand, source = stand_with_source()
    stand.role.wake = lambda: None
    for _ in range(1 + HELD_MAX + 1):
        stand.place(SPOT)
        stand.role.take_commands()
    assert source.writes == [HELD_MAX]
    stand.clock.advance(HELD_NS + 1)
    stand.place(SPOT)
    stand.role.take_commands()
    assert source.writes == [HELD_MAX, 2]


def test_a_hedge_does_not_wait() -> None:
    stand, source = stand_with_source()
    stand.role.wake = lambda: None
    for flags in (0, FLAG_HEDGE):
        stand.place(SPOT, flags=flags)
        stand.role.take_commands()
    assert (places_sent(stand), source.waiting) == (2, [])


def test_a_place_that_waited_was_sent_when_it_was_written() -> None:
    stand, _ = stand_with_source()
    stand.role.wake = lambda: None
    for _ in range(2):
        stand.place(SPOT)
        stand.role.take_commands()
    began_ns = stand.clock.monotonic_ns()
    stand.clock.advance(40_000)
    stand.work()
    for connection, request in stand.sent(SPOT):
        connection.say(ack(request, request["id"]))
    stamps = [report.header.stage_ns[Stage.SEND] for report in stand.reports_now()]
    assert stamps == [began_ns, began_ns + 40_000]


def test_places_that_waited_on_a_connection_that_broke_have_an_unknown_outcome() -> None:
    stand, _ = stand_with_source()
    stand.role.wake = lambda: None
    for _ in range(2):
        stand.place(SPOT)
        stand.role.take_commands()
    connection = stand.role._venues[SPOT].connections.usable[0].connection
    assert isinstance(connection, FakeConnection)
    connection.lose()
    assert stand.kinds() == ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]
    stand.work()
