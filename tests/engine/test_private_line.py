"""Private connections by the read: every whole frame in order, what is left stays, one bad frame does not cost the others."""

from typing import Any

import orjson
import pytest
from engine_network import FakeConnection
from engine_stand import SPOT, Stand, ack, refusal

from reactor.domain.messages import Reason, ReportKind
from reactor.engine.counters import Counter
from reactor.engine.order_session import OrderSession
from reactor.engine.user_stream import UserStream


class Source:
    """What a line does with frames that are not its own."""

    def __init__(self) -> None:
        self.controls: list[tuple[int, bytes]] = []
        self.needed = 0
        self.failed = ""
        self.errors: list[BaseException] = []

    def on_control(self, opcode: int, payload: bytes, receive_ns: int) -> None:
        self.controls.append((opcode, payload))

    def need(self, size: int) -> None:
        self.needed = size

    def fail(self, reason: str) -> None:
        self.failed = reason

    def on_error(self, error: BaseException) -> None:
        self.errors.append(error)

    def close(self, reason: str = "") -> None: ...


def framed(message: Any, opcode: int = 0x81) -> bytes:
    payload = message if isinstance(message, bytes) else orjson.dumps(message)
    size = len(payload)
    return bytes((opcode, size) if size < 126 else (opcode, 126, size >> 8, size & 0xFF)) + payload


@pytest.fixture
def stand() -> Stand:
    made = Stand()
    made.bring_up()
    return made


def carrier_of(stand: Stand, connection: FakeConnection) -> OrderSession:
    return next(each for each in stand.role._venues[SPOT].connections.sessions if each.connection is connection)


def send_places(stand: Stand, count: int) -> tuple[OrderSession, list[dict[str, Any]]]:
    for _ in range(count):
        stand.place(SPOT)
    stand.work()
    sent = stand.sent(SPOT)
    assert len({id(connection) for connection, _ in sent}) == 1
    return carrier_of(stand, sent[0][0]), [request for _, request in sent]


def take(line: OrderSession | UserStream, source: Any, data: bytes) -> int:
    buffer = bytearray(data)
    return line.on_bytes(source, buffer, 0, len(buffer), 1_000)


def test_every_answer_of_a_read_is_taken_in_order_and_the_beginning_of_the_next_stays(stand: Stand) -> None:
    session, [first, second, third] = send_places(stand, 3)
    source = Source()
    whole = framed(ack(first, 11)) + framed(b"hi", 0x89) + framed(refusal(second, -2010, "no money")) + framed(ack(third, 13))
    begun = framed(ack(third, 13))
    assert take(session, source, whole + begun[:50]) == len(whole)
    assert [(ReportKind(report.header.kind).name, report.venue_order_id) for report in stand.reports_now()] == [
        ("ACK", 11), ("REJECT", 0), ("ACK", 13),
    ]  # fmt: skip
    assert (source.controls, source.needed, source.errors) == ([(0x89, b"hi")], len(begun), [])
    assert session.in_flight == 0


def test_a_frame_that_nobody_can_handle_does_not_cost_those_behind_it(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    session, [first, second] = send_places(stand, 2)
    source, failure = Source(), RuntimeError("a mistake of ours")

    class Clumsy:
        on_order_execution = staticmethod(session.pool.owner.on_order_execution)

        def on_order_answer(self, *arguments: Any) -> None:
            raise failure

    monkeypatch.setattr(session.pool, "owner", Clumsy())
    assert take(session, source, framed(refusal(first, -2010, "no money")) + framed(ack(second, 12))) > 0
    assert source.errors == [failure]
    assert stand.kinds() == ["ACK"]


def test_what_is_no_frame_ends_the_connection(stand: Stand) -> None:
    session, [first] = send_places(stand, 1)
    source = Source()
    data = framed(ack(first)) + b"\xff\xff\xff\xff"
    assert take(session, source, data) == len(data)
    assert source.failed
    assert stand.kinds() == ["ACK"]


def test_an_answer_that_nobody_waits_for_is_counted(stand: Stand) -> None:
    session, [first] = send_places(stand, 1)
    take(session, Source(), framed(ack(first)) + framed(ack(first)))
    assert stand.kinds() == ["ACK"]
    assert stand.counted(Counter.ANSWERS_UNASKED) == 1


def test_a_place_whose_price_no_wire_can_carry_is_not_sent(stand: Stand) -> None:
    stand.place(SPOT, price_ticks=-5)
    stand.work()
    assert stand.sent(SPOT) == []
    [report] = stand.reports_now()
    assert (report.header.kind, report.reason) == (ReportKind.NOT_SENT, Reason.BAD_PARAMETER)
