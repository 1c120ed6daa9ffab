"""What the engine may be told."""

from dataclasses import dataclass, field
from typing import Final

from reactor.engine.connections import ConnectionParameters
from reactor.engine.router import RouterParameters
from reactor.exchanges.binance.orders import PLACE_WINDOW_MS, QUERY_WINDOW_MS
from reactor.exchanges.venue import Endpoints, RateLimit

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class EngineParameters:
    """What one engine does. Pickled into the plan: no secret is in it. Times in ns unless the name says ms."""

    endpoints: tuple[Endpoints, ...]
    order_id_prefix: str
    rate_limits: tuple[tuple[int, tuple[RateLimit, ...]], ...] = ()  # by venue; a venue without limits is not budgeted
    source: int = 0  # header.source of its reports
    dedicated_account: bool = False  # arms the venues' own dead-man switches: they hit everybody's orders
    place_window_ms: int = PLACE_WINDOW_MS  # recvWindow of a place
    query_window_ms: int = QUERY_WINDOW_MS
    order_timeout_ns: int = 3 * SECOND_NS  # after it a place or cancel is OUTCOME_UNKNOWN; a healthy venue needs 50 ms
    query_timeout_ns: int = 3 * SECOND_NS
    rest_places: bool = True  # places may go over REST when no order session is up
    cancel_round_ns: int = SECOND_NS // 5  # pause between two rounds of "cancel all ours"
    forwards_account_rows: bool = False  # live balances and positions: prepost keeps its own and asks when it compares
    countdown_ms: int = 30_000  # of the venue's dead-man switch; renewed three times as often
    connections: ConnectionParameters = field(default_factory=ConnectionParameters)
    router: RouterParameters = field(default_factory=RouterParameters)
