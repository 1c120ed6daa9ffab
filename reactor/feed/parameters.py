"""Everything that a feed may be told, composed from the parts that use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reactor.domain.messages import NO_INSTRUMENT
from reactor.exchanges.venue import StreamOptions
from reactor.feed.inquiry import InquiryParameters
from reactor.feed.signals.parameters import (
    AdaptiveSpreadParameters,
    BookTopParameters,
    FixedSpreadParameters,
    FundingDirectionParameters,
    FundingRiskParameters,
    PositionCloseParameters,
)
from reactor.net.backoff import BackoffParameters

MS: Final = 1_000_000


@dataclass(frozen=True)
class SessionParameters:
    """How connections are kept."""

    redundancy: int = 2
    rotate_after_s: float = 23 * 3600  # The venue cuts at 24 h.
    rotate_stagger_s: float = 1800  # The second session rotates half an hour before the first.
    rotate_overlap_s: float = 30  # A new session that brings no data this long replaces the old one all the same.
    subscribe_answer_s: float = 10  # An answer that does not come: close, try again.
    silence_s: float = 15  # No frame at all this long: ask with a ping …
    pong_s: float = 5  # … and close if nothing comes back.
    alarm_after_s: float = 20  # A stream that is subscribed and has brought nothing: tell the trader.
    steady_s: float = 30  # A session that lived this long did not fail: the next delay is the first one again.
    backoff: BackoffParameters = field(default_factory=BackoffParameters)


@dataclass(frozen=True)
class BooksParameters:
    """How the books of a venue are kept."""

    streams: StreamOptions = field(default_factory=StreamOptions)
    snapshot_depth: int = 1000
    stale_after_ms: int = 5_000  # No frame of an instrument this long: nobody trades on its top.
    mark_stale_after_ms: int = 15_000  # The stream speaks every second.
    book_capacity: int = 8192
    inquiry: InquiryParameters = field(default_factory=InquiryParameters)
    backoff: BackoffParameters = field(default_factory=lambda: BackoffParameters(first_ns=250 * MS))


@dataclass(frozen=True)
class UserSignalParameters:
    """A signal of the user's own: a subclass of reactor.feed.signals.signal.Signal in a Python file."""

    file: str
    class_name: str
    instrument_index: int
    hedge_instrument_index: int = NO_INSTRUMENT
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class SignalsParameters:
    """Every signal of the house; None switches one off."""

    adaptive_spread: AdaptiveSpreadParameters | None = field(default_factory=AdaptiveSpreadParameters)
    fixed_spread: FixedSpreadParameters | None = field(default_factory=FixedSpreadParameters)
    funding_direction: FundingDirectionParameters | None = field(default_factory=FundingDirectionParameters)
    funding_risk: FundingRiskParameters | None = field(default_factory=FundingRiskParameters)
    position_close: PositionCloseParameters | None = field(default_factory=PositionCloseParameters)
    book_top: BookTopParameters = field(default_factory=BookTopParameters)
    user: tuple[UserSignalParameters, ...] = ()


@dataclass(frozen=True)
class HostedParameters:
    """A strategy that runs beside the books of this feed: by name, or a class of the user's own in a Python file."""

    name: str
    instrument_index: int
    parameters: Mapping[str, object] = field(default_factory=dict)
    file: str = ""
    class_name: str = ""


@dataclass(frozen=True)
class FeedParameters:
    """What one feed is to do."""

    instruments: tuple[int, ...]  # the books it owns, by index
    pairs: tuple[tuple[int, int], ...] = ()  # every pair of the plan by pair_id: (open leg, hedge leg); ours are picked out
    feed_index: int = 0  # this one of the N: in every signal_id
    seed: int = 0  # of the jitter between reconnects; give every process another one
    books: BooksParameters = field(default_factory=BooksParameters)
    books_by_venue: Mapping[int, BooksParameters] = field(default_factory=dict)  # where a venue needs other ones
    sessions: SessionParameters = field(default_factory=SessionParameters)
    signals: SignalsParameters = field(default_factory=SignalsParameters)
    strategies: tuple[HostedParameters, ...] = ()
    first_strategy_index: int = 0  # numbers count through all feeds: prepost answers by number
