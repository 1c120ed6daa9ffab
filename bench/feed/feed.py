"""Market data, one feed core: decode + book + signal, per message, against orjson alone and against other people's handlers.

    read of a socket ─▶ FeedSession.on_bytes ─▶ [C: frames → books, tops] ─▶ signals ─▶ ring ─▶ (drained here)
                                      the whole role as it runs, its clock moved by hand; do_work after every read

The feed is measured at three loads: full reads (64 KiB lie in the socket: the core is saturated, the case that counts for
throughput), eight frames a read, and one frame a read (a quiet market; there the socket itself costs ten times more).
Baseline, same frames, same run, interleaved: `orjson.loads` per frame and nothing else. Rivals, each in a process of its own:
cryptofeed's and ccxt's handlers with their own books (rival.py). Frames: captures, or generated where there are none.
CPU time, so that a busy neighbour changes little. Checksum: the tops of the books at the end, equal for everyone.

    python bench/feed/feed.py [--rounds N] [--frames N] [--json]
    CRYPTO_TRADE_RIVALS_PYTHON=/path/to/venv/bin/python      where cryptofeed and ccxt are installed (default: this one)
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import SIZE, VIEW, Venue
from reactor.exchanges.venue import Endpoints
from reactor.feed.parameters import FeedParameters, SessionParameters
from reactor.feed.role import FeedPorts, FeedRole
from reactor.loop.clock import ManualClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from reactor.market.sync import SyncState
from reactor.net.network import Request, Response, Sent
from shm.ring import heap_ring
from shm.seqlock import heap_rows

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from frames import SNAPSHOT, Frame, captured, generated, write  # noqa: E402
from machine import machine  # noqa: E402

READ_SIZE = 64 * 1024
MS = 1_000_000
LOADED = (SyncState.ANCHORING, SyncState.SYNCHRONISED)
DRAIN_EVERY = 64  # Messages: the ring of signals never fills.
NS_PER_FRAME = 1_000  # How the feed's clock goes on: a million messages per second, more than any venue sends.
RIVALS = ("cryptofeed", "ccxt")
SYMBOLS = (1, 8, 32)
VENUES = (int(Venue.BINANCE_SPOT), int(Venue.BINANCE_USDM))


class Socket:
    """A connection that agrees to everything."""

    def __init__(self, listener: Any) -> None:
        self.listener = listener
        self.requests: list[int] = []

    def send(self, payload: bytes) -> Sent:
        self.requests.append(orjson.loads(payload)["id"])
        return Sent.HANDED_OVER

    def need(self, size: int) -> None: ...
    def ping(self, payload: bytes = b"") -> None: ...
    def close(self, reason: str = "") -> None: ...

    def open(self, now_ns: int) -> None:
        self.listener.on_open(self, now_ns)
        for number in self.requests:
            self.listener.on_frame(self, memoryview(orjson.dumps({"result": None, "id": number})), now_ns)


class Stage:
    """A network on which nothing happens by itself."""

    def __init__(self) -> None:
        self.sockets: dict[str, Socket] = {}
        self.requests: list[tuple[Request, Any]] = []

    def connect(self, url: str, listener: Any, headers: Any = None) -> None:
        self.sockets[url] = Socket(listener)

    def request(self, request: Request, on_response: Any) -> None:
        if "depth" in request.url:  # Questions about the clock stay without an answer.
            self.requests.append((request, on_response))


def instrument(index: int, venue: int, symbol: str) -> Instrument:
    decimals = (2, 5) if venue == VENUES[0] else (1, 3)
    return Instrument(
        instrument_index=index, venue=venue, symbol=symbol, base_asset="BTC", quote_asset="USDT",
        price_decimals=decimals[0], tick_size=1, quantity_decimals=decimals[1], lot_size=1, quantity_lots_min=1,
        quantity_lots_max=10**12, market_quantity_lots_max=10**12, price_ticks_min=1, price_ticks_max=10**12,
        notional_min_e8=0, maker_fee_e8=0, taker_fee_e8=0, is_perpetual=venue == VENUES[1],
    )  # fmt: skip


class Feed:
    """The whole role, for pairs of a spot and a perpetual instrument each."""

    def __init__(self, symbols: list[str]) -> None:
        self.clock = ManualClock()
        self.stage = Stage()
        count = 2 * len(symbols)
        self.instruments = Instruments([instrument(i, VENUES[i % 2], symbols[i // 2]) for i in range(count)])
        producer, self.signals = heap_ring(1024, SIZE["signal"], VIEW["signal"])
        tops, _ = heap_rows(count, SIZE["book_top"], VIEW["book_top"])
        _, positions = heap_rows(count, SIZE["position"], VIEW["position"])
        endpoints = {
            venue: Endpoints(venue, f"http://{venue}", "ws://a", f"ws://{venue}/p", f"ws://{venue}/m", "") for venue in VENUES
        }
        parameters = FeedParameters(
            instruments=tuple(range(count)), pairs=tuple((i, i + 1) for i in range(0, count, 2)),
            sessions=SessionParameters(redundancy=1),
        )  # fmt: skip
        self.log = ListLog()
        ports = FeedPorts(self.instruments, endpoints, self.stage, self.clock, Metrics(), self.log, producer, tops, positions)
        self.role = FeedRole(parameters, ports)
        self.role.on_start(self.clock.monotonic_ns())
        self.said = 0
        for _ in range(4):
            self.clock.advance(10 * MS)
            self.role.do_work(self.clock.monotonic_ns())
        for url, socket in list(self.stage.sockets.items()):
            if "/m" not in url:
                socket.open(self.clock.monotonic_ns())
        sockets = self.stage.sockets
        self.public = [next(each for url, each in sockets.items() if url.startswith(f"ws://{venue}/p")) for venue in VENUES]

    def read(self, venue: int, data: bytearray, start: int, end: int) -> None:
        """One read of a socket, and the pass of the shard that follows it."""
        socket = self.public[venue]
        now_ns = self.clock.monotonic_ns()
        taken = socket.listener.on_bytes(socket, data, start, end, now_ns)
        assert taken == end, "a read of whole frames is taken whole"
        self.role.do_work(now_ns)

    def drain(self) -> None:
        """What the collector would do on its core: takes the signals."""
        signals = self.signals
        while signals.try_peek() is not None:
            self.said += 1
        signals.release()

    def answer_snapshots(self, venue: int, payload: bytes) -> None:
        """Answers every depth request of a venue with this body. Time goes on until it is asked."""
        for _ in range(20_000):
            self.clock.advance(10 * MS)
            self.role.do_work(self.clock.monotonic_ns())
            waiting = [each for each in self.stage.requests if f"//{venue}/" in each[0].url and "depth" in each[0].url]
            for each in waiting:
                self.stage.requests.remove(each)
                each[1](Response(200, {}, payload, self.clock.monotonic_ns()))
            if all(book.sync.state in LOADED for book in self.role.venues[VENUES[venue]].books):
                return
        raise AssertionError("no book became synchronised: is the snapshot behind its deltas?")

    def tops(self) -> list[list[float]]:
        """Best bid and ask of the first pair's books."""
        found = []
        for index in (0, 1):
            book = self.role.book_of(index)
            assert book is not None, "the feed has the book"
            assert book.sync.is_synchronised, "the books are true at the end"
            price = self.instruments[index].price_float
            found.append([price(book.book.best_bid()[0]), price(book.book.best_ask()[0])])
        return found


def wire(payload: bytes) -> bytes:
    """A server's WebSocket frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return (b"\x81\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x81\x7f" + size.to_bytes(8, "big")) + payload


def reads_of(frames: list[Frame], count_max: int) -> Iterator[tuple[int, bytearray | bytes, int]]:
    """(venue, bytes, frames in them): at most READ_SIZE and `count_max` frames each; a snapshot stands alone, as bytes."""
    waiting: list[list[bytes]] = [[], []]
    sizes = [0, 0]

    def flush(venue: int) -> Iterator[tuple[int, bytearray, int]]:
        if waiting[venue]:
            yield venue, bytearray(b"".join(waiting[venue])), len(waiting[venue])
            waiting[venue], sizes[venue] = [], 0

    for venue, payload in frames:
        if payload.startswith(SNAPSHOT):
            yield from flush(venue)
            yield venue, payload, 0
            continue
        framed = wire(payload)
        if sizes[venue] + len(framed) > READ_SIZE or len(waiting[venue]) == count_max:
            yield from flush(venue)
        waiting[venue].append(framed)
        sizes[venue] += len(framed)
    for venue in (0, 1):
        yield from flush(venue)


def run_feed(frames: list[Frame], count_max: int, symbols: list[str], with_latency: bool = False) -> dict[str, Any]:
    """CPU ns per message through the role; with_latency: wall time of each read, per frame in it, instead of CPU."""
    feed = Feed(symbols)
    clock = time.thread_time_ns
    buffers: list[bytearray] = [bytearray(), bytearray()]
    reads: list[tuple[int, int, int, int, bytes]] = []  # (venue, start, end, frames, snapshot) in one buffer per socket
    for venue, data, count in reads_of(frames, count_max):
        start = len(buffers[venue])
        if count:
            buffers[venue] += data
        reads.append((venue, start, len(buffers[venue]), count, b"" if count else bytes(data)))
    gc.collect()
    gc.disable()
    total, messages, blocks = 0, 0, 0
    latencies: list[int] = []
    advance = feed.clock.advance
    before = clock()
    drain_due = 0
    for venue, start, end, count, snapshot in reads:
        if count == 0:
            paused = clock()
            feed.answer_snapshots(venue, snapshot)
            total -= clock() - paused
            continue
        advance(count * NS_PER_FRAME)
        if with_latency:
            began = time.perf_counter_ns()
            feed.read(venue, buffers[venue], start, end)
            latencies.append((time.perf_counter_ns() - began) // count)
        else:
            feed.read(venue, buffers[venue], start, end)
        messages += count
        if messages >= drain_due:
            drain_due = messages + DRAIN_EVERY
            feed.drain()
        if messages > 20_000 and not blocks:
            blocks = sys.getallocatedblocks()
    total += clock() - before
    feed.drain()
    grown = sys.getallocatedblocks() - blocks if blocks else 0
    gc.enable()
    result: dict[str, Any] = {"ns_per_message": total / messages, "messages": messages, "signals": feed.said,
                              "tops": feed.tops(), "blocks_grown": grown}  # fmt: skip
    if with_latency:
        p50, p99, p99_9 = (int(value) for value in np.percentile(latencies, [50, 99, 99.9]))
        result |= {"p50": p50, "p99": p99, "p99_9": p99_9, "max": max(latencies)}
    return result


def run_orjson(frames: list[Frame]) -> float:
    """CPU ns per message of the parser alone."""
    payloads = [payload for _, payload in frames if not payload.startswith(SNAPSHOT)]
    loads, clock = orjson.loads, time.thread_time_ns
    start = clock()
    for payload in payloads:
        loads(payload)
    return (clock() - start) / len(payloads)


def run_rival(name: str, path: Path) -> dict[str, Any] | str:
    """Its line of JSON, or why there is none."""
    python = os.environ.get("CRYPTO_TRADE_RIVALS_PYTHON", sys.executable)
    done = subprocess.run([python, str(HERE / "rival.py"), name, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it ended without a word"])[-1][:100]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def many(frames: list[Frame], count: int) -> tuple[list[Frame], list[str]]:
    """The same market under `count` names, one after the other frame by frame."""
    symbols = [f"S{number:05}X" for number in range(count)]
    out: list[Frame] = []
    for venue, payload in frames:
        if payload.startswith(SNAPSHOT):
            out.append((venue, payload))
            continue
        for symbol in symbols:
            renamed = payload.replace(b"BTCUSDT", symbol.encode()).replace(b"btcusdt", symbol.lower().encode())
            out.append((venue, renamed))
    return out, symbols


def resident_kib() -> int:
    """Resident memory of this process, KiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def memory_of(count: int) -> int:
    """Resident KiB of a process that has a feed of so many pairs, each with two synchronised books."""
    program = (
        f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}]; import feed, frames\n"
        f"named, symbols = feed.many(frames.generated(60), {count})\n"
        "feed.run_feed(named, 1 << 30, symbols); print(feed.resident_kib())"
    )
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="Decode + book + signal per message, with baseline and rivals.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=0, help="only the first so many; 0: all")
    parser.add_argument("--rival-frames", type=int, default=30_000, help="so many for the rivals: they take a while")
    parser.add_argument("--generated", action="store_true", help="even where there are captures")
    parser.add_argument("--core", type=int, default=-1, help="pin here; -1: the last core this process may use")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    core = options.core if options.core >= 0 else max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    frames = [] if options.generated else captured()
    source = "captures" if frames else "generated"
    frames = frames or generated(100_000)
    if options.frames:
        frames = frames[: options.frames]
    few = frames[: options.rival_frames]
    result: dict[str, Any] = {"machine": machine(), "pins": [core], "frames": source, "messages": len(frames)}
    loads = {"full reads": 1 << 30, "8 frames a read": 8, "1 frame a read": 1}
    ours: dict[str, list[float]] = {name: [] for name in loads}
    parser_alone: list[float] = []
    rivals: dict[str, list[float]] = {name: [] for name in RIVALS}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames"
        write(few, path)
        expected = run_feed(few, 1 << 30, ["BTCUSDT"])["tops"]
        for _ in range(options.rounds):
            for name, count_max in loads.items():
                done = run_feed(frames, count_max, ["BTCUSDT"])
                ours[name].append(done["ns_per_message"])
                result["checksum"] = {"tops": done["tops"], "signals": done["signals"], "messages": done["messages"]}
            parser_alone.append(run_orjson(frames))
            for name in RIVALS:
                answer = missing.get(name) or run_rival(name, path)
                if isinstance(answer, str):
                    missing[name] = answer
                    continue
                assert answer["tops"] == expected, f"{name} did other work: it ends at {answer['tops']}, not at {expected}"
                rivals[name].append(answer["ns_per_message"])
    medians = {name: statistics.median(values) for name, values in ours.items()}
    base = statistics.median(parser_alone)
    result["ns_per_message"] = {**medians, "orjson.loads alone": base}
    result["ns_per_message"] |= {name: statistics.median(values) for name, values in rivals.items() if values}
    result["times_faster"] = {
        f"{name} than {other}": statistics.median(b / a for a, b in zip(ours[name], values, strict=False))
        for name in loads
        for other, values in (("orjson alone", parser_alone), *rivals.items())
        if values
    }
    result["rivals_missing"] = missing
    result["latency_ns"] = {
        name: {key: done[key] for key in ("p50", "p99", "p99_9", "max")}
        for name, count_max in loads.items()
        for done in (run_feed(few, count_max, ["BTCUSDT"], with_latency=True),)
    }
    result["ns_per_message_by_symbols"] = {}
    for count in SYMBOLS:
        named, symbols = many(few[:6_000], count)
        result["ns_per_message_by_symbols"][str(count)] = run_feed(named, 1 << 30, symbols)["ns_per_message"]
    result["kib_per_symbol"] = (memory_of(SYMBOLS[-1]) - memory_of(1)) // (SYMBOLS[-1] - 1)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    show(result)


def show(result: dict[str, Any]) -> None:
    """For people."""
    print(f"{result['machine']}; pinned to core {result['pins'][0]}; {result['messages']} frames, {result['frames']}")
    print(f"{'CPU per message':28}{'ns':>10}{'vs orjson':>11}")
    base = result["ns_per_message"]["orjson.loads alone"]
    for name, value in result["ns_per_message"].items():
        print(f"{name:28}{value:10.0f}{base / value:10.2f}x")
    for name, why in result["rivals_missing"].items():
        print(f"{name:28} not here: {why}")
    print(f"{'wall time per message, ns':28}{'p50':>10}{'p99':>10}{'p99.9':>10}{'max':>11}")
    for name, row in result["latency_ns"].items():
        print(f"{name:28}{row['p50']:10}{row['p99']:10}{row['p99_9']:10}{row['max']:11}")
    by = result["ns_per_message_by_symbols"]
    print("symbols per feed: " + ", ".join(f"{count}: {value:.0f} ns per message" for count, value in by.items()))
    print(f"memory per further pair of symbols, four sides of books: {result['kib_per_symbol']} KiB")
    print(f"checksum: {result['checksum']}")


if __name__ == "__main__":
    main()
