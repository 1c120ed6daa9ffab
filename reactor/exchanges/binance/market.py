"""Binance's public market data: stream names, paths, subscriptions, snapshots, time. Spot, USD-M and COIN-M are records.

Frames are read in C (reactor/market/intake.py); here stands what is asked for. Since 2026-04-23 the futures streams live on
two paths: `/public` (book tickers, depth, trades) and `/market` (mark price and everything else derived). A stream on the
wrong path, or an unknown name, is acknowledged and then stays silent: who subscribes must watch that data comes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from reactor.domain.messages import Venue
from reactor.exchanges.binance.rules import LINES, read_server_ms, time_url
from reactor.exchanges.venue import Endpoints, RestCall, Stream, StreamOptions
from reactor.market.intake import FrameKind
from reactor.market.sync import SyncRule

SECOND_NS: Final = 1_000_000_000
STREAMS_MAX = 1024  # "A single connection can listen to a maximum of 1024 streams."
CONNECTION_LIFE_NS = 24 * 3600 * SECOND_NS  # "A single connection is only valid for 24 hours."
NAMES_PER_FRAME_MAX = 100  # Keeps a SUBSCRIBE under 4 kB; a thousand streams take ten frames, two seconds at the limit.
BAN_DEFAULT_NS = 120 * SECOND_NS  # A 418 without Retry-After: the shortest ban is two minutes.
LIMIT_DEFAULT_NS = 10 * SECOND_NS  # A 429 without Retry-After.


@dataclass(frozen=True)
class _Line:
    """What differs between the product lines."""

    sync_rule: SyncRule
    messages_per_second_max: int
    depth_suffixes: Mapping[int, str]  # interval in ms → suffix of the stream name
    snapshot_weights: tuple[tuple[int, int], ...]  # (up to this depth, weight)
    has_marks: bool
    weight_per_minute: int


_LINES: Final[Mapping[int, _Line]] = {
    # "WebSocket connections have a limit of 5 incoming messages per second": PING, PONG and JSON frames together.
    Venue.BINANCE_SPOT: _Line(SyncRule.CONTIGUOUS, 5, {1000: "", 100: "@100ms"},
                              ((100, 5), (500, 25), (1000, 50), (5000, 250)), False, 6000),
    Venue.BINANCE_USDM: _Line(SyncRule.CHAINED, 10, {500: "@500ms", 250: "", 100: "@100ms", 0: "@0ms"},
                              ((50, 2), (100, 5), (500, 10), (1000, 20)), True, 2400),
    Venue.BINANCE_COINM: _Line(SyncRule.CHAINED, 10, {500: "@500ms", 250: "", 100: "@100ms", 0: "@0ms"},
                               ((50, 2), (100, 5), (500, 10), (1000, 20)), True, 2400),
}  # fmt: skip
_DEPTHS: Final = (5, 10, 20, 50, 100, 500, 1000, 5000)  # futures take these values only, up to 1000


class BinanceMarket:
    """The market-data codec of one Binance venue."""

    def __init__(self, venue: int) -> None:
        self.venue = venue
        self._line = line = _LINES[venue]
        self.sync_rule = line.sync_rule
        self.messages_per_second_max = line.messages_per_second_max
        self.streams_max = STREAMS_MAX
        self.names_per_frame_max = NAMES_PER_FRAME_MAX
        self.connection_life_ns = CONNECTION_LIFE_NS
        self.weight_per_minute = line.weight_per_minute

    def streams(self, symbol: str, options: StreamOptions) -> tuple[Stream, ...]:
        """The streams of one symbol. A depth interval that the venue has not becomes the next slower one."""
        line, name = self._line, symbol.lower()
        streams = []
        if options.has_tickers:
            streams.append(Stream(f"{name}@bookTicker", symbol, FrameKind.BOOK_TICKER))
        if options.has_depth:
            offered = sorted(line.depth_suffixes)
            interval = next((each for each in offered if each >= options.depth_interval_ms), offered[-1])
            streams.append(Stream(f"{name}@depth{line.depth_suffixes[interval]}", symbol, FrameKind.DEPTH_UPDATE))
        if options.has_trades:
            streams.append(Stream(f"{name}@trade", symbol, FrameKind.TRADE))
        if options.has_marks and line.has_marks:
            streams.append(Stream(f"{name}@markPrice@1s", symbol, FrameKind.MARK_PRICE, is_derived=True))
        return tuple(streams)

    def stream_url(self, endpoints: Endpoints, is_derived: bool) -> str:
        """Where a connection for such streams is opened; they are subscribed afterwards, frames come in the envelope."""
        return f"{endpoints.market_url if is_derived else endpoints.public_url}/stream"

    def subscribe_frame(self, number: int, names: Sequence[str]) -> bytes:
        """At most NAMES_PER_FRAME_MAX names. The answer echoes `number`: {"result":null,"id":1}."""
        return _request("SUBSCRIBE", number, names)

    def unsubscribe_frame(self, number: int, names: Sequence[str]) -> bytes:
        """As subscribe_frame."""
        return _request("UNSUBSCRIBE", number, names)

    def snapshot_call(self, endpoints: Endpoints, symbol: str, depth: int) -> RestCall:
        """The REST book, at least `depth` levels per side if the venue has so many."""
        weights = self._line.snapshot_weights
        limit = min(next((each for each in _DEPTHS if each >= depth), _DEPTHS[-1]), weights[-1][0])
        weight = next(cost for up_to, cost in weights if limit <= up_to)
        root = endpoints.rest_url + LINES[self.venue].rest_root
        return RestCall("GET", f"{root}/depth?symbol={symbol}&limit={limit}", {}, weight)

    def time_call(self, endpoints: Endpoints) -> RestCall:
        """The venue's clock. Weight 1."""
        return RestCall("GET", time_url(LINES[self.venue], endpoints), {})

    def read_time(self, body: bytes) -> int:
        """{"serverTime":1499827319559} → ms.

        Raises:
            RemoteProtocolError: it says something else.
        """
        return read_server_ms(body)

    def wait_after(self, status: int, headers: Mapping[str, str]) -> int:
        """429: over the limit; 418: banned. In REST `Retry-After` is a delay in seconds."""
        if status not in (418, 429):
            return 0
        seconds = headers.get("retry-after", "")
        if seconds.isascii() and seconds.isdigit():
            return int(seconds) * SECOND_NS
        return BAN_DEFAULT_NS if status == 418 else LIMIT_DEFAULT_NS

    def used_weight(self, headers: Mapping[str, str]) -> int:
        """X-MBX-USED-WEIGHT-1M counts everybody on this address."""
        text = headers.get("x-mbx-used-weight-1m", "")
        return int(text) if text.isascii() and text.isdigit() else 0


def _request(method: str, number: int, names: Sequence[str]) -> bytes:
    assert 0 < len(names) <= NAMES_PER_FRAME_MAX, "a subscription frame names 1 to NAMES_PER_FRAME_MAX streams"
    return orjson.dumps({"method": method, "params": list(names), "id": number})
