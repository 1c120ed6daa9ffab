"""What a venue counts and when it has had enough: request weight, raw requests, orders, connections, messages.

Windows are fixed and aligned to the exchange's clock (:00, :10, … and the UTC day), never rolling. Who goes over gets 429
with the time to wait; who goes on asking meanwhile is banned: 418, first for two minutes, each time longer, three days at most.
Any limiter can be lifted by name for load tests: it still counts, it no longer refuses.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from reactor.sim.faces.refusal import VenueError

SECOND_NS: Final = 1_000_000_000
TOLERATED_AFTER_429: Final = 10  # Requests in spite of a 429 before the ban. The venue does not say; ten is patient.
BAN_NS_FIRST: Final = 120 * SECOND_NS
BAN_NS_MAX: Final = 3 * 86_400 * SECOND_NS
MAKER_FILL_GIVES_BACK: Final = 5  # "decremented … more, e.g. −5, for first maker fill"
TAKER_FILL_GIVES_BACK: Final = 1

_SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTERS: Final = {"SECOND": "S", "MINUTE": "M", "HOUR": "H", "DAY": "D"}


@dataclass(frozen=True)
class Limit:
    """One row of exchangeInfo.rateLimits."""

    kind: str  # REQUEST_WEIGHT, RAW_REQUESTS, ORDERS
    interval: str
    interval_count: int
    limit: int

    @property
    def window_ns(self) -> int:
        """Length of the window."""
        return _SECONDS[self.interval] * self.interval_count * SECOND_NS

    @property
    def suffix(self) -> str:
        """`10S`, `1M`: how headers call the window."""
        return f"{self.interval_count}{_LETTERS[self.interval]}"

    @property
    def words(self) -> str:
        """`10 SECOND`: how error messages call it."""
        return f"{self.interval_count} {self.interval}"

    def fields(self) -> dict[str, Any]:
        """The row itself."""
        return {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.interval_count,
            "limit": self.limit,
        }


@dataclass
class Window:
    """The count of one limit for one client."""

    limit: Limit
    start_ns: int = 0
    count: int = 0

    def roll(self, now_ns: int) -> None:
        """Starts the window that `now_ns` falls into, if it is a new one."""
        start_ns = now_ns - now_ns % self.limit.window_ns
        if start_ns != self.start_ns:
            self.start_ns = start_ns
            self.count = 0

    def end_ns(self) -> int:
        """When the count begins again."""
        return self.start_ns + self.limit.window_ns


@dataclass
class _Caller:
    """One IP."""

    weight: Window
    raw: list[Window]
    requests_over: int = 0
    bans: int = 0
    banned_until_ns: int = 0


@dataclass(frozen=True)
class LimitParameters:
    """The venue's limits.

    `lifted`: names of limiters (REQUEST_WEIGHT, RAW_REQUESTS, ORDERS, CONNECTIONS, MESSAGES) that only count.
    """

    limits: tuple[Limit, ...]
    lifted: frozenset[str] = frozenset()
    connections_max: int = 300  # attempts per IP in five minutes
    messages_per_second_max: int = 5  # frames per connection: market streams


SPOT_LIMITS: Final = (
    Limit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
    Limit("ORDERS", "SECOND", 10, 100),
    Limit("ORDERS", "DAY", 1, 200_000),
    Limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
)
USDM_LIMITS: Final = (
    Limit("REQUEST_WEIGHT", "MINUTE", 1, 2400),
    Limit("ORDERS", "MINUTE", 1, 1200),
    Limit("ORDERS", "SECOND", 10, 300),
)


@dataclass
class RateLimits:
    """All counters of one venue."""

    parameters: LimitParameters
    _callers: dict[str, _Caller] = field(default_factory=dict)
    _orders: dict[int, list[Window]] = field(default_factory=dict)
    _connections: dict[str, Window] = field(default_factory=dict)

    def charge(self, ip: str, weight: int, now_ns: int) -> None:
        """Counts one request; refuses it (429, 418) if the IP is over its limits or banned."""
        caller = self._caller(ip)
        parameters = self.parameters
        if caller.banned_until_ns > now_ns:
            raise VenueError(
                -1003,
                f"Way too much request weight used; IP banned until {caller.banned_until_ns // 1_000_000}. "
                "Please use WebSocket Streams for live updates to avoid bans.",
                418,
                retry_after_ns=caller.banned_until_ns - now_ns,
            )
        window = caller.weight
        window.roll(now_ns)
        window.count += weight
        for raw in caller.raw:
            raw.roll(now_ns)
            raw.count += 1
        over = None
        if window.count > window.limit.limit and "REQUEST_WEIGHT" not in parameters.lifted:
            over = window
        for raw in caller.raw:
            if raw.count > raw.limit.limit and "RAW_REQUESTS" not in parameters.lifted:
                over = raw
        if over is None:
            caller.requests_over = 0
            return
        caller.requests_over += 1
        if caller.requests_over > TOLERATED_AFTER_429:
            self.ban(ip, now_ns)
        raise VenueError(
            -1003,
            f"Too much request weight used; current limit is {over.limit.limit} request weight per {over.limit.words}. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            429,
            retry_after_ns=over.end_ns() - now_ns,
        )

    def refund(self, ip: str, weight: int) -> None:
        """Takes back a weight: "successful place/cancel/cancelReplace requests cost 0 weight"."""
        window = self._caller(ip).weight
        window.count = max(0, window.count - weight)

    def ban(self, ip: str, now_ns: int, for_ns: int = 0) -> None:
        """Bans an IP, for two minutes and twice as long each time unless `for_ns` is given."""
        caller = self._caller(ip)
        caller.banned_until_ns = now_ns + (for_ns or min(BAN_NS_FIRST << caller.bans, BAN_NS_MAX))
        caller.bans += 1
        caller.requests_over = 0

    def check_orders(self, account: int, count: int, now_ns: int) -> None:
        """Refuses (-1015) if `count` more orders would not fit. Does not count them."""
        for window in self._windows(account, now_ns):
            if window.count + count > window.limit.limit and "ORDERS" not in self.parameters.lifted:
                raise VenueError(
                    -1015,
                    f"Too many new orders; current limit is {window.limit.limit} orders per {window.limit.words}.",
                    429,
                    retry_after_ns=window.end_ns() - now_ns,
                )

    def count_orders(self, account: int, count: int, now_ns: int) -> None:
        """Counts orders that reached the engine."""
        for window in self._windows(account, now_ns):
            window.count += count

    def give_back(self, account: int, count: int, now_ns: int) -> None:
        """Spot counts *unfilled* orders: an order's first fill gives some of the count back."""
        for window in self._windows(account, now_ns):
            window.count = max(0, window.count - count)

    def connect(self, ip: str, now_ns: int) -> bool:
        """Counts a connection attempt; False: one too many."""
        window = self._connections.setdefault(ip, Window(Limit("CONNECTIONS", "MINUTE", 5, self.parameters.connections_max)))
        window.roll(now_ns)
        window.count += 1
        return window.count <= window.limit.limit or "CONNECTIONS" in self.parameters.lifted

    def weight_header(self, ip: str, now_ns: int) -> dict[str, str]:
        """`X-MBX-USED-WEIGHT-1M`, with the older spelling without the window."""
        window = self._caller(ip).weight
        window.roll(now_ns)
        count = str(window.count)
        return {"X-MBX-USED-WEIGHT": count, f"X-MBX-USED-WEIGHT-{window.limit.suffix}": count}

    def order_headers(self, account: int, now_ns: int) -> dict[str, str]:
        """`X-MBX-ORDER-COUNT-10S`, …"""
        return {f"X-MBX-ORDER-COUNT-{window.limit.suffix}": str(window.count) for window in self._windows(account, now_ns)}

    def order_rows(self, account: int, now_ns: int) -> list[dict[str, Any]]:
        """The ORDERS limiters with their counts: /rateLimit/order."""
        return [{**window.limit.fields(), "count": window.count} for window in self._windows(account, now_ns)]

    def message_rows(self, ip: str, account: int | None, now_ns: int) -> list[dict[str, Any]]:
        """`rateLimits` of a WebSocket API answer: ORDERS if it was an order request, and the weight."""
        rows = [] if account is None else self.order_rows(account, now_ns)
        window = self._caller(ip).weight
        window.roll(now_ns)
        rows.append({**window.limit.fields(), "count": window.count})
        return rows

    def rows(self) -> list[dict[str, Any]]:
        """`rateLimits` of exchangeInfo."""
        return [limit.fields() for limit in self.parameters.limits]

    def _caller(self, ip: str) -> _Caller:
        caller = self._callers.get(ip)
        if caller is None:
            limits = self.parameters.limits
            weight = next(limit for limit in limits if limit.kind == "REQUEST_WEIGHT")
            caller = _Caller(Window(weight), [Window(limit) for limit in limits if limit.kind == "RAW_REQUESTS"])
            self._callers[ip] = caller
        return caller

    def _windows(self, account: int, now_ns: int) -> list[Window]:
        windows = self._orders.get(account)
        if windows is None:
            windows = [Window(limit) for limit in self.parameters.limits if limit.kind == "ORDERS"]
            self._orders[account] = windows
        for window in windows:
            window.roll(now_ns)
        return windows
