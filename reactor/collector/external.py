"""Signals from outside: an iceoryx2 topic for processes of this host, ZeroMQ for anybody. Bytes in, signal messages out.

    any process ── iceoryx2 topic "external_signals" ──┐
    any process ── PUSH/PUB  ipc:// or tcp:// ─────────┤─▶ ExternalSignals ─▶ the signal table
                                                        └ what is wrong is refused, counted by reason and logged; never fatal

The format is drawn in external_message.py. In Python, a producer is three lines:

    with SignalProducer.to_zeromq("ipc:///run/crypto_trade/paper/signals", producer=7) as signals:
        signals.send(SignalType.USER, [0.25], name="binance_spot:BTCUSDT")

A ZeroMQ input listens: PULL takes PUSH, SUB takes PUB, any number of producers connect. A `tcp://` address is bound to
loopback, unless the config allows others and then asks for a token; the token travels in clear, so tunnel it.
"""

import contextlib
import ctypes
import ipaddress
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import zmq

from reactor.collector.external_message import MESSAGE_BYTES_MAX, Decoder, DecoderParameters, Refusal, encode
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import NO_INSTRUMENT, new
from reactor.loop.clock import Clock
from reactor.loop.log import Log
from shm.segment import Memory, SegmentError

TOPIC = "external_signals"
ORIGIN = 0x7000  # signal_id of external signals: far above any feed's index + 1, and positive in 64 bits.
RECEIVE_QUEUE_MAX = 1_000  # Messages that ZeroMQ keeps for us; a producer that is faster than the collector waits or loses.
PRODUCERS_MAX = 16  # of the topic; ZeroMQ has no limit
SUBSCRIBERS_MAX = 4  # the collector, its successor, and who wants to watch
NODES_MAX = 48
TOPIC_QUEUE_MAX = 256  # per producer: a collector that does not look for 10 ms loses none at 20 000 messages a second
READS_PER_LOOK_MAX = 64  # So that a flood of rubbish costs a bounded time per pass.
QUIET_NS = 1_000_000_000  # After a second without messages a sleeping shard is not woken for a look any more.
SOURCE_FAULTS_MAX = 100  # Read errors of one source before it is left alone.


@dataclass(frozen=True)
class ZeroMQInput:
    """One listening socket."""

    address: str  # ipc:///path or tcp://127.0.0.1:5555
    kind: str = "pull"  # or "sub"


@dataclass(frozen=True)
class ExternalParameters:
    """Which doors are open."""

    topic: bool = True  # the iceoryx2 topic of this instance: reachable for processes of this user only
    zeromq: tuple[ZeroMQInput, ...] = ()
    allow_remote: bool = False  # tcp:// on other addresses than loopback; asks for a token
    # Where the token (at most 16 characters) is found that every message must carry. Never the token: a config is copied.
    token_variable: str = ""  # an environment variable
    token_file: str = ""  # or a file of mode 0600 with nothing else in it; empty both: no token is asked for
    poll_us: int = 200  # how often the sources are looked at: a look costs some microseconds
    decoder: DecoderParameters = field(default_factory=DecoderParameters)


class Source(Protocol):
    """Where messages come from."""

    name: str

    def try_receive(self) -> bytes | None:
        """The next message; None: nothing there. Empty for one that cannot be a message of ours."""

    def close(self) -> None:
        """Closes the door."""


def problems_of(parameters: ExternalParameters) -> list[str]:
    """What is wrong with the doors, one sentence each. Pure; `crypto-trade check` asks it too."""
    problems = []
    for door in parameters.zeromq:
        what = f"external signals: {door.address}"
        if door.kind not in ("pull", "sub"):
            problems.append(f"{what}: kind is {door.kind!r}; use pull (for PUSH producers) or sub (for PUB producers)")
        if door.address.startswith("ipc://"):
            if not door.address.removeprefix("ipc://").startswith("/"):
                problems.append(f"{what}: give an absolute path, like ipc:///run/crypto_trade/signals")
        elif door.address.startswith("tcp://"):
            host, _, port = door.address.removeprefix("tcp://").rpartition(":")
            if not port.isdigit():
                problems.append(f"{what}: the port is missing, like tcp://127.0.0.1:5555")
            elif not _is_loopback(host):
                if not parameters.allow_remote:
                    problems.append(f"{what}: is not loopback; bind 127.0.0.1, or set allow_remote: true and name a token")
                elif not parameters.token_variable and not parameters.token_file:
                    problems.append(
                        f"{what}: anybody who reaches this port could trade for you; name a token_variable or token_file"
                    )
        else:
            problems.append(f"{what}: only ipc:// and tcp:// are known")
    if parameters.token_variable and parameters.token_file:
        problems.append("external signals: token_variable and token_file are both set; one place is enough")
    if parameters.poll_us <= 0:
        problems.append(f"external signals: poll_us is {parameters.poll_us}; it must be above 0")
    return problems


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # "*", an interface or a name: it may be reachable from anywhere.


class ZeroMQSource:
    """A listening PULL or SUB socket."""

    def __init__(self, door: ZeroMQInput, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        """Binds.

        Raises:
            ConfigError: the address is in use, or may not be bound.
        """
        self.name = door.address
        self._socket = context.socket(zmq.SUB if door.kind == "sub" else zmq.PULL)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE_MAX)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)  # A longer one ends its sender's connection.
        if "[" in door.address:
            self._socket.setsockopt(zmq.IPV6, 1)
        if door.kind == "sub":
            self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        try:
            _bind(self._socket, door.address)
        except (zmq.ZMQError, OSError) as error:
            self._socket.close()
            raise ConfigError(
                f"external signals: cannot listen on {door.address}: {error}; "
                "another process may hold it, or the path may not be writable"
            ) from error
        self.wake_fd = int(self._socket.getsockopt(zmq.FD))  # Becomes readable when something may have come.

    def try_receive(self) -> bytes | None:
        if not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            return None  # Asking is a third of what the exception of an empty read costs.
        raw = self._socket.recv(zmq.DONTWAIT)
        if not self._socket.getsockopt(zmq.RCVMORE):
            return raw
        while self._socket.getsockopt(zmq.RCVMORE):
            self._socket.recv(zmq.DONTWAIT)
        return b""  # Of several frames: not ours.

    def close(self) -> None:
        self._socket.close()


def _bind(socket: "zmq.Socket[bytes]", address: str) -> None:
    """Binds; an `ipc://` socket is its owner's alone, also where the directory is everybody's."""
    if not address.startswith("ipc://"):
        socket.bind(address)
        return
    path = Path(address.removeprefix("ipc://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(f"{path} is there and is no socket")
    before = os.umask(0o177)
    try:
        socket.bind(address)
    finally:
        os.umask(before)


class TopicSource:
    """The iceoryx2 topic `crypto_trade/<instance>/external_signals`: one sample, one message; payload type [u8].

    A process in another language opens the service with the limits below. A full queue loses its oldest message, which the
    producers' sequence numbers show.
    """

    def __init__(self, memory: Memory, topic: str = TOPIC) -> None:
        """Joins the topic.

        Raises:
            ConfigError: iceoryx2 does not let us.
        """
        self.name = memory.service_name(topic)
        try:
            self._service = topic_service(memory, topic)
            self._subscriber: Any = self._service.subscriber_builder().create()
        except SegmentError as error:
            raise ConfigError(f"external signals: {error}") from error
        except Exception as error:
            raise ConfigError(f"external signals: {memory.explain(f'cannot join the topic {topic!r}', error)}") from error

    def try_receive(self) -> bytes | None:
        sample = self._subscriber.receive()
        if sample is None:
            return None
        payload = sample.payload()
        size = int(payload.len())
        # One byte more than a message may have is enough to see that it is too long.
        raw = ctypes.string_at(payload.as_ptr(), min(size, MESSAGE_BYTES_MAX + 1))
        sample.delete()
        return raw

    def close(self) -> None:
        if self._subscriber is not None:
            self._subscriber.delete()
            self._subscriber = self._service = None


def topic_service(memory: Memory, topic: str = TOPIC) -> Any:
    """The service with the limits that everybody who joins it names.

    Raises:
        SegmentError: iceoryx2 does not let us.
    """
    return memory.topic_service(topic, PRODUCERS_MAX, SUBSCRIBERS_MAX, NODES_MAX, TOPIC_QUEUE_MAX, 0)


class ExternalSignals:
    """All doors, one after another. The collector takes from it as from a ring."""

    def __init__(
        self,
        parameters: ExternalParameters,
        sources: Sequence[Source],
        instruments: Instruments,
        pairs: Sequence[tuple[int, int]],
        clock: Clock,
        log: Log,
        token: bytes = b"",
    ) -> None:
        # Ids go on growing over restarts of the collector: they start at the wall's microseconds.
        first = clock.realtime_ns() // 1_000 & (1 << 48) - 1
        self._decoder = Decoder(parameters.decoder, instruments, pairs, (ORIGIN << 48) + first, token)
        self._sources = list(sources)
        self._turn = 0
        self._due_ns = 0
        self._heard_ns = -QUIET_NS
        self._faults = [0] * len(self._sources)
        self._signal = new("signal")
        self._realtime_ns = clock.realtime_ns
        self._log = log
        self._poll_ns = parameters.poll_us * 1_000
        self.accepted = 0
        self.refusals = [0] * len(Refusal)

    @property
    def refused(self) -> int:
        """How many messages were not taken, for whatever reason."""
        return sum(self.refusals)

    @property
    def lost(self) -> int:
        """Gaps in the sequences of the producers."""
        return self._decoder.lost

    @property
    def wake_fds(self) -> tuple[int, ...]:
        """Descriptors that a loop may watch, so that a sleeping shard hears of a message at once."""
        fds = (getattr(source, "wake_fd", -1) for source in self._sources)
        return tuple(fd for fd in fds if fd >= 0)

    def is_due(self, now_ns: int) -> bool:
        """True when it is time to look."""
        return now_ns >= self._due_ns

    def deadline_ns(self, now_ns: int) -> int:
        """When a sleeping shard should look again: soon while there is traffic, otherwise whenever it wakes anyway."""
        return self._due_ns if now_ns - self._heard_ns < QUIET_NS else now_ns + QUIET_NS

    def try_receive(self, now_ns: int) -> object | None:
        """The next good signal (valid until the next call); None when all sources are empty, until the next look is due."""
        sources = self._sources
        empty = 0
        for _ in range(READS_PER_LOOK_MAX):
            if empty == len(sources):
                break
            source = sources[self._turn]
            self._turn = (self._turn + 1) % len(sources)  # One from each in turn: nobody's flood keeps the others out.
            raw = self._read(source)
            if raw is None:
                empty += 1
                continue
            empty = 0
            refusal = self._decoder.decode(raw, self._signal, now_ns, self._realtime_ns()) if raw else Refusal.PARTS
            self._heard_ns = now_ns
            if refusal == Refusal.NONE:
                self.accepted += 1
                return self._signal  # type: ignore[no-any-return]
            self.refusals[refusal] += 1
            self._log.warning("an external signal was refused", source=source.name, reason=refusal.name.lower(), bytes=len(raw))
        if empty == len(sources):  # Behind a flood of rubbish there may be more: the next pass goes on with it.
            self._due_ns = now_ns + self._poll_ns
        return None

    def close(self) -> None:
        """Closes all doors."""
        for source in self._sources:
            source.close()

    def _read(self, source: Source) -> bytes | None:
        try:
            return source.try_receive()
        except Exception as error:  # Whatever a stranger sends must not end the collector.
            at = self._sources.index(source)
            self._faults[at] += 1
            self._log.error("an external source cannot be read", source=source.name, error=f"{type(error).__name__}: {error}")
            if self._faults[at] >= SOURCE_FAULTS_MAX:
                self._sources[at] = _Silence(source.name)
                with contextlib.suppress(Exception):
                    source.close()
            return None


def open_external(
    parameters: ExternalParameters,
    memory: Memory | None,
    instruments: Instruments,
    pairs: Sequence[tuple[int, int]],
    clock: Clock,
    log: Log,
    token: bytes = b"",
) -> ExternalSignals | None:
    """All doors that the parameters open; None if they open none. Without `memory` there is no topic.

    `token` is what the supervisor found where the parameters say it is; every message must carry it.

    Raises:
        ConfigError: a door cannot be opened; all reasons at once.
    """
    problems = problems_of(parameters)
    if problems:
        raise ConfigError(problems)
    sources: list[Source] = []
    if parameters.topic and memory is not None:
        sources.append(TopicSource(memory))
    context: zmq.Context[zmq.Socket[bytes]] | None = zmq.Context(1) if parameters.zeromq else None
    for door in parameters.zeromq:
        assert context is not None, "made above, where a door needs it"
        try:
            sources.append(ZeroMQSource(door, context))
        except ConfigError as error:
            problems += error.problems
    if problems:
        for source in sources:
            source.close()
        raise ConfigError(problems)
    return ExternalSignals(parameters, sources, instruments, pairs, clock, log, token) if sources else None


class _Silence:
    """What stands in for a source that was given up."""

    def __init__(self, name: str) -> None:
        self.name = name

    def try_receive(self) -> bytes | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


class SignalProducer:
    """The producer's side: encodes, numbers and sends. For your own process; needs nothing else of this system."""

    def __init__(
        self, try_send: Callable[[bytes], bool], close: Callable[[], object], producer: int = 0, token: bytes = b""
    ) -> None:
        self._try_send = try_send
        self._close = close
        self._producer = producer
        self._token = token
        self._sequence = 0

    @classmethod
    def to_zeromq(cls, address: str, *, kind: str = "push", producer: int = 0, token: bytes = b"") -> "SignalProducer":
        """Connects to a ZeroMQ input: kind "push" for a PULL input, "pub" for a SUB input."""
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB if kind == "pub" else zmq.PUSH)
        socket.setsockopt(zmq.LINGER, 200)
        socket.connect(address)

        def try_send(raw: bytes) -> bool:
            try:
                socket.send(raw, zmq.DONTWAIT)
            except zmq.Again:
                return False
            return True

        return cls(try_send, socket.close, producer, token)

    @classmethod
    def to_iceoryx2(cls, instance: str, *, topic: str = TOPIC, producer: int = 0, token: bytes = b"") -> "SignalProducer":
        """Joins the topic of an instance on this host, also before its collector is there.

        Raises:
            SegmentError: iceoryx2 does not let us; the sentence says what to do.
        """
        memory = Memory(instance, f"producer/{os.getpid()}")
        publisher = topic_service(memory, topic).publisher_builder().initial_max_slice_len(MESSAGE_BYTES_MAX).create()

        def try_send(raw: bytes) -> bool:
            publisher.update_connections()
            loan = publisher.loan_slice_uninit(len(raw))
            ctypes.memmove(loan.payload().as_ptr(), raw, len(raw))
            return int(loan.assume_init().send()) > 0

        def close() -> None:
            publisher.delete()
            memory.close()

        return cls(try_send, close, producer, token)

    def send(
        self,
        signal_type: int,
        values: Sequence[float],
        *,
        name: str = "",
        hedge_name: str = "",
        instrument_index: int = NO_INSTRUMENT,
        hedge_instrument_index: int = NO_INSTRUMENT,
        exchange_ns: int = 0,
        time_ns: int = 0,
    ) -> bool:
        """Sends one signal, made now unless `time_ns` says otherwise. False: nobody takes it at the moment."""
        raw = encode(
            signal_type,
            values,
            time_ns=time_ns or time.time_ns(),
            name=name,
            hedge_name=hedge_name,
            instrument_index=instrument_index,
            hedge_instrument_index=hedge_instrument_index,
            producer=self._producer,
            sequence=self._sequence + 1,
            exchange_ns=exchange_ns,
            token=self._token,
        )
        if not self._try_send(raw):
            return False
        self._sequence += 1
        return True

    def close(self) -> None:
        """Sends what is still queued, for at most 200 ms."""
        self._close()

    def __enter__(self) -> "SignalProducer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
