"""What the recorder must know of a venue, and nothing else: names, streams, where the book comes from, what it may ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reactor.domain.errors import ConfigError
from reactor.domain.messages import Venue
from reactor.exchanges.binance.market import BinanceMarket
from reactor.exchanges.binance.rules import endpoints_at, endpoints_of
from reactor.exchanges.venue import Endpoints, MarketCodec, Stream
from reactor.market.intake import FrameKind

SNAPSHOT_DEPTH: Final = 1000  # As hftbacktest's collector asks for; deeper levels complete themselves.


@dataclass(frozen=True)
class RecordedVenue:
    """One venue that can be recorded."""

    name: str
    venue: int
    codec: MarketCodec
    streams_default: tuple[str, ...]  # without the symbol; hftbacktest's collector takes the same three
    depth_stream: str  # the one whose ids the book follows, up to its speed
    derived: tuple[str, ...]  # beginnings of streams that live on the venue's second path
    weight_per_minute_max: int  # half of the host's budget: a system that trades may run beside us

    def streams(self, symbol: str, names: Sequence[str]) -> tuple[Stream, ...]:
        """The venue's streams of one symbol."""
        root = symbol.lower()
        return tuple(Stream(f"{root}@{name}", symbol, _frame_kind(name), is_derived=self.is_derived(name)) for name in names)

    def is_derived(self, name: str) -> bool:
        """It comes over the second connection."""
        return name.startswith(self.derived) if self.derived else False

    def is_delta(self, name: str) -> bool:
        """It carries the changes of the whole book ("depth@100ms"; not "depth20", a top of the book)."""
        return name == self.depth_stream or name.startswith(f"{self.depth_stream}@")

    def endpoints(self, base_url: str, environment: str) -> Endpoints:
        """Where it is.

        Raises:
            ConfigError: there is no such environment.
        """
        if base_url:
            return endpoints_at(self.venue, base_url)
        return endpoints_of(self.venue, environment)


def _frame_kind(name: str) -> int:
    head = name.partition("@")[0]
    kinds: Mapping[str, int] = {
        "bookTicker": FrameKind.BOOK_TICKER,
        "depth": FrameKind.DEPTH_UPDATE,
        "trade": FrameKind.TRADE,
        "aggTrade": FrameKind.AGGREGATE_TRADE,
        "markPrice": FrameKind.MARK_PRICE,
    }
    return kinds.get(head, FrameKind.UNKNOWN)


_FUTURES_DERIVED: Final = (
    "markPrice",
    "aggTrade",
    "kline",
    "forceOrder",
    "miniTicker",
    "ticker",
    "continuousKline",
    "indexPrice",
)


def _binance(name: str, venue: int, depth: str, derived: tuple[str, ...], weight: int) -> RecordedVenue:
    return RecordedVenue(name, venue, BinanceMarket(venue), ("trade", "bookTicker", depth), "depth", derived, weight)


VENUES: Final[Mapping[str, RecordedVenue]] = {
    each.name: each
    for each in (
        _binance("binance_spot", Venue.BINANCE_SPOT, "depth@100ms", (), 3000),
        _binance("binance_usdm", Venue.BINANCE_USDM, "depth@0ms", _FUTURES_DERIVED, 1200),
        _binance("binance_coinm", Venue.BINANCE_COINM, "depth@0ms", _FUTURES_DERIVED, 1200),
    )
}
# What hftbacktest's collector calls them.
ALIASES: Final[Mapping[str, str]] = {
    "binance": "binance_spot",
    "binancespot": "binance_spot",
    "binancefutures": "binance_usdm",
    "binancefuturesum": "binance_usdm",
    "binancefuturescm": "binance_coinm",
}


def recorded_venue(name: str) -> RecordedVenue:
    """The venue of that name.

    Raises:
        ConfigError: names those there are.
    """
    name = name.replace("-", "_")
    found = VENUES.get(ALIASES.get(name, name))
    if found is None:
        raise ConfigError(f"venue {name!r} cannot be recorded; there are {', '.join(VENUES)}")
    return found
