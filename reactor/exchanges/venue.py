"""The questions a venue answers, and the words of the answers.

A venue folder (binance/) holds the answers: pure objects that turn commands into bytes and bytes into reports. The engine
knows only this page, so another venue is another folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from reactor.market.sync import SyncRule


class KeyKind(IntEnum):
    """How a key signs."""

    HMAC = 0
    ED25519 = 1


@dataclass(frozen=True, repr=False)
class Credentials:
    """One API key. Its repr, and so every log line and traceback, never shows a secret.

    `secret` is the HMAC secret, or an Ed25519 private key in PEM (PKCS#8). `passphrase` is for venues that ask for one.
    """

    api_key: str
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)

    @property
    def kind(self) -> KeyKind:
        """Told by the secret's own form."""
        return KeyKind.ED25519 if "-----BEGIN" in self.secret else KeyKind.HMAC

    def __repr__(self) -> str:
        shown = f"{self.api_key[:4]}…" if len(self.api_key) > 8 else "…"
        return f"Credentials(api_key={shown}, kind={self.kind.name}, secret hidden)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        # Pickling is how a secret would travel into a file or another process unseen.
        raise TypeError("credentials are not to be pickled: hand them over by environment or file")


@dataclass(frozen=True)
class Endpoints:
    """Where one venue is reached. Base addresses without a trailing slash.

    Streams are at `{public_url}/ws/<stream>`, `{public_url}/stream?streams=…` and so on.
    """

    venue: int
    rest_url: str
    orders_url: str  # the WebSocket API, complete
    public_url: str  # book and trade streams
    market_url: str  # mark price, funding and other derived streams
    private_url: str  # user data where it is not on orders_url; "" otherwise


class RateLimitKind(IntEnum):
    """What a limit counts."""

    WEIGHT = 0  # request weight, per address
    ORDERS = 1  # placed orders, per account
    REQUESTS = 2  # raw requests, per address


@dataclass(frozen=True)
class RateLimit:
    """`limit` units of `kind` per window of `interval_ms`."""

    kind: RateLimitKind
    interval_ms: int
    limit: int


class Outcome(IntEnum):
    """What an error answer means for the request: what its sender may do next."""

    NO_EFFECT = 0  # terminal: certainly nothing happened
    UNKNOWN = 1  # it may have happened: look the order up by client id before anything else
    NO_EFFECT_WAIT = 2  # nothing happened; back off before the next try
    FATAL = 3  # nothing happened, and nothing will until a human acts (key, signature, ban)
    SUCCESS = 4  # "already so": the wanted state is reached


@dataclass(frozen=True)
class Verdict:
    """An error answer, classified. `reason` is a domain Reason."""

    reason: int
    outcome: Outcome


class OrderKind(IntEnum):
    """Which request of the order codec an answer belongs to."""

    PLACE = 0
    CANCEL = 1
    QUERY = 2


@dataclass(slots=True)
class Answer:
    """One answer of the order socket or of REST, decoded but not yet interpreted."""

    request_number: int  # ours, echoed; -1: none
    status: int  # HTTP status
    result: Any = None
    error_code: int = 0
    error_text: str = ""
    retry_at_ms: int = 0  # venue wall clock: not before (429, 418); 0: not said
    is_event: bool = False  # not an answer at all: something the venue says by itself


@dataclass(frozen=True)
class RestCall:
    """A REST request as the codec makes it: signed, complete, still without the network's timeout."""

    method: str
    url: str
    headers: Mapping[str, str]
    weight: int = 1
    body: bytes = b""


@dataclass(frozen=True)
class OpenOrder:
    """One open order as the venue lists it: enough to cancel it."""

    symbol: str
    client_order_id: str
    venue_order_id: int


@dataclass(frozen=True)
class AccountPermissions:
    """What the key may do, as far as the venue tells."""

    can_trade: bool
    can_withdraw: bool
    is_known: bool = True


class UserEvent(IntEnum):
    """What a frame of the user stream was, once its reports are written."""

    REPORTS = 0  # zero or more reports were written
    ANSWER = 1  # the answer to a request of ours on the same socket (take it from `answer`)
    EXPIRED = 2  # this stream is dead: open a new one
    SHUTDOWN = 3  # the server goes down: open a new connection at once
    UNKNOWN = 4  # an event nobody has told us about: counted
    MALFORMED = 5  # not the venue's protocol: counted
    ALARM = 6  # known, no report, and the trader must hear of it (margin call)


class ReportSink(Protocol):
    """Where codecs write reports. `begin` hands out a view with header, ids and stamps filled; None: not wanted."""

    def begin(self, kind: int, client_order_id: str, instrument_index: int, venue_order_id: int = 0) -> Any:
        """A report_message_t view to fill, or None if this report would say nothing new. Where the venue does not tell the
        client id ("") its own order id may find the order."""

    def commit(self) -> None:
        """Publishes the view handed out last."""


class OrderCodec(Protocol):
    """Requests about orders on one venue, and how to read the answers. Pure: time and numbers are arguments.

    `number` is the request number that the answer will echo, `timestamp_ms` now on the venue's clock. Where the venue's own id
    of an order is known (`venue_order_id` ≠ 0) it is preferred.
    """

    venue: int
    has_logon: bool  # True: a session logs on once, and its requests carry no signature
    place_window_ms: int
    window_ms: int

    def logon_frame(self, number: int, timestamp_ms: int) -> bytes: ...

    def subscribe_frame(self, number: int, timestamp_ms: int) -> bytes: ...

    def place_frame(self, number: int, command: Any, client_order_id: bytes, timestamp_ms: int) -> bytes: ...

    def cancel_frame(
        self, number: int, symbol: str, client_order_id: bytes, timestamp_ms: int, venue_order_id: int = 0
    ) -> bytes: ...

    def query_frame(
        self, number: int, symbol: str, client_order_id: bytes, timestamp_ms: int, venue_order_id: int = 0
    ) -> bytes: ...

    def place_call(self, command: Any, client_order_id: bytes, timestamp_ms: int) -> RestCall: ...

    def cancel_call(self, symbol: str, client_order_id: str, timestamp_ms: int, venue_order_id: int = 0) -> RestCall: ...

    def query_call(self, symbol: str, client_order_id: str, timestamp_ms: int, venue_order_id: int = 0) -> RestCall: ...

    def read_answer(self, payload: bytes | memoryview) -> Answer: ...

    def read_response(self, status: int, headers: Mapping[str, str], body: bytes, venue_ms: int) -> Answer: ...

    def classify(self, answer: Answer) -> Verdict: ...

    def write_order(self, result: Mapping[str, Any], report: Any) -> int:
        """Fills an order's fields from a place, cancel or query result; returns the order_status."""


class UserCodec(Protocol):
    """The private event stream of one venue."""

    has_listen_key: bool  # True: the stream is opened with a key got over REST; False: it lives on the WebSocket API
    answer: Answer | None

    def read(self, payload: bytes | memoryview, sink: ReportSink) -> UserEvent: ...


@dataclass(frozen=True)
class StreamOptions:
    """Which public streams of an instrument to take."""

    has_tickers: bool = True  # best bid and ask, in real time
    has_depth: bool = True
    has_trades: bool = True
    has_marks: bool = True  # mark price and funding rate, where the venue has them
    depth_interval_ms: int = 100  # how often the venue sends deltas; 0: in real time where it offers that


@dataclass(frozen=True)
class Stream:
    """One public stream of one symbol."""

    name: str  # the venue's: btcusdt@bookTicker
    symbol: str
    frame_kind: int  # what comes on it: market.intake.FrameKind
    is_derived: bool = False  # lives on `market_url` instead of `public_url`


class MarketCodec(Protocol):
    """Public market data of one venue: what to ask for, and in which words. Frames themselves are read in C (market/intake)."""

    venue: int
    sync_rule: SyncRule
    messages_per_second_max: int  # of ours, on one connection, pings included
    streams_max: int  # on one connection
    names_per_frame_max: int  # in one subscription frame
    connection_life_ns: int  # the venue cuts after this
    weight_per_minute: int  # what one address may ask for, all its processes together

    def streams(self, symbol: str, options: StreamOptions) -> tuple[Stream, ...]: ...

    def stream_url(self, endpoints: Endpoints, is_derived: bool) -> str: ...

    def subscribe_frame(self, number: int, names: Sequence[str]) -> bytes: ...

    def unsubscribe_frame(self, number: int, names: Sequence[str]) -> bytes: ...

    def snapshot_call(self, endpoints: Endpoints, symbol: str, depth: int) -> RestCall: ...

    def time_call(self, endpoints: Endpoints) -> RestCall: ...

    def read_time(self, body: bytes) -> int:
        """The venue's time in ms. Raises RemoteProtocolError."""

    def wait_after(self, status: int, headers: Mapping[str, str]) -> int:
        """How long to ask nothing after such an answer, in ns; 0: it was no limit."""

    def used_weight(self, headers: Mapping[str, str]) -> int:
        """Weight that this address has used in the venue's current minute, as an answer says; 0: it does not say."""


def secrets_of(credentials: Sequence[Credentials]) -> frozenset[str]:
    """Every string that must never appear in a log: for tests and for the log's own filter."""
    return frozenset(text for key in credentials for text in (key.secret, key.passphrase) if text)
