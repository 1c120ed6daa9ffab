"""Request budgets of one venue: fixed windows on the venue's clock, with a reserve that only cancels may touch.

A venue counts weight per minute and orders per ten seconds and per day, in windows that begin on the full minute, ten
seconds or day of *its* clock. We count what we send; what the venue reports (headers) corrects us upwards, because feeds,
recorder and supervisor share the same address.
"""

from collections.abc import Sequence
from typing import Final

from reactor.exchanges.venue import RateLimit, RateLimitKind
from reactor.net.parameters import RateBudgetParameters as RateBudgetParameters

# Of an address's weight per minute, whoever used it: above that no market data is asked for. The rest is for the questions on
# which money depends: what became of an order, what is open, what we own.
MARKET_DATA_CEILING: Final = 0.6


class RateWindow:
    """One limit and what was used of it in its current window."""

    __slots__ = ("end_ms", "interval_ms", "kind", "limit", "open_limit", "open_total_limit", "total", "total_limit", "used")

    def __init__(self, limit: RateLimit, parameters: RateBudgetParameters) -> None:
        self.kind = int(limit.kind)
        self.interval_ms = limit.interval_ms
        self.limit = max(1, int(limit.limit * parameters.share))
        self.open_limit = max(1, int(self.limit * (1.0 - parameters.reserve)))
        self.total_limit = limit.limit
        self.open_total_limit = int(limit.limit * parameters.ceiling)
        self.used = 0  # by this budget
        self.total = 0  # by everybody on this address or account, as far as the venue told us
        self.end_ms = 0  # of the current window, in venue time

    def roll(self, venue_ms: int) -> None:
        """Starts a new window if the venue's clock has entered one."""
        if venue_ms >= self.end_ms:
            self.end_ms = (venue_ms // self.interval_ms + 1) * self.interval_ms
            self.used = 0
            self.total = 0


class RateBudget:
    """Every limit of one venue. Times are the venue's wall clock in ms."""

    def __init__(self, limits: Sequence[RateLimit], parameters: RateBudgetParameters | None = None) -> None:
        self._windows = [RateWindow(limit, parameters or RateBudgetParameters()) for limit in limits]
        self._blocked_until_ms = 0
        self._is_banned = False

    def try_spend(self, weight: int, orders: int, venue_ms: int, *, is_urgent: bool) -> bool:
        """Counts a request and allows it, or refuses it and counts nothing.

        Urgent requests (cancels, queries, hedges) may use the reserve; after a 429 nothing may go, as told.
        """
        if venue_ms < self._blocked_until_ms:
            return False
        windows = self._windows
        for window in windows:
            if venue_ms >= window.end_ms:
                window.roll(venue_ms)
            kind = window.kind
            cost = orders if kind == 1 else weight if kind == 0 else 1
            if cost and (
                window.used + cost > (window.limit if is_urgent else window.open_limit)
                or window.total + cost > (window.total_limit if is_urgent else window.open_total_limit)
            ):
                return False
        for window in windows:
            kind = window.kind
            cost = orders if kind == 1 else weight if kind == 0 else 1
            if cost:
                window.used += cost
                window.total += cost
        return True

    def observe(self, kind: RateLimitKind, interval_ms: int, used: int, venue_ms: int) -> None:
        """The venue said how much is used, by everybody on this address or account: all of us together stay below its limit."""
        for window in self._windows:
            if window.kind == kind and window.interval_ms == interval_ms:
                window.roll(venue_ms)
                window.total = max(window.total, used)

    def block_until(self, until_ms: int, *, is_ban: bool = False) -> None:
        """The venue said to stop until then (429, 418): that is when its full windows end.

        Near the end of a window, or with a clock that is wrong, we may have put its count into the next one.
        """
        self._blocked_until_ms = max(self._blocked_until_ms, until_ms)
        self._is_banned = is_ban
        for window in self._windows:
            if window.total >= window.total_limit and window.end_ms > until_ms:
                window.end_ms = until_ms

    def blocked_until_ms(self, venue_ms: int) -> int:
        """When the venue's own stop order ends; 0 if there is none now."""
        return self._blocked_until_ms if venue_ms < self._blocked_until_ms else 0

    def is_banned(self, venue_ms: int) -> bool:
        """True while an address ban lasts."""
        return self._is_banned and venue_ms < self._blocked_until_ms

    def next_window_ms(self, venue_ms: int) -> int:
        """When something becomes available again at the earliest."""
        return max(self._blocked_until_ms, min((window.end_ms for window in self._windows), default=venue_ms))
