"""The sending side of a connection: framing once, holding back, doubling, overtaking, cutting."""

from collections.abc import Callable
from typing import Any

import pytest

from reactor.sim.faces.streams import Frame
from reactor.sim.faults import MessageFate
from reactor.sim.sockets import BUFFER_BYTES_MAX, SENDS_PER_CHECK, Sender, SharedFrame, framed


class FakeTransport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.backlog = 0
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def get_write_buffer_size(self) -> int:
        return self.backlog


class FakeLoop:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        self.timers.append((when, callback))

    def move_to(self, now: float) -> None:
        while self.timers and min(self.timers)[0] <= now:
            timer = min(self.timers, key=lambda row: row[0])
            self.timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = now


class ScriptedPlan:
    """Fates in the order of the test."""

    def __init__(self, *fates: MessageFate) -> None:
        self.fates = list(fates)

    def market_message(self) -> MessageFate:
        return self.fates.pop(0)

    def user_message(self) -> MessageFate:
        return self.fates.pop(0)


def make(plan: Any = None) -> tuple[Sender, FakeTransport, FakeLoop, list[tuple[int, str]]]:
    loop, transport, closed = FakeLoop(), FakeTransport(), []  # type: ignore[var-annotated]
    sender = Sender(loop, SharedFrame(), lambda code, reason: closed.append((code, reason)), plan)  # type: ignore[arg-type]
    sender.attach(transport)  # type: ignore[arg-type]
    return sender, transport, loop, closed


@pytest.mark.parametrize(
    ("size", "header"),
    [(5, b"\x81\x05"), (125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00")],
)
def test_a_frame_has_the_shortest_header(size: int, header: bytes) -> None:
    assert framed(b"x" * size) == header + b"x" * size


def test_the_same_payload_is_framed_once() -> None:
    shared = SharedFrame()
    payload = b'{"e":"trade"}'
    assert shared.of(payload) is shared.of(payload)


def test_what_is_sent_before_the_handshake_waits_for_it() -> None:
    transport = FakeTransport()
    sender = Sender(FakeLoop(), SharedFrame(), lambda code, reason: None)  # type: ignore[arg-type]
    sender.send(b"early")
    sender.attach(transport)  # type: ignore[arg-type]
    assert transport.written == [framed(b"early")]


def test_a_delayed_frame_is_not_overtaken_on_its_connection() -> None:
    sender, transport, loop, _ = make()
    sender.send(b"slow", Frame.ANSWER, 50_000_000)
    sender.send(b"quick")
    assert transport.written == []
    loop.move_to(0.1)
    assert transport.written == [framed(b"slow"), framed(b"quick")]


def test_the_plan_drops_doubles_and_swaps_market_messages() -> None:
    plan = ScriptedPlan(MessageFate(copies=0), MessageFate(copies=2), MessageFate(is_overtaken=True), MessageFate())
    sender, transport, _, _ = make(plan)
    for payload in (b"lost", b"twice", b"held", b"next"):
        sender.send(payload, Frame.MARKET)
    assert transport.written == [framed(b"twice"), framed(b"twice"), framed(b"next"), framed(b"held")]


def test_answers_are_spared_by_the_message_faults() -> None:
    sender, transport, _, _ = make(ScriptedPlan())
    sender.send(b"answer", Frame.ANSWER)
    assert transport.written == [framed(b"answer")]


def test_the_plan_cuts_the_connection() -> None:
    sender, transport, _, closed = make(ScriptedPlan(MessageFate(disconnect=True)))
    sender.send(b"event", Frame.USER)
    sender.send(b"never", Frame.ANSWER)
    assert transport.is_aborted
    assert (transport.written, closed) == ([], [])


def test_a_client_that_does_not_read_is_cut() -> None:
    sender, transport, _, _ = make()
    transport.backlog = BUFFER_BYTES_MAX + 1
    for _ in range(SENDS_PER_CHECK):
        sender.send(b"more")
    assert transport.is_aborted


def test_closing_is_asked_for_once() -> None:
    sender, _, _, closed = make()
    sender.close(1008, "Too many requests")
    sender.close(1000)
    assert closed == [(1008, "Too many requests")]
