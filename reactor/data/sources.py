"""Where a recorder's frames come from: sessions of its own, or the market-data topic of a running system.

    own sessions   venue ══(redundant)══▶ Line ─┐
                                                ├─▶ FrameReader ─▶ SymbolRecording
    a system       feed ─▶ topic (iceoryx2) ────┘

Both bring the same bytes, so the lines are the same.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from reactor.data.recording import Frame, SymbolRecording
from reactor.data.venues import RecordedVenue
from reactor.exchanges.venue import Endpoints, Stream
from reactor.feed.parameters import SessionParameters
from reactor.feed.publish import TOPIC_NAME
from reactor.feed.sessions import FeedSession, Line, Take
from reactor.loop.clock import Clock
from reactor.loop.log import Log
from reactor.market.intake import FrameDecoder, FrameKind, Session, Symbols, add_symbol
from reactor.market.topic_frame import FrameJoiner
from reactor.net.network import Network
from shm.segment import Memory
from shm.topic import MESSAGES_PER_PASS_MAX, TopicSubscriber

SECOND_NS: Final = 1_000_000_000
SILENCE_NS: Final = 5 * SECOND_NS  # A system that lives says something of some symbol more often.
WISH_AFTER_NS: Final = SECOND_NS  # A symbol that the system follows anyway has spoken by then.
PASSES_MAX: Final = 16  # Of MESSAGES_PER_PASS_MAX, before the rest of the recorder has its turn.
_EVERY_FRAME: Final = 1

_ANSWER: Final[int] = FrameKind.ANSWER
_SHUTDOWN: Final[int] = FrameKind.SERVER_SHUTDOWN
_MALFORMED: Final[int] = FrameKind.MALFORMED


class Source(Protocol):
    """Brings frames to the recordings."""

    @property
    def is_up(self) -> bool:
        """Deltas are coming: a snapshot now will fit."""

    def work(self, now_ns: int) -> int:
        """A turn, every few ms. How many messages it took."""

    def stop(self) -> None:
        """Brings nothing any more."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One stream."""

    recording: SymbolRecording
    slot: int
    name: str  # without the symbol
    frame_kind: int
    is_delta: bool
    is_derived: bool


class FrameReader:
    """Says whose a frame is and hands it to its recording."""

    def __init__(self, venue: RecordedVenue, recordings: Iterable[SymbolRecording], streams: Iterable[str]) -> None:
        self.streams: list[Stream] = []
        self.malformed = 0
        self.foreign = 0  # frames of streams that nobody asked for
        self._symbols = Symbols()
        self._decoder = FrameDecoder(self._symbols, capacity=1)  # Levels of bare symbols are not read.
        self.frame = self._decoder.frame
        self._entries: dict[bytes, _Entry] = {}
        self._slots: dict[str, int] = {}
        names = tuple(streams)
        for recording in recordings:
            slot = self._slots[recording.symbol] = add_symbol(self._symbols.native, recording.symbol)
            for name, stream in zip(names, venue.streams(recording.symbol, names), strict=True):
                self.streams.append(stream)
                entry = _Entry(recording, slot, name, stream.frame_kind, venue.is_delta(name), stream.is_derived)
                self._entries[stream.name.encode()] = entry

    def slot_of(self, symbol: str) -> int:
        """The number of a recorded symbol; -1: it is none."""
        return self._slots.get(symbol, -1)

    def decode(self, payload: memoryview | bytes) -> int:
        """Fills `frame`; returns its kind."""
        return self._decoder.decode(payload)

    def read_snapshot(self, body: bytes, symbol: str) -> int:
        """lastUpdateId of a REST book; 0: it is none."""
        kind = self._decoder.decode(body, self._slots[symbol])
        return int(self.frame.final_id) if kind == FrameKind.SNAPSHOT and not self.frame.error else 0

    def entry_of(self, payload: memoryview | bytes) -> _Entry | None:
        """Whose the frame is that was decoded just now."""
        frame = self.frame
        offset = frame.text_offset
        return self._entries.get(bytes(payload[offset : offset + frame.text_size]))

    def record(self, entry: _Entry, payload: memoryview | bytes, wall_ns: int, now_ns: int, can_bridge: bool) -> None:
        """Hands over the frame that was decoded just now."""
        frame = self.frame
        told = Frame(
            frame.kind, entry.name, frame.first_id, frame.final_id, frame.previous_id, frame.trade_id,
            frame.event_ms or frame.transaction_ms, entry.is_delta, entry.is_derived,
        )  # fmt: skip
        entry.recording.on_frame(told, bytes(payload), wall_ns, now_ns, can_bridge)

    def refuse(self, payload: memoryview | bytes, wall_ns: int, log: Log) -> None:
        """A frame that is not recorded: damaged, or of a stream that nobody asked for."""
        start = bytes(payload[:80]).decode("ascii", "replace")
        entry = self.entry_of(payload)
        if self.frame.kind == _MALFORMED:
            self.malformed += 1
            log.warning("malformed frame left out", start=start)
            if entry is not None:
                entry.recording.on_missed(wall_ns, wall_ns, "a malformed frame was left out", 1)
        else:
            self.foreign += 1
            log.debug("frame of a stream that nobody asked for", start=start)


class OwnSessions:
    """Direct mode: the venue's public connections, `redundancy` of each."""

    def __init__(
        self,
        venue: RecordedVenue,
        endpoints: Endpoints,
        reader: FrameReader,
        recordings: Mapping[str, SymbolRecording],
        network: Network,
        clock: Clock,
        log: Log,
        sessions: SessionParameters,
        uniform: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._recordings = recordings
        self._clock = clock
        self._log = log
        self._can_bridge = False
        self._is_stopping = False
        self._shift_ns = clock.realtime_ns() - clock.monotonic_ns()
        self.lines = tuple(
            Line(self, venue.codec, venue.codec.stream_url(endpoints, is_derived), network, sessions, self._make_take, uniform,
                 _EVERY_FRAME)
            for is_derived in (False, True)
        )  # fmt: skip
        now_ns = clock.monotonic_ns()
        for is_derived, line in zip((False, True), self.lines, strict=True):
            wanted = [stream for stream in reader.streams if stream.is_derived == is_derived]
            self.left_out = len(wanted) - line.add(wanted, now_ns)
            assert self.left_out == 0, "the caller has counted the streams"

    def _make_take(self, counters: Session) -> Take:
        native, decode = counters.native, self._reader.decode

        def take(payload: memoryview, receive_ns: int) -> int:
            native.last_receive_ns = receive_ns
            native.frames += 1
            decode(payload)
            return _EVERY_FRAME

        return take

    # -- the line's calls

    def on_frame_bits(self, bits: int, payload: memoryview, receive_ns: int, session: FeedSession) -> None:
        """One frame, decoded."""
        reader = self._reader
        frame = reader.frame
        kind = frame.kind
        if kind == _ANSWER:
            if frame.code:
                text = bytes(payload[:200]).decode(errors="replace")
                self._log.error("the venue refused a subscription", code=frame.code, answer=text)
            session.on_answer(frame.answer_id, frame.code, receive_ns)
            return
        if kind == _SHUTDOWN:
            self._log.warning("the venue announced a shutdown: replacing the session", session=session.number)
            session.rotate_now(receive_ns)
            return
        entry = None if self._is_stopping else reader.entry_of(payload)
        wall_ns = receive_ns + self._shift_ns
        if entry is None or kind == _MALFORMED:
            if not self._is_stopping:
                reader.refuse(payload, wall_ns, self._log)
            return
        session.counters.native.seen[entry.slot] |= 1 << entry.frame_kind
        reader.record(entry, payload, wall_ns, receive_ns, self._can_bridge)

    def on_session_up(self, session: FeedSession, now_ns: int) -> None:
        """It has its streams."""
        self._log.info("session is live", url=session.line.url, session=session.number)
        is_derived = session.line is self.lines[True]
        for recording in self._recordings.values():
            recording.on_found(now_ns + self._shift_ns, is_derived)

    def on_session_down(self, session: FeedSession, reason: str, now_ns: int) -> None:
        """It is lost, or was replaced as planned."""
        line = session.line
        if reason and not self._is_stopping:
            self._log.warning("session lost", url=line.url, session=session.number, reason=reason, others=line.live_count())
        if line.live_count() == 0 and not self._is_stopping:
            for recording in self._recordings.values():
                recording.on_lost(0, reason, line is self.lines[True])

    def on_silent_stream(self, session: FeedSession, stream: Stream) -> None:
        """A wrong symbol or stream looks exactly like this."""
        self._log.warning("subscribed, but no data came yet: is the name right?", stream=stream.name)

    def slot_of(self, symbol: str) -> int:
        """As the reader numbers it."""
        return self._reader.slot_of(symbol)

    # -- the recorder's calls

    @property
    def is_up(self) -> bool:
        """The public line brings data."""
        return self.lines[False].live_count() > 0

    def work(self, now_ns: int) -> int:
        """Keeps the sessions; frames come by themselves."""
        self._shift_ns = self._clock.realtime_ns() - now_ns
        for line in self.lines:
            line.on_time(now_ns)
        self._can_bridge = self.lines[False].live_count() > 1
        return 0

    def stop(self) -> None:
        """Closes every session."""
        self._is_stopping = True
        for line in self.lines:
            line.stop()


class _Publishers:
    """One system's topic: its subscriber, and per feed what came last."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.memory = Memory(instance, f"recorder-{os.getpid()}")
        self.topic = TopicSubscriber(self.memory, TOPIC_NAME)
        self.joiners: dict[int, FrameJoiner] = {}
        self.sequences: dict[int, int] = {}
        self.lost = 0
        self.broken = 0
        self.last_ns = 0  # CLOCK_MONOTONIC of the last message; 0: none yet
        self.is_silent = False


class Topics:
    """IPC mode: frames of running systems; no connection of our own."""

    def __init__(
        self,
        venue: RecordedVenue,
        instances: Iterable[str],
        reader: FrameReader,
        recordings: Mapping[str, SymbolRecording],
        clock: Clock,
        log: Log,
    ) -> None:
        """
        Raises:
            SegmentError: the host does not let us; the sentence says what to do.
        """
        self._venue = venue
        self._reader = reader
        self._recordings = recordings
        self._clock = clock
        self._log = log
        self._publishers = [_Publishers(instance) for instance in instances]
        self._wish_due_ns = clock.monotonic_ns() + WISH_AFTER_NS

    @property
    def is_up(self) -> bool:
        """Somebody speaks."""
        return any(publishers.last_ns and not publishers.is_silent for publishers in self._publishers)

    def work(self, now_ns: int) -> int:
        """Takes what waits."""
        taken = 0
        for publishers in self._publishers:
            for _ in range(PASSES_MAX):
                messages = publishers.topic.take()
                taken += len(messages)
                for message in messages:
                    self._hear(publishers, message.source, message.sequence, now_ns)
                    self._take(publishers, message.source, message.body, now_ns)
                if len(messages) < MESSAGES_PER_PASS_MAX:
                    break
            self._watch(publishers, now_ns)
        if self._wish_due_ns and now_ns >= self._wish_due_ns:
            self._wish_due_ns = 0
            self._wish()
        return taken

    def _wish(self) -> None:
        """Asks for the symbols that nobody brings by himself: every feed that is asked opens the streams anew."""
        for symbol, recording in self._recordings.items():
            if not recording.statistics.by_stream:
                for publishers in self._publishers:
                    publishers.topic.want(f"{self._venue.name}:{symbol}")

    def _hear(self, publishers: _Publishers, source: int, sequence: int, now_ns: int) -> None:
        last = publishers.sequences.get(source)
        publishers.sequences[source] = sequence
        is_first = publishers.last_ns == 0
        publishers.last_ns = now_ns
        is_restarted = last is not None and sequence <= last
        if is_restarted:
            self._log.warning("the system's feed was restarted", instance=publishers.instance, feed=source)
            if len(self._publishers) == 1:
                self._lose(f"the feed of {publishers.instance} was restarted")
        if is_restarted or is_first or publishers.is_silent:
            publishers.is_silent = False
            self._find()

    def _take(self, publishers: _Publishers, source: int, body: bytes, now_ns: int) -> None:
        joiner = publishers.joiners.get(source)
        if joiner is None:
            joiner = publishers.joiners[source] = FrameJoiner()
        frame = joiner.take(body)
        if frame is None or frame.venue != self._venue.venue:
            return
        reader = self._reader
        kind = reader.decode(frame.payload)
        entry = reader.entry_of(frame.payload)
        if kind == _MALFORMED:
            reader.refuse(frame.payload, frame.receive_wall_ns, self._log)
        elif entry is not None:
            reader.record(entry, frame.payload, frame.receive_wall_ns, now_ns, len(self._publishers) > 1)

    def _watch(self, publishers: _Publishers, now_ns: int) -> None:
        broken = sum(joiner.broken for joiner in publishers.joiners.values())
        missed = publishers.topic.lost - publishers.lost + broken - publishers.broken
        if missed:
            self._log.warning("the recorder was too slow for the topic", instance=publishers.instance, messages=missed)
            wall_ns = self._clock.realtime_ns()
            for recording in self._recordings.values():
                last_ns = recording.statistics.last_ns or wall_ns
                recording.on_missed(last_ns, wall_ns, f"messages of the topic of {publishers.instance} were lost", missed)
            publishers.lost, publishers.broken = publishers.topic.lost, broken
        if publishers.last_ns and not publishers.is_silent and now_ns - publishers.last_ns > SILENCE_NS:
            publishers.is_silent = True
            self._log.warning("nothing comes from the system any more", instance=publishers.instance)
            if not self.is_up:
                self._lose(f"nothing came from {publishers.instance}")

    def _lose(self, reason: str) -> None:
        for recording in self._recordings.values():
            for is_derived in (False, True):
                recording.on_lost(0, reason, is_derived)

    def _find(self) -> None:
        wall_ns = self._clock.realtime_ns()
        for recording in self._recordings.values():
            for is_derived in (False, True):
                recording.on_found(wall_ns, is_derived)

    def stop(self) -> None:
        """Leaves the topics."""
        for publishers in self._publishers:
            publishers.topic.close()
            publishers.memory.close()
        self._publishers.clear()
