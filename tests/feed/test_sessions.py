"""The table of a session: what is not in it is refused and counted."""

from itertools import product

import pytest

from reactor.domain.messages import Venue
from reactor.exchanges.binance.market import BinanceMarket
from reactor.exchanges.venue import StreamOptions
from reactor.feed.parameters import SessionParameters
from reactor.feed.sessions import TRANSITIONS, FeedSession, Line, SessionEvent, SessionState
from reactor.market.intake import Session
from reactor.net.backoff import Backoff, BackoffParameters
from reactor.net.network import Sent


class Owner:
    """Hears nothing."""

    def on_frame_bits(self, bits, payload, receive_ns, session): ...
    def on_session_up(self, session, now_ns): ...
    def on_session_down(self, session, reason, now_ns): ...
    def on_silent_stream(self, session, stream): ...
    def slot_of(self, symbol):
        return 0


def line_of(network, **parameters):
    return Line(
        Owner(), BinanceMarket(Venue.BINANCE_SPOT), "ws://x/stream", network, SessionParameters(**parameters),
        lambda counters: lambda payload, receive_ns: 0, lambda: 0.5, 1,
    )  # fmt: skip


@pytest.fixture
def session(network):
    return FeedSession(line_of(network), 0, lambda payload, receive_ns: 0, Session(), Backoff(BackoffParameters(), lambda: 0.5))


def test_every_pair_outside_the_table_is_refused_counted_and_changes_nothing(session):
    for state, event in product(SessionState, SessionEvent):
        session.state, session.refused = state, 0
        session._step(event)
        expected = TRANSITIONS.get((state, event))
        assert session.state is (state if expected is None else expected)
        assert session.refused == (expected is None)


def test_only_answers_make_a_session_live_and_only_closing_ends_it():
    for (state, event), target in TRANSITIONS.items():
        if target is SessionState.LIVE:
            assert event is SessionEvent.ANSWERED or state is SessionState.LIVE
        if target is SessionState.GONE:
            assert state in (SessionState.CLOSING, SessionState.WAITING, SessionState.GONE)


def test_no_more_streams_than_a_connection_carries_are_subscribed(network, clock):
    line = line_of(network)
    streams = [stream for number in range(400) for stream in line.codec.streams(f"S{number}", StreamOptions())]
    assert line.add(streams, clock.monotonic_ns()) == 1024
    assert line.add(streams[:5], clock.monotonic_ns()) == 0


def test_a_session_that_cannot_send_is_closed(network, clock):
    line = line_of(network)
    line.add(line.codec.streams("BTCUSDT", StreamOptions()), 0)
    line.on_time(clock.monotonic_ns())
    line.on_time(clock.monotonic_ns())
    socket = network.sockets[0]
    socket.send = lambda payload: Sent.NOT_SENT
    socket.open()
    assert socket.closed == "cannot send"
    assert line.sessions[0].state is SessionState.WAITING


def test_a_subscription_without_an_answer_is_tried_on_a_new_connection(network, clock):
    line = line_of(network, subscribe_answer_s=3, silence_s=60)
    line.add(line.codec.streams("BTCUSDT", StreamOptions()), 0)
    line.on_time(clock.monotonic_ns())
    line.on_time(clock.monotonic_ns())
    network.sockets[0].open()
    clock.advance(3_100_000_000)
    line.on_time(clock.monotonic_ns())
    assert network.sockets[0].closed == "no answer to a subscription"


def test_a_line_without_streams_opens_nothing(network, clock):
    line = line_of(network)
    line.on_time(clock.monotonic_ns())
    assert network.sockets == []
