"""Ring, one way, Python to Python, in one run with its floor (the same ring in C) and a rival (iceoryx2 publish/subscribe).

    producer process ── stamp, try_claim, commit ──▶ ring ──▶ try_peek, stamp ── consumer process
    core A, one message per GAP_NS, spinning                    core B, spinning

Prints machine, pins, p50/p99/p99.9/max of each, ratios to the floor, throughput of batches, and checksums of the work. Every
figure is the median of interleaved rounds. A message counts from its stamp, whatever happens then: if the host takes a core
away for a millisecond, a hundred messages are late. `the host alone` is the same rhythm without any ring: it says how much of
a p99.9 that is.

    python bench/latency/ring.py [--messages N] [--gap-ns N] [--rounds N] [--json]
"""

import argparse
import ctypes
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from shm._native import ffi, lib
from shm.ring import Consumer, Producer, open_consumer, open_producer
from shm.segment import Memory

ROOT = Path(__file__).resolve().parents[2]
CAPACITY = 1024
SLOT_SIZE = 64
BATCH = 64
TIME_MAX_S = 30  # Of one measurement. A side that waits for messages which never come would otherwise spin for ever.


def word_view(address: int) -> Any:
    return ffi.cast("int64_t *", address)


def pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


def join(side: Producer | Consumer) -> None:
    while not side.is_connected:
        side.refresh(0)
        time.sleep(0.001)


def in_two_processes(consume: Callable[[], np.ndarray[Any, Any]], produce: Callable[[], None]) -> np.ndarray[Any, Any]:
    """Runs `consume` in a child and `produce` here; the child's array."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.npy"
        child = os.fork()
        if child == 0:
            status = 1
            signal.alarm(TIME_MAX_S)  # Nobody handles it: it ends the process.
            try:
                np.save(path, consume())
                status = 0
            finally:
                os._exit(status)
        signal.alarm(TIME_MAX_S + 5)
        produce()
        _, status = os.waitpid(child, 0)
        signal.alarm(0)
        if status:
            sys.exit(f"the consumer ended with status {status}: it failed, or messages were lost and it waited {TIME_MAX_S} s")
        return np.load(path)


def ring_one_way(cores: tuple[int, int], messages: int, gap_ns: int) -> np.ndarray[Any, Any]:
    instance = f"bench_{os.getpid()}"

    def consume() -> np.ndarray[Any, Any]:
        latencies = np.zeros(messages, dtype=np.int64)
        pin(cores[1])
        with Memory(instance, "consumer") as memory:
            consumer = open_consumer(memory, "ring", CAPACITY, SLOT_SIZE, word_view, lanes=1)
            join(consumer)
            try_peek, release, clock = consumer.try_peek, consumer.release, time.monotonic_ns
            for i in range(messages):
                while (view := try_peek()) is None:
                    pass
                latencies[i] = clock() - view[0]
                assert view[1] == i + 1
                release()
            consumer.close()
        return latencies

    def produce() -> None:
        pin(cores[0])
        with Memory(instance, "producer") as memory:
            producer = open_producer(memory, "ring", CAPACITY, SLOT_SIZE, word_view, lanes=1)
            join(producer)
            try_claim, commit, sequence, clock = producer.try_claim, producer.commit, producer.sequence, time.monotonic_ns
            due = clock() + 200_000_000
            for _ in range(messages):
                while clock() < due:
                    pass
                due += gap_ns
                while (view := try_claim()) is None:
                    pass
                view[1] = sequence()
                view[0] = clock()
                commit()
            while producer.free() < CAPACITY:
                time.sleep(0.001)
            producer.close()

    return in_two_processes(consume, produce)


def iceoryx2_one_way(cores: tuple[int, int], messages: int, gap_ns: int) -> np.ndarray[Any, Any]:
    """iceoryx2's own publish/subscribe from Python, same payload and rhythm."""
    name = f"bench_{os.getpid()}"

    def service(node: Any, iox2: Any) -> Any:
        builder = node.service_builder(iox2.ServiceName.new(name)).publish_subscribe(iox2.Slice[ctypes.c_uint8])
        builder = builder.max_publishers(1).max_subscribers(1).subscriber_max_buffer_size(CAPACITY)
        return builder.enable_safe_overflow(False).open_or_create()  # Lossless, as the ring is: a full queue stops the sender.

    def consume() -> np.ndarray[Any, Any]:
        import iceoryx2 as iox2

        latencies = np.zeros(messages, dtype=np.int64)
        pin(cores[1])
        node = iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
        subscriber = service(node, iox2).subscriber_builder().create()
        receive, clock = subscriber.receive, time.monotonic_ns
        for i in range(messages):
            while (sample := receive()) is None:
                pass
            stamp = ctypes.c_int64.from_address(sample.payload().as_ptr()).value
            latencies[i] = clock() - stamp
            sample.delete()
        return latencies

    def produce() -> None:
        import iceoryx2 as iox2

        pin(cores[0])
        iox2.set_log_level(iox2.LogLevel.Fatal)
        node = iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
        publisher = service(node, iox2).publisher_builder().initial_max_slice_len(SLOT_SIZE).create()
        clock = time.monotonic_ns
        deadline = clock() + 5_000_000_000
        while clock() < deadline and service(node, iox2).dynamic_config.number_of_subscribers < 1:
            time.sleep(0.01)
        time.sleep(0.2)
        publisher.update_connections()
        due = clock()
        for _ in range(messages):
            while clock() < due:
                pass
            due += gap_ns
            loan = publisher.loan_slice_uninit(SLOT_SIZE)
            stamp = ctypes.c_int64.from_address(loan.payload().as_ptr())
            stamp.value = clock()
            loan.assume_init().send()
        time.sleep(0.3)

    return in_two_processes(consume, produce)


def ring_batches(cores: tuple[int, int], messages: int) -> float:
    """Messages per second through batches of 64: Python handles every batch, C moves it, numpy sums it up."""
    instance = f"bench_{os.getpid()}"
    seconds = 0.0

    def consume() -> np.ndarray[Any, Any]:
        pin(cores[1])
        total = 0
        rows = np.zeros((BATCH, SLOT_SIZE // 8), dtype=np.int64)
        pointer = ffi.from_buffer("void *", rows, require_writable=True)
        first = rows[:, 0]
        with Memory(instance, "consumer") as memory:
            consumer = open_consumer(memory, "ring", CAPACITY, SLOT_SIZE, word_view, lanes=1)
            join(consumer)
            read, received = consumer.read_batch, 0
            while received < messages:
                count = read(pointer, BATCH)
                if count:
                    received += count
                    total += int(first[:count].sum()) if count < BATCH else int(first.sum())
            consumer.close()
        return np.array([total])

    def produce() -> None:
        nonlocal seconds
        pin(cores[0])
        rows = np.zeros((BATCH, SLOT_SIZE // 8), dtype=np.int64)
        rows[:, 0] = 1
        pointer = ffi.from_buffer("void *", rows)
        with Memory(instance, "producer") as memory:
            producer = open_producer(memory, "ring", CAPACITY, SLOT_SIZE, word_view, lanes=1)
            join(producer)
            write = producer.write_batch
            start = time.monotonic_ns()
            sent = 0
            while sent < messages:
                sent += write(pointer, min(BATCH, messages - sent))
            while producer.free() < CAPACITY:
                pass
            seconds = (time.monotonic_ns() - start) / 1e9
            producer.close()

    total = in_two_processes(consume, produce)
    assert int(total[0]) == messages, "the checksum is wrong: messages were lost or torn"
    return messages / seconds


def build_floor(folder: str) -> str | None:
    """The C program beside this one; None without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    binary = f"{folder}/ring"
    sources = [
        str(Path(__file__).with_suffix(".c")),
        *(str(ROOT / "cffi_build" / "src" / f"{part}.c") for part in ("ring", "wake", "clock")),
    ]
    subprocess.run(
        [compiler, "-std=gnu11", "-O3", "-UNDEBUG", f"-I{ROOT}/cffi_build/include", *sources, "-o", binary], check=True
    )
    return binary


def summary(latencies: np.ndarray[Any, Any]) -> dict[str, int]:
    p50, p99, p99_9 = (int(value) for value in np.percentile(latencies, [50, 99, 99.9]))
    return {"p50": p50, "p99": p99, "p99_9": p99_9, "max": int(latencies.max()), "count": len(latencies)}


def one_round(floor: str | None, cores: tuple[int, int], messages: int, gap_ns: int) -> dict[str, dict[str, Any]]:
    """Every measurement once, one after another."""

    def in_c(*arguments: str) -> str:
        assert floor is not None, "asked only with a compiler"
        try:
            return subprocess.run(
                [floor, *arguments], capture_output=True, text=True, check=True, timeout=TIME_MAX_S + 5
            ).stdout
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            sys.exit(f"the ring in C found no end; spinning needs both cores: does something else use {cores}? ({error})")

    one_way: dict[str, Any] = {}
    per_s: dict[str, Any] = {}
    pins, warm = [str(core) for core in cores], messages // 10
    if floor is not None:
        words = in_c(*pins, str(messages), str(gap_ns)).split()
        one_way["ring in C"] = summary(np.array([int(word) for word in words]))
    one_way["ring, Python"] = summary(ring_one_way(cores, messages, gap_ns)[warm:])
    one_way["iceoryx2, Python"] = summary(iceoryx2_one_way(cores, messages // 5, gap_ns)[warm // 5 :])
    if floor is not None:
        words = in_c("host", *pins, str(messages), str(gap_ns)).split()
        one_way["the host alone"] = summary(np.array([int(word) for word in words]))
        for line in in_c("throughput", *pins, str(messages * 100)).splitlines():
            name, value = line.split()
            per_s[f"C, {name}"] = float(value)
    per_s["Python, batch_64"] = ring_batches(cores, messages * 100)
    return {"one_way_ns": one_way, "messages_per_s": per_s}


def median_of(rounds: list[Any]) -> Any:
    """Of every number by itself, whatever it is nested in."""
    if isinstance(rounds[0], dict):
        return {key: median_of([each[key] for each in rounds]) for key in rounds[0]}
    return type(rounds[0])(np.median(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description="One-way latency and throughput of the ring, with floor and rival.")
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--gap-ns", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in ("messages", "gap_ns", "rounds"):
        if getattr(options, name) < (100 if name == "messages" else 1):
            parser.error(f"--{name.replace('_', '-')} is too small: at least {100 if name == 'messages' else 1}")
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        sys.exit("this measurement needs two cores; this process may use one")
    cores = (available[0], available[1])
    with tempfile.TemporaryDirectory() as folder:
        floor = build_floor(folder)
        rounds = [one_round(floor, cores, options.messages, options.gap_ns) for _ in range(options.rounds)]
    result: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "pins": cores,
        "clock_step_ns": lib.clock_step_ns(10_000),
        "rounds": options.rounds,
        **median_of(rounds),
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['machine']}; producer on core {cores[0]}, consumer on core {cores[1]}")
    print(f"the clock steps by {result['clock_step_ns']} ns; medians of {options.rounds} rounds")
    base = next(iter(result["one_way_ns"].values()))["p50"]
    print(f"{'one way, ns':22}{'p50':>8}{'p99':>8}{'p99.9':>8}{'max':>9}{'p50 ratio':>11}")
    for name, row in result["one_way_ns"].items():
        print(f"{name:22}{row['p50']:8}{row['p99']:8}{row['p99_9']:8}{row['max']:9}{row['p50'] / base:11.2f}")
    naive = result["messages_per_s"].get("C, naive")
    print(f"{'64-byte messages':22}{'M/s':>8}{'ratio':>8}")
    for name, value in result["messages_per_s"].items():
        print(f"{name:22}{value / 1e6:8.1f}{value / naive if naive else 1:8.2f}")


if __name__ == "__main__":
    main()
