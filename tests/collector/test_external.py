"""The doors for signals from outside: over real ZeroMQ sockets and a real iceoryx2 topic."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from collector_bench import INSTRUMENTS, PAIRS, PERPETUAL, SPOT, Bench, make_bench

from reactor.collector.external import (
    ExternalParameters,
    ExternalSignals,
    SignalProducer,
    TopicSource,
    ZeroMQInput,
    open_external,
    problems_of,
)
from reactor.collector.external_message import Refusal, encode
from reactor.collector.role import EXTERNAL_WAIT_NS_MAX, Counter
from reactor.domain.errors import ConfigError
from reactor.domain.messages import EventKind, SignalType
from reactor.loop.clock import ManualClock, SystemClock
from reactor.loop.log import ListLog
from shm.segment import Memory

DEADLINE_S = 20.0
SPOT_NAME, PERPETUAL_NAME = "binance_spot:BTCUSDT", "binance_usdm:BTCUSDT"


class Heap:
    """A source that hands out what it was given."""

    def __init__(self, *messages: bytes | Exception) -> None:
        self.name = "heap"
        self.messages = list(messages)
        self.is_closed = False

    def try_receive(self) -> bytes | None:
        if not self.messages:
            return None
        first = self.messages.pop(0)
        if isinstance(first, Exception):
            raise first
        return first

    def close(self) -> None:
        self.is_closed = True


def message(clock: ManualClock | SystemClock, **changes: Any) -> bytes:
    wanted: dict[str, Any] = {"time_ns": clock.realtime_ns(), "name": SPOT_NAME, "hedge_name": PERPETUAL_NAME} | changes
    return encode(wanted.pop("signal_type", SignalType.USER), wanted.pop("values", [1.0]), **wanted)


def external_of(*sources: Heap) -> tuple[ExternalSignals, ListLog]:
    log = ListLog()
    return ExternalSignals(ExternalParameters(), sources, INSTRUMENTS, PAIRS, CLOCK, log), log


CLOCK = ManualClock()


def test_bad_messages_are_counted_by_reason_logged_and_never_fatal() -> None:
    good = message(CLOCK)
    external, log = external_of(Heap(b"rubbish", b"", good[:-1], good, b"X" * 5_000))
    assert external.try_receive(0) is not None
    assert external.try_receive(0) is None
    assert (external.accepted, external.refused) == (1, 4)
    assert external.refusals[Refusal.TOO_SHORT] == 1
    assert external.refusals[Refusal.PARTS] == 1
    assert [fields["reason"] for _, _, fields in log.records] == ["too_short", "parts", "wrong_length", "bad_magic"]


def test_a_flood_of_one_source_does_not_silence_another() -> None:
    loud = Heap(*(message(CLOCK, producer=1) for _ in range(50)))
    quiet = Heap(message(CLOCK, producer=2))
    external, _ = external_of(loud, quiet)
    first_two = [external.try_receive(0).header.source for _ in range(2)]  # type: ignore[attr-defined, union-attr]
    assert sorted(first_two) == [1, 2]


def test_a_flood_of_rubbish_costs_a_bounded_look() -> None:
    source = Heap(*(b"rubbish" for _ in range(1_000)))
    external, _ = external_of(source)
    assert external.try_receive(0) is None
    assert len(source.messages) > 900


def test_a_decision_does_not_wait_for_a_look_outside_and_the_look_not_for_ever() -> None:
    source = Heap()
    bench = make_bench(external=external_of(source)[0])
    now_ns = bench.clock.monotonic_ns()
    bench.role.do_work(now_ns)

    def is_looked_at(after_ns: int, *, is_busy: bool) -> bool:
        nonlocal now_ns
        now_ns += after_ns
        source.messages[:] = [message(CLOCK)]
        if is_busy:
            bench.feeds[0].funding()
        bench.role.do_work(now_ns)
        return not source.messages

    assert not is_looked_at(EXTERNAL_WAIT_NS_MAX, is_busy=True)
    assert is_looked_at(0, is_busy=False)
    assert is_looked_at(2 * EXTERNAL_WAIT_NS_MAX, is_busy=True)


def test_a_source_that_keeps_failing_is_given_up_and_the_others_stay() -> None:
    broken = Heap(*(OSError("gone") for _ in range(500)))
    external, log = external_of(broken, Heap(message(CLOCK)))
    for _ in range(300):
        external.try_receive(0)
    assert broken.is_closed
    assert external.accepted == 1
    assert "cannot be read" in log.records[0][1]


@pytest.mark.parametrize(
    ("door", "sentence"),
    [
        (ZeroMQInput("tcp://0.0.0.0:5555"), "is not loopback"),
        (ZeroMQInput("tcp://*:5555"), "is not loopback"),
        (ZeroMQInput("tcp://127.0.0.1"), "port is missing"),
        (ZeroMQInput("ipc://relative"), "absolute path"),
        (ZeroMQInput("udp://127.0.0.1:1"), "only ipc:// and tcp://"),
        (ZeroMQInput("ipc:///tmp/x", kind="rep"), "use pull"),
    ],
)
def test_a_door_that_will_not_do_is_told_in_one_sentence(door: ZeroMQInput, sentence: str) -> None:
    (problem,) = problems_of(ExternalParameters(zeromq=(door,)))
    assert sentence in problem


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert problems_of(ExternalParameters(zeromq=(ZeroMQInput(f"tcp://{host}:5555"),))) == []


def test_a_door_to_the_world_needs_permission_and_a_token() -> None:
    doors = (ZeroMQInput("tcp://0.0.0.0:5555"),)
    assert "name a token" in problems_of(ExternalParameters(zeromq=doors, allow_remote=True))[0]
    assert problems_of(ExternalParameters(zeromq=doors, allow_remote=True, token_variable="SIGNAL_TOKEN")) == []
    both = ExternalParameters(zeromq=doors, allow_remote=True, token_variable="SIGNAL_TOKEN", token_file="/run/token")
    assert "one place is enough" in problems_of(both)[0]


def wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.001)
    raise AssertionError("what was waited for did not come")


def opened(*doors: ZeroMQInput, memory: Memory | None = None, log: ListLog | None = None) -> ExternalSignals:
    parameters = ExternalParameters(zeromq=doors, topic=memory is not None)
    external = open_external(parameters, memory, INSTRUMENTS, PAIRS, SystemClock(), log or ListLog())
    assert external is not None
    return external


@pytest.mark.parametrize(("kind", "producer_kind"), [("pull", "push"), ("sub", "pub")])
def test_a_zeromq_producer_is_heard(tmp_path: Path, kind: str, producer_kind: str) -> None:
    address = f"ipc://{tmp_path}/signals"
    external = opened(ZeroMQInput(address, kind))
    assert stat.S_IMODE(os.stat(tmp_path / "signals").st_mode) == 0o600
    with SignalProducer.to_zeromq(address, kind=producer_kind, producer=3) as producer:

        def heard() -> Any:
            producer.send(SignalType.USER, [0.5], name=SPOT_NAME)
            return external.try_receive(0)

        signal = wait_for(heard)
        assert (signal.header.source, signal.values[0]) == (3, 0.5)
    assert len(external.wake_fds) == 1
    external.close()


def test_a_message_of_several_frames_or_too_long_is_refused(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/signals"
    log = ListLog()
    external = opened(ZeroMQInput(address), log=log)
    context = zmq.Context()
    push = context.socket(zmq.PUSH)
    push.setsockopt(zmq.LINGER, 0)
    push.connect(address)
    push.send_multipart([b"one", b"two", b"three"])
    push.send(message(SystemClock()))
    wait_for(lambda: external.try_receive(0))
    assert external.refusals[Refusal.PARTS] == 1
    push.send(b"x" * 100_000)  # libzmq ends this sender's connection; it may come back.
    push.send(message(SystemClock()))
    wait_for(lambda: external.try_receive(0))
    push.close()
    context.term()
    external.close()


def test_an_address_in_use_is_told_in_one_sentence(tmp_path: Path) -> None:
    context = zmq.Context()
    taken = context.socket(zmq.PULL)
    port = taken.bind_to_random_port("tcp://127.0.0.1")
    with pytest.raises(ConfigError, match=f"cannot listen on tcp://127.0.0.1:{port}"):
        opened(ZeroMQInput(f"tcp://127.0.0.1:{port}"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is no socket"):
        opened(ZeroMQInput(f"ipc://{tmp_path}/file"))
    taken.close()
    context.term()


def test_a_stale_socket_file_is_no_obstacle(tmp_path: Path) -> None:
    code = f"import zmq, os; s = zmq.Context().socket(zmq.PULL); s.bind('ipc://{tmp_path}/signals'); os._exit(1)"
    subprocess.run([sys.executable, "-c", code], check=False, timeout=DEADLINE_S)
    assert (tmp_path / "signals").exists()
    opened(ZeroMQInput(f"ipc://{tmp_path}/signals")).close()


@pytest.fixture
def instance() -> Iterator[tuple[str, Memory]]:
    name = f"external{os.getpid()}"
    memory = Memory(name, "collector")
    yield name, memory
    memory.close()


def test_an_iceoryx2_producer_is_heard_and_rubbish_on_the_topic_is_not(instance: tuple[str, Memory]) -> None:
    name, memory = instance
    external = opened(memory=memory)
    with SignalProducer.to_iceoryx2(name, producer=5) as producer:

        def heard() -> Any:
            producer.send(SignalType.USER, [0.25], name=SPOT_NAME)
            return external.try_receive(0)

        assert wait_for(heard).header.source == 5
        producer._try_send(b"rubbish")
        producer._try_send(b"y" * 240)
        wait_for(lambda: external.try_receive(0) or external.refused >= 2)
    external.close()


def test_a_topic_source_sees_that_a_sample_is_too_long(instance: tuple[str, Memory]) -> None:
    name, memory = instance
    source = TopicSource(memory)
    with SignalProducer.to_iceoryx2(name) as producer:
        assert producer._try_send(b"z" * 240) or True
        raw = wait_for(lambda: producer._try_send(b"z" * 240) and source.try_receive())
        assert raw == b"z" * 240
    source.close()


PRODUCER = """
import sys, time
from reactor.collector.external import SignalProducer
from reactor.domain.messages import SignalType
way, address, signal_type, values, producer = sys.argv[1:6]
make = SignalProducer.to_iceoryx2 if way == "iceoryx2" else SignalProducer.to_zeromq
with make(address, producer=int(producer)) as signals:
    while True:
        signals.send(int(signal_type), [float(value) for value in values.split(",")],
                     name="binance_spot:BTCUSDT", hedge_name="binance_usdm:BTCUSDT")
        time.sleep(0.01)
"""


def start_producer(way: str, address: str, signal_type: int, values: str, producer: int) -> subprocess.Popen[bytes]:
    arguments = [way, address, str(int(signal_type)), values, str(producer)]
    return subprocess.Popen([sys.executable, "-c", PRODUCER, *arguments])


@pytest.mark.processes
def test_three_producer_processes_open_and_close_a_pair(tmp_path: Path, instance: tuple[str, Memory]) -> None:
    name, memory = instance
    address = f"ipc://{tmp_path}/signals"
    external = opened(ZeroMQInput(address), memory=memory)
    bench: Bench = make_bench(external=external)
    clock = SystemClock()
    producers = [
        start_producer("iceoryx2", name, SignalType.ADAPTIVE_SPREAD_DEVIATION, "0.002,0.95,-0.002,0.05", 1),
        start_producer("iceoryx2", name, SignalType.FUNDING_RATE_DIRECTION, "0.0003,-1,0.0003,3600", 2),
        start_producer("zeromq", address, SignalType.POSITION_CLOSE, "1,0.004,60", 3),
    ]
    events: dict[int, Any] = {}
    try:

        def both() -> bool:
            bench.role.do_work(clock.monotonic_ns())
            events.update({event.header.kind: event for event in bench.drain()})
            return len(events) == 2

        wait_for(both)
    finally:
        for producer in producers:
            producer.kill()
            producer.wait(timeout=DEADLINE_S)
    opened_pair, closed_pair = events[EventKind.OPEN], events[EventKind.CLOSE]
    for event in (opened_pair, closed_pair):
        header = event.header
        assert (header.instrument_index, header.hedge_instrument_index, header.pair_id) == (SPOT, PERPETUAL, 0)
        assert header.signal_id >> 48 == 0x7000
    assert (opened_pair.direction, opened_pair.values[1], closed_pair.reason) == (-1, 0.95, 1)
    bench.role.on_stop(clock.monotonic_ns())
    assert bench.metrics.get(Counter.EXTERNAL_REFUSED) == 0
    assert bench.metrics.get(Counter.EXTERNAL_SIGNALS) >= 3
