"""A network in memory, instruments of two venues, and time that moves when the test says so."""

from dataclasses import dataclass, field

import orjson
import pytest

from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import SIZE, VIEW, Venue
from reactor.exchanges.venue import Endpoints
from reactor.feed.parameters import FeedParameters
from reactor.feed.role import FeedPorts, FeedRole
from reactor.loop.clock import ManualClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from reactor.net.network import Failure, Response, Sent
from shm.ring import heap_ring
from shm.seqlock import heap_rows

MS = 1_000_000
SECOND = 1_000_000_000
SPOT, USDM = int(Venue.BINANCE_SPOT), int(Venue.BINANCE_USDM)


def instrument(index, venue, symbol, price_decimals, quantity_decimals):
    return Instrument(
        instrument_index=index, venue=venue, symbol=symbol, base_asset=symbol[:3], quote_asset="USDT",
        price_decimals=price_decimals, tick_size=1, quantity_decimals=quantity_decimals, lot_size=1, quantity_lots_min=1,
        quantity_lots_max=10**9, market_quantity_lots_max=10**9, price_ticks_min=1, price_ticks_max=10**9,
        notional_min_e8=0, maker_fee_e8=0, taker_fee_e8=0, is_perpetual=venue == USDM,
    )  # fmt: skip


@dataclass
class Socket:
    """One connection of the fake network, seen from the venue's side."""

    url: str
    listener: object
    clock: ManualClock
    sent: list = field(default_factory=list)
    pings: int = 0
    is_open: bool = False
    closed: str | None = None
    controls: list = field(default_factory=list)
    needed: int = 0
    is_held: bool = False
    left: bytes = b""  # read, and not taken when it was held

    def send(self, payload):
        if self.closed is not None:
            return Sent.NOT_SENT
        self.sent.append(orjson.loads(payload))
        return Sent.HANDED_OVER

    def ping(self, payload=b""):
        self.pings += 1

    def close(self, reason=""):
        self.drop(reason)

    # the venue's side

    def open(self):
        self.is_open = True
        self.listener.on_open(self, self.clock.monotonic_ns())

    def drop(self, reason="dropped"):
        if self.closed is None:
            self.closed = reason
            self.listener.on_close(self, reason, self.clock.monotonic_ns())

    def frame(self, message):
        payload = message if isinstance(message, bytes) else orjson.dumps(message)
        self.listener.on_frame(self, memoryview(payload), self.clock.monotonic_ns())

    def read(self, *messages, splits=()):
        """Everything in one read, or in several that end at the byte offsets `splits`. Returns what was left over."""
        data = b"".join(self.wire(message) for message in messages)
        buffer, start = bytearray(data), 0
        for end in (*splits, len(data)):
            start = self.listener.on_bytes(self, buffer, start, end, self.clock.monotonic_ns())
            if self.is_held:
                break
        self.left = data[start:]
        return len(data) - start

    def hold(self):
        self.is_held = True

    def go_on(self):
        self.is_held = False
        buffer = bytearray(self.left)
        self.left = self.left[self.listener.on_bytes(self, buffer, 0, len(buffer), self.clock.monotonic_ns()) :]

    @staticmethod
    def wire(message):
        """A server's frame: not masked. A tuple is (first byte, payload)."""
        opcode, payload = message if isinstance(message, tuple) else (0x81, message)
        payload = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        size = len(payload)
        short = bytes((size,)) if size < 126 else bytes((126,)) + size.to_bytes(2, "big")
        return bytes((opcode,)) + (short if size < 65536 else bytes((127,)) + size.to_bytes(8, "big")) + payload

    def on_control(self, opcode, payload, receive_ns):
        self.controls.append((opcode, payload))

    def need(self, size):
        self.needed = size

    def fail(self, reason):
        self.drop(reason)

    def pong(self):
        self.listener.on_pong(self, b"", self.clock.monotonic_ns())

    def answer_all(self):
        for request in self.sent:
            self.frame({"result": None, "id": request["id"]})

    def streams(self):
        return [name for request in self.sent for name in request["params"]]


class FakeNetwork:
    """Connections and requests wait until the test lets them go on."""

    def __init__(self, clock):
        self.clock = clock
        self.sockets = []
        self.requests = []

    def connect(self, url, listener, headers=None):
        self.sockets.append(Socket(url, listener, self.clock))

    def request(self, request, on_response):
        self.requests.append((request, on_response))

    def take(self, part):
        """The oldest waiting request whose URL contains `part`."""
        for index, (request, _) in enumerate(self.requests):
            if part in request.url:
                return self.requests.pop(index)
        raise AssertionError(f"nobody asked for {part}; waiting: {[request.url for request, _ in self.requests]}")

    def answer(self, part, body, status=200, headers=None):
        _, on_response = self.take(part)
        payload = body if isinstance(body, bytes) else orjson.dumps(body)
        on_response(Response(status, headers or {}, payload, self.clock.monotonic_ns()))

    def fail(self, part, failure=Failure.OUTCOME_UNKNOWN):
        _, on_response = self.take(part)
        on_response(Response(0, {}, b"", self.clock.monotonic_ns(), failure, "timed out"))

    def live(self, part=""):
        return [socket for socket in self.sockets if socket.closed is None and part in socket.url]


class Bench:
    """A feed on its workbench: fake network, private rings and rows."""

    def __init__(self, parameters, pairs_have_positions=True, capacity=256, **ports):
        self.clock = ManualClock()
        self.network = FakeNetwork(self.clock)
        self.log = ListLog()
        self.metrics = Metrics()
        self.instruments = Instruments(
            [instrument(0, SPOT, "BTCUSDT", 2, 5), instrument(1, USDM, "BTCUSDT", 1, 3), instrument(2, SPOT, "ETHUSDT", 2, 4)]
        )
        signals, self.signals = heap_ring(capacity, SIZE["signal"], VIEW["signal"])
        tops, self.tops = heap_rows(3, SIZE["book_top"], VIEW["book_top"])
        self.positions, positions = heap_rows(3, SIZE["position"], VIEW["position"])
        self.control, control = heap_ring(16, SIZE["control"], VIEW["control"])
        endpoints = {
            SPOT: Endpoints(SPOT, "http://spot", "ws://spot/api", "ws://spot", "ws://spot", ""),
            USDM: Endpoints(USDM, "http://usdm", "ws://usdm/api", "ws://usdm/public", "ws://usdm/market", "ws://usdm/private"),
        }
        self.role = FeedRole(
            parameters,
            FeedPorts(
                self.instruments,
                endpoints,
                self.network,
                self.clock,
                self.metrics,
                self.log,
                signals,
                tops,
                positions,
                control,
                **ports,
            ),
        )

    def start(self):
        self.role.on_start(self.clock.monotonic_ns())
        return self

    def run(self, seconds, step_ms=10):
        for _ in range(int(seconds * 1000 / step_ms)):
            self.clock.advance(step_ms * MS)
            self.role.do_work(self.clock.monotonic_ns())

    def work(self):
        return self.role.do_work(self.clock.monotonic_ns())

    def open_all(self):
        for socket in self.network.live():
            if not socket.is_open:
                socket.open()
                socket.answer_all()

    def said(self, lane=0):
        """The signals that were said since last time, copied: (kind, instrument, values, header fields)."""
        out = []
        while (view := self.signals.try_peek(lane)) is not None:
            out.append(Said(view))
        self.signals.release(lane)
        return out

    def counter(self, counter):
        return self.metrics.get(counter)

    def texts(self):
        return [text for _, text, _ in self.log.records]


class Said:
    """One signal message, copied out of the ring."""

    def __init__(self, view):
        header = view.header
        self.kind = header.kind
        self.instrument_index = header.instrument_index
        self.hedge_instrument_index = header.hedge_instrument_index
        self.signal_id = header.signal_id
        self.sequence = header.sequence
        self.pair_id = header.pair_id
        self.flags = header.flags
        self.exchange_ns = header.exchange_ns
        self.receive_ns, self.signal_ns = header.stage_ns[0], header.stage_ns[1]
        self.signal_index = view.signal_index
        self.values = list(view.values)[: view.value_count]
        self.tops = (view.bid_ticks, view.ask_ticks, view.hedge_bid_ticks, view.hedge_ask_ticks)
        self.quotes = [(view.quotes[i].price_ticks, view.quotes[i].quantity_lots) for i in range(view.quote_count)]


@pytest.fixture
def make_bench():
    """make_bench(instruments=(0,), …): a started feed."""

    def make(instruments=(0,), capacity=256, ports=None, **parameters):
        return Bench(FeedParameters(instruments=instruments, **parameters), capacity=capacity, **(ports or {})).start()

    return make


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def network(clock):
    return FakeNetwork(clock)
