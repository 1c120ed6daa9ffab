"""The engine's door: the duty cycle, which reads commands and looks after timers.

do_work   reports that wait ─▶ timers ─▶ URGENT commands ─▶ NORMAL commands (bounded)

    command ─▶ recovery.py (an earlier engine's?) ─▶ requests.py (place, cancel, query) ─▶ sessions, REST
                                                  └▶ account.py (queries, cancel all ours) ─▶ REST
    socket, REST ─▶ answers.py ─▶ reports, between two passes
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from reactor.domain.ids import ClientIds
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import (
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    NO_PAIR,
    CommandKind,
    ControlKind,
    OrderType,
    Reason,
    TimeInForce,
    new,
)
from reactor.engine.account import Account
from reactor.engine.answers import Answers
from reactor.engine.connections import VenueConnections
from reactor.engine.counters import Counter
from reactor.engine.in_flight import InFlight
from reactor.engine.parameters import EngineParameters
from reactor.engine.recovery import Recovery
from reactor.engine.refusals import Refusals
from reactor.engine.reports import OrderMemory, ReportRing, ReportWriter
from reactor.engine.requests import PLACE_FORM, Requests
from reactor.engine.venue import EngineVenue
from reactor.exchanges.binance.executions import ExecutionReader
from reactor.exchanges.binance.orders import order_codec
from reactor.exchanges.binance.rules import LINES, orders_url
from reactor.exchanges.binance.user import BinanceUser
from reactor.exchanges.venue import Credentials, Endpoints, RateLimit
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.net.network import Network
from shm.layout import Form

__all__ = ["CommandRing", "EngineParameters", "EnginePorts", "EngineRole"]

NORMAL: Final = 0
URGENT: Final = 1
TICK_NS: Final = 5_000_000
URGENT_PER_PASS_MAX: Final = 256
NORMAL_PER_PASS_MAX: Final = 64  # About 2 ms of sending at worst; then sockets and the urgent lane get their turn.
SAMPLE_ID: Final = b"glance"  # of the places that are made for nobody
SAMPLE_PRICE: Final = 1000  # quote units
NORMAL_BETWEEN_LOOKS: Final = 8  # How many normal commands may stand before an urgent one that has just come.

COMMANDS: Final = int(Counter.COMMANDS)
PLACES_SENT: Final = int(Counter.PLACES_SENT)
REPORTS: Final = int(Counter.REPORTS)
FILLS: Final = int(Counter.FILLS)
PENDING_REPORTS: Final = int(Counter.PENDING_REPORTS)
ORDERS_REMEMBERED: Final = int(Counter.ORDERS_REMEMBERED)
IN_FLIGHT: Final = int(Counter.IN_FLIGHT)
SESSIONS_UP: Final = int(Counter.SESSIONS_UP)
SESSION_SCORE_MIN: Final = int(Counter.SESSION_SCORE_MIN)
RTT_US: Final = int(Counter.RTT_US)

C = CommandKind
_PLACE: Final = int(C.PLACE)
_CANCEL, _QUERY = int(C.CANCEL), int(C.QUERY)
_CANCEL_ALL_OURS, _OPEN_ORDERS, _POSITIONS = int(C.CANCEL_ALL_OURS), int(C.OPEN_ORDERS), int(C.POSITIONS)
_BALANCES, _FILLS_SINCE, _FUNDING_SINCE = int(C.BALANCES), int(C.FILLS_SINCE), int(C.FUNDING_SINCE)
R = Reason


class CommandRing(Protocol):
    """What the engine needs of shm/ring.py's Consumer."""

    def try_take(self, lane: int, form: Form, /) -> Any: ...

    def release(self, lane: int = 0) -> None: ...

    def pending(self, lane: int = 0) -> int: ...

    def recovered(self, lane: int = 0) -> tuple[int, int, int]: ...


@dataclass
class EnginePorts:
    """What the engine is plugged into."""

    commands: CommandRing
    reports: ReportRing
    network: Network
    prepost_alive: Callable[[int], bool]
    credentials: Mapping[int, Credentials]  # by venue
    instruments: Instruments
    clock: Clock
    metrics: Metrics
    log: Log
    control: Any | None = None  # Consumer(control)
    uniform: Callable[[], float] = random.random  # jitter; the world hands in its own


class EngineRole:
    """See reactor/engine/__init__.py."""

    def __init__(self, parameters: EngineParameters, ports: EnginePorts, name: str = "engine") -> None:
        """Raises ConfigError if a venue has no usable key."""
        self.name = name
        self._parameters = parameters
        self._ports = ports
        self._commands = ports.commands
        self._try_take = ports.commands.try_take
        self._monotonic_ns = ports.clock.monotonic_ns
        self._metrics = ports.metrics
        self._count = ports.metrics.count
        self._counters = ports.metrics.view.counters
        self._log = ports.log
        self._symbols = tuple(instrument.symbol for instrument in ports.instruments)
        self._ids = ClientIds(parameters.order_id_prefix)
        self._orders = OrderMemory()
        self._in_flight = InFlight()
        self._writer = ReportWriter(ports.reports, self._orders, self._ids, ports.metrics, parameters.source)
        self._venues: dict[int, EngineVenue] = {}
        self._refusals = Refusals(self._writer, parameters.source, self._monotonic_ns, self._count)
        self._recovery = Recovery(ports.commands.recovered, self._refusals, self._count)
        self._answers = Answers(
            self._venues, self._in_flight, self._orders, self._writer, self._ids, self._monotonic_ns, self._count, self._log
        )
        self._requests = Requests(
            parameters, self._symbols, self._venues, self._in_flight, self._orders, self._answers, self._refusals,
            ports.commands, ports.clock, ports.metrics, _sample_places(ports.instruments, parameters.endpoints),
        )  # fmt: skip
        self._answers.ask = self._requests.ask
        limits = dict(parameters.rate_limits)
        for number, endpoints in enumerate(parameters.endpoints):
            self._venues[endpoints.venue] = self._venue(endpoints, limits.get(endpoints.venue, ()), number)
        self._handlers: dict[int, Callable[[Any, int], None]] = {
            _CANCEL: self._requests.on_cancel,
            _QUERY: self._requests.on_query,
            _CANCEL_ALL_OURS: self._on_cancel_all,
            _OPEN_ORDERS: self._on_account,
            _POSITIONS: self._on_account,
            _BALANCES: self._on_account,
            _FILLS_SINCE: self._on_account,
            _FUNDING_SINCE: self._on_account,
        }
        self.wake: Callable[[], None] | None = None  # asks for our `do_work` behind prepost's; None: nobody may wait for it
        self._commands_read = 0
        self._next_tick_ns = 0
        self._was_prepost_alive = False
        self._is_orphaned = False  # prepost has fallen silent
        self._is_leaving = False  # the supervisor is gone: cancel ours and leave
        self._was_ready = False

    def _venue(self, endpoints: Endpoints, limits: tuple[RateLimit, ...], number: int) -> EngineVenue:
        parameters, ports = self._parameters, self._ports
        venue = endpoints.venue
        codec = order_codec(
            venue,
            endpoints,
            ports.credentials[venue],
            ports.instruments,
            parameters.place_window_ms,
            parameters.query_window_ms,
        )
        user_codec = BinanceUser(LINES[venue], ports.instruments, codec, parameters.forwards_account_rows)
        connections = VenueConnections(
            VENUE_NAMES[venue],
            codec,
            user_codec,
            endpoints,
            orders_url(endpoints),
            limits,
            parameters.connections,
            ports.network,
            ports.clock,
            ports.uniform,
            self._answers,
            ports.metrics,
            ports.log,
            ExecutionReader(venue, ports.instruments, self._ids),
            number * (parameters.connections.sessions_max + 1),
        )
        account = Account(
            codec,
            connections,
            parameters,
            ports.instruments,
            self._ids,
            self._writer,
            ports.clock,
            ports.metrics,
            ports.log,
        )
        return EngineVenue(codec, connections, account)

    # ---- the duty cycle

    def on_start(self, now_ns: int) -> None:
        """Opens every connection."""
        for venue in self._venues.values():
            venue.connections.start(now_ns)

    def do_work(self, now_ns: int) -> int:
        """One pass."""
        writer, requests = self._writer, self._requests
        requests.flush()  # What prepost has given us in its part of this pass.
        work = writer.flush() if writer.is_blocked else 0
        if now_ns >= self._next_tick_ns + TICK_NS:  # Long overdue: what we believe about our neighbours may be old.
            work += self._tick(now_ns)
        if writer.is_blocked:
            self._count(Counter.BACKPRESSURE_STALLS)
            if now_ns >= self._next_tick_ns:
                work += self._tick(now_ns)
            return work
        work += self._drain_urgent(now_ns)
        read = 0
        while read < NORMAL_PER_PASS_MAX and not writer.is_blocked:
            taken = self._drain(NORMAL, NORMAL_BETWEEN_LOOKS, now_ns)
            read += taken
            if requests.held_cancels:
                requests.release_cancels(now_ns)
            if taken < NORMAL_BETWEEN_LOOKS:
                break
            work += self._drain_urgent(now_ns)
        requests.flush()
        if now_ns >= self._next_tick_ns:  # Timers wait for orders, not orders for timers.
            work += self._tick(now_ns)
        return work + read

    def take_commands(self) -> None:
        """Sends what prepost has just written, before it goes on: wired where both run in one shard. The first place of a pass
        leaves at once, those behind it may wait for one another (HELD_MAX, HELD_NS, our own part of the pass)."""
        now_ns = self._monotonic_ns()
        if now_ns >= self._next_tick_ns + TICK_NS:  # As in a pass: after a standstill nothing goes out on old beliefs.
            self._tick(now_ns)
        self._drain(URGENT, URGENT_PER_PASS_MAX, now_ns)
        self._drain(NORMAL, NORMAL_BETWEEN_LOOKS, now_ns)
        if self.wake is None:
            self._requests.flush()
        elif self._requests.has_sent:
            self.wake()

    def glance(self) -> None:
        """Makes the bytes of a place for nobody, where real ones are made, and throws them away: for a shard that has time."""
        self._requests.glance()

    def deadline_ns(self, now_ns: int) -> int:
        """Timers are looked at every tick."""
        return self._next_tick_ns

    def is_ready(self) -> bool:
        """True once private connectivity of every venue was complete."""
        if not self._was_ready:
            self._was_ready = all(venue.connections.is_available for venue in self._venues.values())
        return self._was_ready

    def on_stop(self, now_ns: int) -> None:
        """Closes every connection."""
        self._requests.flush()
        self._publish()
        for venue in self._venues.values():
            venue.connections.stop()

    def on_orphaned(self, now_ns: int) -> None:
        """The supervisor is gone: nothing new goes out, what is ours is cancelled."""
        self._is_leaving = self._requests.is_stopped = True
        self._cancel_everything("the supervisor is gone")

    def is_drained(self) -> bool:
        """After `on_orphaned`: every venue has said that none of ours is open (or was asked too often)."""
        return not any(venue.account.is_cancelling for venue in self._venues.values())

    # ---- commands

    def _drain_urgent(self, now_ns: int) -> int:
        return self._drain(URGENT, URGENT_PER_PASS_MAX, now_ns)

    def _drain(self, lane: int, limit: int, now_ns: int) -> int:
        try_take, writer, requests = self._try_take, self._writer, self._requests
        is_recovered = self._recovery.is_over
        taken = 0
        while taken < limit and not writer.is_blocked:
            message = try_take(lane, PLACE_FORM)
            if message is None:
                break
            command = message[0]
            kind: int = message[1]
            taken += 1
            if lane == NORMAL:
                requests.normal_read += 1
            if not is_recovered[lane] and self._recovery.try_give_back(command, lane):
                continue
            if kind == _PLACE and message[6] in self._venues:
                requests.on_place(message, now_ns)
                continue
            handler = self._handlers.get(kind)
            if handler is None or command.venue not in self._venues:
                self._count(Counter.COMMANDS_MALFORMED)
                self._log.error("a command that the engine does not know", kind=command.header.kind, venue=command.venue)
                self._refusals.refuse(command, R.BAD_PARAMETER)
                continue
            handler(command, now_ns)
        if taken:
            self._commands_read += taken
            self._commands.release(lane)
        return taken

    # ---- the account

    def _on_account(self, command: Any, now_ns: int) -> None:
        index = command.header.instrument_index
        symbol = self._symbols[index] if index < len(self._symbols) else ""
        if command.header.kind == _OPEN_ORDERS:
            # A prepost younger than our sessions asks so.
            self._answers.announce(self._venues[command.venue].connections, now_ns, FLAG_REPLAYED)
        reason = self._venues[command.venue].account.try_ask(command, symbol, now_ns)
        if reason != R.NONE:
            self._refusals.refuse(command, reason)

    def _on_cancel_all(self, command: Any, now_ns: int) -> None:
        self._venues[command.venue].account.cancel_all(command.request_id)

    def _cancel_everything(self, why: str) -> None:
        self._count(Counter.ORPHANED)
        self._log.error("cancelling what is ours", reason=why)
        for venue in self._venues.values():
            venue.account.cancel_all()

    # ---- timers

    def _tick(self, now_ns: int) -> int:
        self._next_tick_ns = now_ns + TICK_NS
        work = 0
        for venue in self._venues.values():
            connections = venue.connections
            work += connections.tick(now_ns)
            venue.account.tick(now_ns, is_alone=self._is_orphaned)
        for slot in self._in_flight.expired(now_ns):
            self._answers.on_expired(slot, now_ns)
        self._watch_prepost(now_ns)
        if self._ports.control is not None:
            self._take_control(now_ns)
        if self._writer.is_full:
            self._log.error("reports cannot be delivered: sessions are cut, reconciliation will recover what is missed")
            for venue in self._venues.values():
                venue.connections.cut("backpressure")
        self._publish()
        return min(work, 1)

    def _watch_prepost(self, now_ns: int) -> None:
        is_alive = self._ports.prepost_alive(now_ns)
        if is_alive:
            if self._is_orphaned:
                self._log.info("prepost is back")
                self._is_orphaned = False
                self._requests.is_stopped = self._is_leaving
                if not self._is_leaving:
                    for venue in self._venues.values():
                        venue.account.give_up_cancelling()
            self._was_prepost_alive = True
        elif self._was_prepost_alive and not self._is_orphaned:
            self._is_orphaned = self._requests.is_stopped = True
            self._cancel_everything("prepost has fallen silent")

    def _take_control(self, now_ns: int) -> None:
        control = self._ports.control
        assert control is not None, "asked only where there is a control ring"
        while (message := control.try_peek(NORMAL)) is not None:
            if message.header.kind == ControlKind.CANCEL_ALL:
                self._cancel_everything("the operator asked")
            self._metrics.view.control_sequence = message.header.sequence
            control.release(NORMAL)

    def _publish(self) -> None:
        gauges, writer = self._counters, self._writer
        gauges[COMMANDS] = self._commands_read
        gauges[PLACES_SENT] = self._requests.places_sent
        gauges[REPORTS] = writer.reports
        gauges[FILLS] = writer.fills
        gauges[PENDING_REPORTS] = writer.pending
        gauges[ORDERS_REMEMBERED] = len(self._orders)
        gauges[IN_FLIGHT] = len(self._in_flight)
        sessions = [session for venue in self._venues.values() for session in venue.connections.usable]
        scores = [session.score for session in sessions]
        rtts_ns = [session.health.rtt_ns for session in sessions]
        gauges[SESSIONS_UP] = len(sessions)
        gauges[SESSION_SCORE_MIN] = min(scores) if scores else 0
        gauges[RTT_US] = min(rtts_ns) // 1000 if rtts_ns else 0


def _sample_places(instruments: Instruments, endpoints: Sequence[Endpoints]) -> list[Any]:
    """A place of either side on every instrument that is traded here; nobody's, and never sent."""
    venues = {each.venue for each in endpoints}
    places = []
    for instrument in instruments:
        for side in (1, -1):
            if instrument.venue in venues:
                command = new("command")
                header = command.header
                header.kind, header.instrument_index = _PLACE, instrument.instrument_index
                header.hedge_instrument_index, header.pair_id = NO_INSTRUMENT, NO_PAIR
                command.client_order_id = SAMPLE_ID
                command.venue, command.side = instrument.venue, side
                command.order_type, command.time_in_force = OrderType.LIMIT, TimeInForce.IOC
                command.price_ticks = SAMPLE_PRICE * 10**instrument.price_decimals // instrument.tick_size
                command.quantity_lots = instrument.quantity_lots_min
                places.append(command)
    return places
