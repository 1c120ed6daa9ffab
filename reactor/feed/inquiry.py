"""What a feed asks a venue over REST: snapshots and the time, within its share of the venue's weight.

What everybody on this address has used stands in every answer: above MARKET_DATA_CEILING snapshots wait for the next minute.

After a 429 or a 418 nothing is asked until the venue's own time is over. Randomness, sockets and sleeping are elsewhere: a
Network is asked, answers come back between two passes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reactor.domain.errors import RemoteProtocolError
from reactor.exchanges.venue import Endpoints, MarketCodec, RateLimit, RateLimitKind, RestCall
from reactor.loop.clock import Clock
from reactor.loop.log import Log
from reactor.market.clock_offset import ClockOffset
from reactor.net.network import Network, Request, Response
from reactor.net.rate_limit import MARKET_DATA_CEILING, RateBudget, RateBudgetParameters

MS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
MINUTE_MS: Final = 60_000


@dataclass(frozen=True)
class InquiryParameters:
    """How often and how much one feed asks one venue."""

    timeout_ms: int = 5_000
    weight_per_minute_max: int = 1_200  # Our share of the host's budget (spot 6000, futures 2400).
    clock_interval_s: float = 30  # Between two questions for the venue's time …
    clock_samples_first: int = 5  # … after these, one a second, at the start.


class VenueInquiry:
    """Requests to one venue, and what its time endpoint taught us."""

    def __init__(
        self, codec: MarketCodec, endpoints: Endpoints, network: Network, clock: Clock, log: Log, parameters: InquiryParameters
    ) -> None:
        self.clock_offset = ClockOffset()
        self._codec = codec
        self._endpoints = endpoints
        self._network = network
        self._clock = clock
        self._log = log
        self._parameters = parameters
        self._paused_until_ns = 0
        self._clock_due_ns = 0
        self._wall_minus_monotonic_ns = 0
        self._is_stopping = False
        share = min(1.0, parameters.weight_per_minute_max / codec.weight_per_minute)
        self._budget = RateBudget(
            [RateLimit(RateLimitKind.WEIGHT, MINUTE_MS, codec.weight_per_minute)],
            RateBudgetParameters(share=share, reserve=0.0, ceiling=MARKET_DATA_CEILING),
        )

    def on_time(self, now_ns: int) -> None:
        """Asks for the venue's time when it is due."""
        self._wall_minus_monotonic_ns = self._clock.realtime_ns() - now_ns
        if now_ns < self._clock_due_ns:
            return
        parameters = self._parameters
        is_first = self.clock_offset.samples < parameters.clock_samples_first
        self._clock_due_ns = now_ns + (SECOND_NS if is_first else int(parameters.clock_interval_s * SECOND_NS))
        self._request(self._codec.time_call(self._endpoints), self._on_clock, is_urgent=True)

    def try_snapshot(self, symbol: str, depth: int, on_response: Callable[[Response], None]) -> bool:
        """Asks for a REST book. False: not now, the budget or the venue forbids it."""
        call = self._codec.snapshot_call(self._endpoints, symbol, depth)
        return self._request(call, lambda response, _: on_response(response))

    def note(self, response: Response) -> None:
        """Whoever got an answer that is no success shows it here: the venue may have asked for silence."""
        wait_ns = 0 if response.failure else self._codec.wait_after(response.status, response.headers)
        if wait_ns:
            self._paused_until_ns = max(self._paused_until_ns, response.receive_ns + wait_ns)
            self._log.error("venue's limit reached: asking nothing for a while", venue=self._codec.venue,
                            status=response.status, wait_s=wait_ns // SECOND_NS)  # fmt: skip

    def stop(self) -> None:
        """Asks nothing any more."""
        self._is_stopping = True

    def wall_minus_monotonic_ns(self) -> int:
        """Turns a stamp of CLOCK_MONOTONIC into our wall time."""
        return self._wall_minus_monotonic_ns

    def offset_ns(self) -> int:
        """The venue's wall clock − ours, as estimated; 0 before the first answer."""
        estimate = self.clock_offset.estimate(self._clock.realtime_ns())
        return 0 if estimate is None else estimate.offset_ns

    def error_us(self) -> int:
        """How far the estimate may be wrong; 0 before the first answer."""
        estimate = self.clock_offset.estimate(self._clock.realtime_ns())
        return 0 if estimate is None else estimate.error_ns // 1000

    def _request(self, call: RestCall, on_response: Callable[[Response, int], None], *, is_urgent: bool = False) -> bool:
        sent_ns = self._clock.monotonic_ns()
        if self._is_stopping or sent_ns < self._paused_until_ns:
            return False
        if not self._budget.try_spend(call.weight, 0, self._venue_ms(sent_ns), is_urgent=is_urgent):
            return False
        request = Request(call.method, call.url, call.headers, call.body, self._parameters.timeout_ms * MS)

        def on_answer(response: Response) -> None:
            self._observe(response, sent_ns)
            on_response(response, sent_ns)

        self._network.request(request, on_answer)
        return True

    def _venue_ms(self, at_ns: int) -> int:
        return (at_ns + self._wall_minus_monotonic_ns + self.offset_ns()) // MS

    def _observe(self, response: Response, sent_ns: int) -> None:
        """What everybody on this address has used, unless the venue's minute may have ended meanwhile."""
        used = 0 if response.failure else self._codec.used_weight(response.headers)
        sent_ms, received_ms = self._venue_ms(sent_ns), self._venue_ms(response.receive_ns)
        if used and sent_ms // MINUTE_MS == received_ms // MINUTE_MS:
            self._budget.observe(RateLimitKind.WEIGHT, MINUTE_MS, used, received_ms)

    def _on_clock(self, response: Response, sent_ns: int) -> None:
        if response.failure or response.status != 200:
            self.note(response)
            return
        try:
            venue_ms = self._codec.read_time(response.body)
        except RemoteProtocolError as error:
            self._log.warning("no time from the venue", venue=self._codec.venue, error=str(error))
            return
        shift_ns = self._clock.realtime_ns() - self._clock.monotonic_ns()
        self.clock_offset.add(sent_ns + shift_ns, response.receive_ns + shift_ns, venue_ms)
