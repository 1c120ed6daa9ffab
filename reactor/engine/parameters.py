"""What the engine may be told."""

from dataclasses import dataclass, field
from typing import Final

from reactor.exchanges.binance.orders import PLACE_WINDOW_MS, QUERY_WINDOW_MS
from reactor.exchanges.venue import Endpoints, RateLimit
from reactor.net.backoff import BackoffParameters
from reactor.net.rate_limit import RateBudgetParameters

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class HealthParameters:
    """What counts as healthy."""

    score_healthy: int = 50
    errors_in_a_row_max: int = 5  # more: not healthy whatever the score says
    smoothing: float = 0.1  # weight of the newest round trip and outcome


@dataclass(frozen=True)
class ClockParameters:
    """How the venue's clock is watched."""

    drift_ppm: float = 100.0  # two unsynchronised quartz clocks: 0.1 ms per second apart at worst
    samples_max: int = 8
    jump_ns: int = 100_000_000  # A sample this far outside its bounds means that a clock was set: forget the older ones.


@dataclass(frozen=True)
class RouterParameters:
    """How many connections a request may use."""

    race_copies: int = 2  # of cancels and queries: one lost packet does not delay them
    race_closes: bool = False  # reduce-only closes of a whole position; only where nothing else trades that position
    dangerous_place_copies: int = 1  # > 1 sends places several times and can fill them several times; see the module's text


@dataclass(frozen=True)
class ConnectionParameters:
    """Times are in ns."""

    sessions: int = 3  # order sessions per venue: one may be lost and one rotated while another works
    sessions_min: int = 2
    sessions_max: int = 6
    heartbeat_ns: int = 10 * SECOND_NS  # between pings; a venue allows 5 client pings per second
    pong_timeout_ns: int = 5 * SECOND_NS
    answer_timeout_ns: int = 10 * SECOND_NS  # of logon, subscription and listen key
    life_ns: int = 23 * 3600 * SECOND_NS  # venues cut at 24 h
    life_jitter: float = 0.02  # so that the pool is not replaced all at once
    drain_ns: int = 10 * SECOND_NS  # how long an old session may wait for its answers
    overlap_ns: int = 2 * SECOND_NS  # how long an old user stream listens beside its successor
    adapt_ns: int = 5 * SECOND_NS  # between looks at the pool's size
    keepalive_ns: int = 1800 * SECOND_NS  # of the listen key, which lives an hour
    clock_ns: int = 20 * SECOND_NS  # between clock samples; the first three come at once
    rest_timeout_ns: int = 5 * SECOND_NS
    backoff: BackoffParameters = field(default_factory=BackoffParameters)
    health: HealthParameters = field(default_factory=HealthParameters)
    clock: ClockParameters = field(default_factory=ClockParameters)
    rate_budget: RateBudgetParameters = field(default_factory=RateBudgetParameters)


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
