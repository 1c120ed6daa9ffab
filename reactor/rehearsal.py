"""Rehearsals: a second copy of a room plays one invented decision from time to time, so that the code stays warm.

Between two orders of a quiet session lie seconds, and in that time the caches forget the way: the same code takes five times
as long. A rehearsal is the room's own class with private rings, a clock of its own and a stage instead of sockets. It shares
nothing with the real role but the code: not a ring, not a counter, not a connection. What it decides goes nowhere.

    read ─▶ [feed ─▶ collector]      event, reports ─▶ [prepost]      command, answers ─▶ [engine ─ stage ─ loopback]

Each plays before the session starts (warm-up) and then whenever its shard has done what came in and has decided nothing for a
while (loop/shard.py says how long, and how much of the core at most): under load there is none. A tick that comes meanwhile
waits, so longer plays have acts, and the sockets are looked at between them.

What the real rooms would read is warmed by themselves (loop/role.py, Glances): a rehearsal brings the code, a glance the data.
"""

import asyncio
import base64
import contextlib
import hashlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, cast
from urllib.parse import urlsplit

from reactor.domain.ids import ClientIds, order_id_of
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_OURS,
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    NO_PAIR,
    SIZE,
    VIEW,
    CommandKind,
    EventKind,
    OrderType,
    ReportKind,
    SignalType,
    Stage,
    TimeInForce,
    Venue,
    clear,
    new,
    put_text,
    signal_index,
)
from reactor.domain.units import E8
from reactor.exchanges.venue import Credentials, Endpoints
from reactor.loop.clock import ManualClock
from reactor.loop.counters import Metrics
from reactor.loop.log import NullLog
from reactor.loop.shard import Cell, Shard, ShardParameters
from reactor.net.loopback import Loopback
from reactor.net.network import Listener, Request, Response, Sent, StreamListener
from reactor.net.stream import GUID, StreamConnection
from shm.ring import NORMAL, URGENT, Producer, Watch, heap_ring
from shm.seqlock import heap_rows

MS: Final = 1_000_000
STEP_NS: Final = 1 * MS  # of a rehearsal's own clock per play: what is done every few ms is done every few plays
SETTLE_STEP_NS: Final = 100 * MS
SETTLE_TURNS_MAX: Final = 100  # Prepost compares its books with the stage's before it trades: seconds of its clock.
HOLD_PLAYS: Final = 8  # So often the pair is taken for open, or for flat, and everything that has a timer is due.
HOLD_STEP_NS: Final = 400 * MS
START_SIZE: Final = 64  # of a request: its number and its method
NEVER_MS: Final = 1_000_000_000_000
PRICE: Final = 1000  # quote units; of every instrument
WALLET_E8: Final = 1_000_000 * E8  # of every asset

_PLACE, _OPEN_ORDERS, _BALANCES = int(CommandKind.PLACE), int(CommandKind.OPEN_ORDERS), int(CommandKind.BALANCES)

Play = Callable[[], None]


def _drain(ring: Any) -> None:
    for lane in (URGENT, NORMAL):
        while ring.try_peek(lane) is not None:
            pass
        ring.release(lane)


def _ticks(instrument: Instrument) -> int:
    return int(PRICE * 10**instrument.price_decimals // instrument.tick_size)


class Rehearsal(ABC):
    """What is played from time to time."""

    @property
    @abstractmethod
    def acts(self) -> tuple[Play, ...]:
        """A play in parts, to be played in this order: a tick may come between two of them."""

    def play(self) -> None:
        """All acts."""
        for act in self.acts:
            act()


class MarketRehearsal(Rehearsal):
    """A pair's spread opens and closes: with the collector in the shard MTTrigger fires, then MTCloseTrigger."""

    def __init__(self, parameters: Any, instruments: Instruments, endpoints: Mapping[int, Endpoints], collector: Any) -> None:
        """`collector`: the parameters of the one in this shard, None if it is in another."""
        from reactor.feed.role import FeedPorts, FeedRole

        pair = next(legs for legs in parameters.pairs if set(legs) <= set(parameters.instruments))
        self._clock = ManualClock()
        self._stage = Theatre(self._clock, has_loopback=False)
        signals, self._signals = heap_ring(64, SIZE["signal"], VIEW["signal"])
        tops, _ = heap_rows(len(instruments), SIZE["book_top"], VIEW["book_top"])
        self._positions, positions = heap_rows(len(instruments), SIZE["position"], VIEW["position"])
        ports = FeedPorts(instruments, endpoints, self._stage, self._clock, Metrics(), NullLog(), signals, tops, positions)
        self._role = FeedRole(_easy_feed(parameters, pair), ports)
        self._collector = None if collector is None else self._plug_collector(collector, instruments)
        self._legs = tuple(_Leg(instruments[index], self._clock) for index in pair)
        self._plays = 0

    def _plug_collector(self, parameters: Any, instruments: Instruments) -> Any:
        from reactor.collector.role import CollectorPorts, CollectorRole

        _, responses = heap_ring(64, SIZE["response"], VIEW["response"])
        events, self._events = heap_ring(1024, SIZE["event"], VIEW["event"])
        ports = CollectorPorts(instruments, self._clock, Metrics(), NullLog(), [self._signals], responses, events)
        collector = CollectorRole(_easy_triggers(parameters), ports)
        collector.on_start(self._clock.monotonic_ns())
        shard = Shard(ShardParameters("rehearsal"), self._clock)
        unread = Watch([(self._signals, URGENT), (self._signals, NORMAL)]).unread
        shard.plug([Cell(collector, Metrics(), NullLog(), unread)], [], [])
        self._role.board.plug_collector(shard.turn_behind(self._role.name), collector.is_awaiting)
        return collector

    @property
    def acts(self) -> tuple[Play, ...]:
        """See Rehearsal."""
        return (self.tick,)

    def tick(self) -> None:
        """One tick, by turns of the open and of the hedge leg: to a wide spread, or back to a narrow one."""
        if not self._plays:
            self._settle()
        open_leg, hedge_leg = self._legs
        if not self._plays % HOLD_PLAYS:
            self._hold(-1 if self._plays & HOLD_PLAYS else 0)
            hedge_leg.say(MARK)
        leg, heights = (open_leg, (0.98, 1.0)) if self._plays & 2 else (hedge_leg, (1.01, 0.99))
        leg.say(TICKER, heights[self._plays & 1])
        self._plays += 1
        if self._collector is None:
            _drain(self._signals)
        else:
            self._collector.do_work(self._clock.monotonic_ns())  # What nobody waits for.
            _drain(self._events)

    def _settle(self) -> None:
        """Every session is live, both tops are known."""
        self._role.on_start(self._clock.monotonic_ns())
        for leg in self._legs:
            leg.sit_down(self._stage, self._role)
        open_leg, hedge_leg = self._legs
        open_leg.say(TICKER, 1.0)
        hedge_leg.say(TICKER, 0.99)

    def _hold(self, direction: int) -> None:
        """The pair is open (−1) or flat (0): the feed learns it at its next timer."""
        now_ns = self._clock.monotonic_ns()
        row = self._positions.edit(self._role.parameters.instruments[0])
        row.pair_direction, row.pair_opened_ns, row.pair_entry_spread_e8 = direction, now_ns, E8 // 100
        self._positions.done(self._role.parameters.instruments[0])
        self._clock.advance(HOLD_STEP_NS)
        self._stage.welcome()
        self._role.do_work(self._clock.monotonic_ns())


TICKER: Final = b'{"stream":"%b@bookTicker","data":{"u":%d,"s":"%b","b":"%b","B":"1","a":"%b","A":"1"}}'
MARK: Final = b'{"stream":"%b@markPrice","data":{"e":"markPriceUpdate","E":%d,"s":"%b","p":"%b","i":"%b","r":"0.01","T":1}}'


class _Leg:
    """One instrument of a pair, and the socket its frames come from."""

    def __init__(self, instrument: Instrument, clock: ManualClock) -> None:
        self._instrument = instrument
        self._clock = clock
        self._symbol = instrument.symbol.encode()
        self._number = 0
        self._line: Any = None

    def sit_down(self, stage: "Theatre", role: Any) -> None:
        """Where the venue's sessions are live, their first one is ours."""
        stage.welcome()
        session = role.venues[self._instrument.venue].lines[0].sessions[0]
        self._line = next(line for line in stage.lines if line.listener is session)

    def say(self, form: bytes, height: float = 1.0) -> None:
        """One read of the socket. `height`: the price, as a multiple of PRICE."""
        self._number += 1
        self._clock.advance(1)
        instrument, symbol = self._instrument, self._symbol
        ticks = int(_ticks(instrument) * height)
        bid, ask = instrument.price_text(ticks).encode(), instrument.price_text(ticks + 1).encode()
        self._line.say(form % (symbol.lower(), self._number, symbol, bid, ask))


def _easy_feed(parameters: Any, pair: tuple[int, int]) -> Any:
    """The feed of one pair on tickers alone; its signals speak after the first samples."""
    signals = parameters.signals
    adaptive, fixed, close = signals.adaptive_spread, signals.fixed_spread, signals.position_close
    signals = replace(
        signals,
        adaptive_spread=adaptive and replace(adaptive, samples_min=2),
        fixed_spread=fixed and replace(fixed, short_min=0.001),
        position_close=close and replace(close, take_profit=0.001),
        user=(),
    )
    streams = replace(parameters.books.streams, has_tickers=True, has_depth=False, has_trades=False)
    return replace(
        parameters,
        instruments=pair,
        books=replace(parameters.books, streams=streams, stale_after_ms=NEVER_MS, mark_stale_after_ms=NEVER_MS),
        books_by_venue={},
        sessions=replace(parameters.sessions, redundancy=1, rotate_after_s=NEVER_MS, alarm_after_s=NEVER_MS),
        signals=signals,
        strategies=(),
    )


def _easy_triggers(parameters: Any) -> Any:
    """Every wide spread is wide enough."""
    triggers = parameters.triggers
    mt = replace(triggers.mt, percentile_min=0.75, spread_min=0.0, funding_rate_min=0.0, allow_short_perpetual=True)
    return replace(parameters, triggers=replace(triggers, mt=mt, users=()))


class CollectorRehearsal(Rehearsal):
    """A calm spread, then a wide one: MTTrigger fires. Without pairs an order that a strategy wants."""

    def __init__(self, parameters: Any, instruments: Instruments) -> None:
        from reactor.collector.role import CollectorPorts, CollectorRole

        self._clock = ManualClock()
        self._signals, signals = heap_ring(64, SIZE["signal"], VIEW["signal"])
        _, responses = heap_ring(64, SIZE["response"], VIEW["response"])
        events, self._events = heap_ring(1024, SIZE["event"], VIEW["event"])
        parameters = replace(parameters, triggers=replace(parameters.triggers, users=()))
        ports = CollectorPorts(instruments, self._clock, Metrics(), NullLog(), [signals], responses, events)
        self._role = CollectorRole(parameters, ports)
        self._role.on_start(self._clock.monotonic_ns())
        self._pair = parameters.pairs[0] if parameters.pairs else None

    @property
    def acts(self) -> tuple[Play, ...]:
        """See Rehearsal."""
        return (self.decide,)

    def decide(self) -> None:
        """One decision."""
        if self._pair is None:
            self._clock.advance(2_000 * MS)
            self._signal(SignalType.STRATEGY_ORDER, ())
            self._role.do_work(self._clock.monotonic_ns())
        else:
            for is_wide in (False, True):
                self._clock.advance(2_000 * MS)  # Beyond the trigger's re-arm time.
                height = 1.0 if is_wide else 0.0
                self._signal(SignalType.FUNDING_RATE_DIRECTION, (0.01, -1.0, 0.01, 3600.0))
                self._signal(SignalType.ADAPTIVE_SPREAD_DEVIATION, (height, height, -height, 1.0 - height))
                self._role.do_work(self._clock.monotonic_ns())
        _drain(self._events)

    def _signal(self, kind: int, values: tuple[float, ...]) -> None:
        legs = self._pair or (0, NO_INSTRUMENT)
        signal = self._signals.try_claim(NORMAL)
        if signal is None:
            return
        clear(signal, "signal")
        header = signal.header
        header.kind = kind
        header.instrument_index, header.hedge_instrument_index = legs
        header.pair_id = NO_PAIR
        header.stage_ns[Stage.RECEIVE] = header.stage_ns[Stage.SIGNAL] = self._clock.monotonic_ns()
        signal.signal_index = signal_index(kind, legs[0])
        signal.value_count = len(values)
        for at, value in enumerate(values):
            signal.values[at] = value
        self._signals.commit(NORMAL)


class PrepostRehearsal(Rehearsal):
    """One open (or, without pairs, one order), acknowledged and expired without a fill."""

    def __init__(self, parameters: Any, instruments: Instruments) -> None:
        from reactor.journal.memory import History
        from reactor.prepost.role import PrepostPorts, PrepostRole

        self._clock = ManualClock()
        self._instruments = instruments
        self._events, events = heap_ring(64, SIZE["event"], VIEW["event"])
        self._reports, reports = heap_ring(256, SIZE["report"], VIEW["report"])
        commands, self._commands = heap_ring(256, SIZE["command"], VIEW["command"])
        responses, self._responses = heap_ring(256, SIZE["response"], VIEW["response"])
        journal, self._journal = heap_ring(512, SIZE["journal"], VIEW["journal"])
        positions, _ = heap_rows(len(instruments), SIZE["position"], VIEW["position"])
        risk, _ = heap_rows(1, SIZE["risk"], VIEW["risk"])
        self._tops = [new("book_top") for _ in range(len(instruments))]
        for instrument in instruments:
            top = self._tops[instrument.instrument_index]
            top.bid_ticks = ticks = _ticks(instrument)
            top.ask_ticks, top.is_synchronised = ticks + 1, 1
        parameters = replace(
            parameters,
            risk=replace(parameters.risk, cooldown_s=0.0, daily_trades_max=1 << 40, order_rate_window_ms=0),
            orders_max=256,
            closed_orders_kept_max=256,
        )
        ports = PrepostPorts(
            instruments, self._clock, Metrics(), NullLog(), events, reports, commands, journal, positions, risk,
            self._tops.__getitem__, lambda now_ns: True, responses=responses, history=History(epoch=1),
        )  # fmt: skip
        self._role = PrepostRole(parameters, ports)
        self._pair = parameters.pairs[0] if parameters.pairs else None
        self._venues = sorted({instrument.venue for instrument in instruments})
        self._venue_order_id = 0
        self._is_ready = False

    @property
    def acts(self) -> tuple[Play, ...]:
        """See Rehearsal."""
        return self.decide, self._turn

    def decide(self) -> None:
        """One decision, and what the engine says of it."""
        if not self._is_ready:
            self._settle()
        event = self._events.try_claim(NORMAL)
        if event is None:
            return
        self._clock.advance(STEP_NS)
        now_ns = self._clock.monotonic_ns()
        for top in self._tops:
            top.receive_ns = now_ns
        clear(event, "event")
        header = event.header
        header.stage_ns[Stage.RECEIVE] = header.stage_ns[Stage.SIGNAL] = header.stage_ns[Stage.EVENT] = now_ns
        if self._pair is not None:
            header.kind = EventKind.OPEN
            header.instrument_index, header.hedge_instrument_index = (
                self._pair.open_instrument_index,
                (self._pair.hedge_instrument_index),
            )
            header.pair_id = 0
            event.direction, event.side = -1, 1
        else:
            header.kind = EventKind.ORDER
            header.hedge_instrument_index, header.pair_id = NO_INSTRUMENT, NO_PAIR
            event.side, event.quantity_lots = 1, 1
            event.order_type, event.time_in_force = OrderType.LIMIT, TimeInForce.POST_ONLY
            event.price_ticks = self._tops[0].bid_ticks
        self._events.commit(NORMAL)
        self._turn()

    def _settle(self) -> None:
        """Both books agree: only then prepost trades."""
        self._role.on_start(self._clock.monotonic_ns())
        for venue in self._venues:
            self._report(ReportKind.SESSION_UP, venue)
        for _ in range(SETTLE_TURNS_MAX):
            self._clock.advance(SETTLE_STEP_NS)
            self._turn()
        self._is_ready = True

    def _turn(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._role.do_work(now_ns)
        commands = self._commands
        for lane in (URGENT, NORMAL):
            while (command := commands.try_peek(lane)) is not None:
                self._obey(command)
            commands.release(lane)
        _drain(self._responses)
        _drain(self._journal)

    def _obey(self, command: Any) -> None:
        kind = command.header.kind
        if kind == _PLACE:
            self._venue_order_id += 1
            self._about(command, ReportKind.ACK)
            self._about(command, ReportKind.EXPIRED)
            return
        if kind == _BALANCES:
            venue = command.venue
            assets = {each.quote_asset for each in self._instruments if each.venue == venue}
            if venue == Venue.BINANCE_SPOT:
                assets |= {each.base_asset for each in self._instruments if each.venue == venue}
            for asset in assets:
                report = self._begin(ReportKind.BALANCE, venue, command.request_id)
                put_text(report.asset, asset)
                report.amount_e8 = WALLET_E8
                self._reports.commit(NORMAL)
        elif kind == _OPEN_ORDERS:
            self._report(ReportKind.SESSION_UP, command.venue, flags=FLAG_REPLAYED)
        self._report(ReportKind.SNAPSHOT_END, command.venue, command.request_id)

    def _about(self, command: Any, kind: int) -> None:
        report = self._begin(kind, command.venue, command.request_id if kind == ReportKind.ACK else 0)
        header = report.header
        header.order_id, header.instrument_index = command.header.order_id, command.header.instrument_index
        header.flags = command.header.flags | FLAG_OURS
        header.stage_ns = command.header.stage_ns
        header.stage_ns[Stage.SEND] = header.stage_ns[Stage.ACK] = self._clock.monotonic_ns()
        report.client_order_id = command.client_order_id
        report.venue_order_id = self._venue_order_id
        report.side = command.side
        self._reports.commit(NORMAL)

    def _report(self, kind: int, venue: int, request_id: int = 0, flags: int = 0) -> None:
        self._begin(kind, venue, request_id).header.flags = flags
        self._reports.commit(NORMAL)

    def _begin(self, kind: int, venue: int, request_id: int) -> Any:
        report = self._reports.try_claim(NORMAL)
        assert report is not None, "the role reads its reports in every turn"
        clear(report, "report")
        header = report.header
        header.kind = kind
        header.instrument_index = header.hedge_instrument_index = NO_INSTRUMENT
        header.pair_id = NO_PAIR
        report.venue, report.request_id = venue, request_id
        return report


class _Backstage:
    """What a line takes for its transport: the handshake is kept, everything else that is not for the kernel goes nowhere."""

    def __init__(self, wire: socket.socket | None) -> None:
        self._wire = wire
        self.request = b""

    def get_extra_info(self, name: str) -> socket.socket | None:
        """The socket; nothing is encrypted."""
        return self._wire if name == "socket" else None

    def write(self, data: bytes) -> None:
        """See asyncio.WriteTransport."""
        self.request = self.request or data

    def is_closing(self) -> bool:
        """See asyncio.BaseTransport."""
        return False

    def get_write_buffer_size(self) -> int:
        """See asyncio.WriteTransport."""
        return 0


class _Line(StreamConnection):
    """One WebSocket whose other side is the stage: what is said comes in as bytes, what is sent goes into a loopback."""

    def __init__(self, url: str, listener: Listener, clock: ManualClock, wire: socket.socket | None) -> None:
        super().__init__(cast(StreamListener, listener), cast(Any, None), _raise, _nothing, _nothing)
        self.url = url
        self.listener = listener
        self.last = b""
        self._places = 0
        self._backstage = _Backstage(wire)
        self._monotonic_ns = clock.monotonic_ns

    def open(self) -> None:
        """Shakes hands with itself."""
        self.begin(self.url, None)
        self.connection_made(cast(asyncio.BaseTransport, self._backstage))
        key = self._backstage.request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self._hear(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")

    def send(self, payload: bytes) -> Sent:
        """See StreamConnection."""
        sent = super().send(payload)
        self.last = payload
        return sent

    def has_place(self) -> bool:
        """The last frame was a place. One that went through the outbox directly stands there still, masked."""
        if self.outbox.places != self._places:
            self._places = self.outbox.places
            head = 4 if self.outbox.room[1] & 0x7F == 126 else 2
            mask, start = bytes(self.outbox.room[head : head + 4]), self.outbox.room[head + 4 : head + 4 + START_SIZE]
            bare = int.from_bytes(start, "big") ^ int.from_bytes(mask * (START_SIZE // 4), "big")
            self.last = bare.to_bytes(START_SIZE, "big")
        return b'"order.place"' in self.last

    def ping(self, payload: bytes = b"") -> None:
        """Is answered at once."""
        self.listener.on_pong(self, payload, self._monotonic_ns())

    def close(self, reason: str = "") -> None:
        """Is over at once."""
        self.closed(reason)

    def say(self, payload: bytes) -> None:
        """The venue sends a text frame."""
        size = len(payload)
        self._hear(b"\x81" + (bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) + payload)

    def _hear(self, data: bytes) -> None:
        self.get_buffer(len(data))[: len(data)] = data
        self.buffer_updated(len(data))


def _raise(error: BaseException, where: str) -> None:
    raise error


def _nothing(*_: object) -> None:
    pass


class Theatre:
    """The network of a rehearsal: every connection opens, every logon is welcome, no byte leaves this process.

    Frames are masked and written as real ones are, where `has_loopback`: the kernel's way is cold after a pause, too.
    """

    def __init__(self, clock: ManualClock, *, has_loopback: bool) -> None:
        self._clock = clock
        self.lines: list[_Line] = []
        self._opening: list[_Line] = []
        self._loopback: Loopback | None = None
        if has_loopback:
            with contextlib.suppress(OSError):  # Then the kernel's part stays cold.
                self._loopback = Loopback()

    def connect(self, url: str, listener: Listener, headers: Mapping[str, str] | None = None) -> None:
        """See net/network.py."""
        wire = None if self._loopback is None else self._loopback.near
        self._opening.append(_Line(url, listener, self._clock, wire))

    def drain(self) -> None:
        """Takes away what was sent."""
        if self._loopback is not None:
            self._loopback.drain()

    def request(self, request: Request, on_response: Callable[[Response], None]) -> None:
        """See net/network.py. Time and listen keys are what an engine asks for by itself."""
        if urlsplit(request.url).path.endswith("/listenKey"):
            body = b'{"listenKey":"REHEARSAL"}'
        else:
            body = b'{"serverTime":%d}' % (self._clock.realtime_ns() // MS)
        on_response(Response(200, {}, body, self._clock.monotonic_ns()))

    def welcome(self) -> None:
        """Opens what waits, and says yes to greetings."""
        while self._opening:
            line = self._opening.pop()
            self.lines.append(line)
            line.open()
        for line in self.lines:
            while b'"SUBSCRIBE"' in line.last:
                number = _number_of(line.last)
                line.last = b""
                line.say(b'{"result":null,"id":%d}' % number)
            while b'"session.logon"' in line.last or b'"userDataStream.subscribe' in line.last:
                number = _number_of(line.last)
                line.last = b""
                line.say(b'{"id":%d,"status":200,"result":{"subscriptionId":0}}' % number)


def _number_of(frame: bytes) -> int:
    start = frame.index(b'"id":') + 5
    end = start
    while frame[end : end + 1].isdigit():
        end += 1
    return int(frame[start:end])


class EngineRehearsal(Rehearsal):
    """A place, at one venue after the other: built, signed, "sent", acknowledged, expired."""

    def __init__(
        self,
        parameters: Any,
        instruments: Instruments,
        credentials: Mapping[int, Credentials],
        *,
        has_loopback: bool = False,
    ) -> None:
        """`has_loopback`: what it sends goes the kernel's way, too (net/loopback.py)."""
        from reactor.engine.role import EnginePorts, EngineRole

        self._clock = ManualClock()
        self._stage = Theatre(self._clock, has_loopback=has_loopback)
        self._commands: Producer
        self._commands, commands = heap_ring(64, SIZE["command"], VIEW["command"])
        reports, self._reports = heap_ring(256, SIZE["report"], VIEW["report"])
        self._ids = ClientIds(parameters.order_id_prefix)
        ports = EnginePorts(
            commands, reports, self._stage, lambda now_ns: True, credentials, instruments, self._clock, Metrics(), NullLog(),
            uniform=lambda: 0.5,
        )  # fmt: skip
        self._role = EngineRole(replace(parameters, rate_limits=()), ports)
        venues = [endpoints.venue for endpoints in parameters.endpoints]
        firsts = {each.venue: each for each in reversed(list(instruments))}
        self._instruments = [firsts[venue] for venue in venues if venue in firsts]
        self._number = 0
        self._instrument = self._instruments[0]
        self._client_order_id = b""
        self._is_acknowledged = False
        self._is_up = False

    @property
    def acts(self) -> tuple[Play, ...]:
        """See Rehearsal."""
        return self.place, self.acknowledge, self.end

    def place(self) -> None:
        """One order."""
        if not self._is_up:
            self._role.on_start(self._clock.monotonic_ns())
            for _ in range(6):
                self._clock.advance(5 * MS)
                self._stage.welcome()
                self._work()
            self._is_up = True
        self._clock.advance(STEP_NS)
        self._number += 1
        self._instrument = instrument = self._instruments[self._number % len(self._instruments)]
        order_id = order_id_of(1, self._number)
        self._client_order_id = client_order_id = self._ids.client_order_id(order_id).encode()
        command = self._commands.try_claim(NORMAL)
        if command is None:
            return
        clear(command, "command")
        header = command.header
        header.kind = CommandKind.PLACE
        header.instrument_index, header.hedge_instrument_index = instrument.instrument_index, NO_INSTRUMENT
        header.pair_id, header.order_id = NO_PAIR, order_id
        header.stage_ns[Stage.RECEIVE] = header.stage_ns[Stage.COMMAND] = self._clock.monotonic_ns()
        command.client_order_id = client_order_id
        command.venue, command.side = instrument.venue, 1
        command.order_type, command.time_in_force = OrderType.LIMIT, TimeInForce.IOC
        command.price_ticks, command.quantity_lots = _ticks(instrument), instrument.quantity_lots_min
        command.request_id = self._number
        self._commands.commit(NORMAL)
        self._role.take_commands()  # As beside a prepost in the same shard.
        self._work()

    def acknowledge(self) -> None:
        """The order session answers."""
        carrier = next((line for line in self._stage.lines if line.has_place()), None)
        self._is_acknowledged = carrier is not None
        if carrier is None:
            return
        number, carrier.last = _number_of(carrier.last), b""
        carrier.say(
            b'{"id":%d,"status":200,"result":{"symbol":"%b","orderId":%d,"clientOrderId":"%b","transactTime":1}}'
            % (number, self._instrument.symbol.encode(), self._number, self._client_order_id)
        )

    def end(self) -> None:
        """The user stream tells that it has expired."""
        if self._is_acknowledged:
            self._expire()
        _drain(self._reports)
        self._stage.welcome()
        self._stage.drain()

    def _work(self) -> None:
        self._role.do_work(self._clock.monotonic_ns())
        _drain(self._reports)

    def _expire(self) -> None:
        instrument = self._instrument
        symbol = instrument.symbol.encode()
        words = (self._client_order_id, instrument.price_text(_ticks(instrument)).encode(), symbol, self._number)
        order = (
            b'"c":"%b","C":"","x":"EXPIRED","X":"EXPIRED","S":"BUY","o":"LIMIT","f":"IOC","q":"0","z":"0","p":"%b",'
            b'"s":"%b","i":%d,"t":-1,"T":1' % words
        )
        is_spot = instrument.venue == Venue.BINANCE_SPOT
        stream = next((line for line in self._stage.lines if _is_stream(line, is_spot)), None)
        if stream is not None:
            stream.say(
                b'{"subscriptionId":0,"event":{"e":"executionReport","E":1,%b}}' % order
                if is_spot
                else b'{"e":"ORDER_TRADE_UPDATE","E":1,"o":{%b}}' % order
            )


def _is_stream(line: _Line, is_spot: bool) -> bool:
    from reactor.engine.user_stream import UserStream

    listener = line.listener
    return isinstance(listener, UserStream) and listener.pool.venue == (Venue.BINANCE_SPOT if is_spot else Venue.BINANCE_USDM)
