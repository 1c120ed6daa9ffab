"""The whole config as types: four sections, every key known, every unit in its name.

    exchanges      where the venues are, who we are there, how many sessions
    risk_control   what must not happen
    strategy       what to trade, which signals and triggers, when to open and close a pair
    system         the house itself: instance, placement, restarts, log, files

The rooms' own parameter dataclasses are composed here; nobody left of this file has heard of a config file. Unknown keys
and wrong types are refused by pydantic, impossible combinations by contradictions.py.
"""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from reactor.collector.external import ExternalParameters
from reactor.collector.triggers.registry import TriggersParameters
from reactor.config.placement import PlacementParameters
from reactor.config.system import LogParameters, MetricsParameters, RestartParameters, SimulatedParameters, StopParameters
from reactor.engine.parameters import ConnectionParameters, RouterParameters
from reactor.engine.role import EngineParameters
from reactor.feed.parameters import BooksParameters, SessionParameters
from reactor.feed.signals.parameters import (
    AdaptiveSpreadParameters,
    FixedSpreadParameters,
    FundingDirectionParameters,
    FundingRiskParameters,
    PositionCloseParameters,
)
from reactor.journal.role import JournalParameters
from reactor.live_bot.parameters import LiveBotParameters
from reactor.prepost.parameters import (
    ConstructionParameters,
    InquiryParameters,
    PairParameters,
    PipelineParameters,
    RiskParameters,
    SettlementParameters,
)

Environment = Literal["simulated", "paper", "live", "demo", "testnet"]


class Strict(BaseModel):
    """Nothing is converted, nothing is ignored, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    declared_in: ClassVar[type | None] = None


if TYPE_CHECKING:

    class PairTerms(Strict):
        """How one pair is traded: prepost's PairParameters without its two legs."""

    class OrderTerms(Strict):
        """How requests are sent: EngineParameters without what the house fills in."""
else:

    def _without(name: str, room: type, left_out: tuple[str, ...]) -> type:
        """A room's own dataclass less what nobody types into a config: one declaration, one set of defaults."""
        hints = get_type_hints(room)
        model = create_model(
            name,
            __base__=Strict,
            __doc__=room.__doc__,
            **{each.name: (hints[each.name], each.default) for each in fields(room) if each.name not in left_out},
        )
        model.declared_in = room  # where its comments stand (describe.py)
        return model

    PairTerms = _without("PairTerms", PairParameters, ("open_instrument_index", "hedge_instrument_index"))
    OrderTerms = _without(
        "OrderTerms",
        EngineParameters,
        ("endpoints", "order_id_prefix", "rate_limits", "source", "dedicated_account", "connections", "router"),
    )


class VenueAddresses(Strict):
    """Where one venue is reached, without trailing slashes."""

    rest_url: str
    orders_url: str
    public_url: str
    market_url: str
    private_url: str = ""


class Credentials(Strict):
    """Where the key is found. Never the key itself: a config file is copied, mailed and committed."""

    api_key_variable: str = "CRYPTO_TRADE_BINANCE_API_KEY"
    secret_variable: str = "CRYPTO_TRADE_BINANCE_SECRET"  # HMAC secret, or a private Ed25519 key in PEM
    file: str = ""  # instead: a file of mode 0600 with the two lines api_key: … and secret: …


class Exchange(Strict):
    """One company with its venues."""

    environment: Environment = "simulated"
    venues: tuple[str, ...] = ("binance_spot", "binance_usdm")
    addresses: dict[str, VenueAddresses] = Field(default_factory=dict)  # empty: what the environment means
    credentials: Credentials = Credentials()
    simulated: SimulatedParameters = SimulatedParameters()
    order_sessions: ConnectionParameters = ConnectionParameters()
    routing: RouterParameters = RouterParameters()
    orders: OrderTerms = OrderTerms()
    feed_sessions: SessionParameters = SessionParameters()
    books: BooksParameters = BooksParameters()
    books_by_venue: dict[str, BooksParameters] = Field(default_factory=dict)  # where a venue needs other ones
    dedicated_account: bool = False  # True: nobody else trades there, so account-wide cancels may be used


class Exchanges(Strict):
    """The companies."""

    binance: Exchange = Exchange()


class ArbitragePair(Strict):
    """Two legs: what is opened first, and what hedges it."""

    open: str  # binance_spot:BTCUSDT
    hedge: str  # binance_usdm:BTCUSDT
    terms: dict[str, Any] = Field(default_factory=dict)  # over strategy.pair_terms, for this pair only


class UserSignal(Strict):
    """A signal of the user's own: a subclass of reactor.feed.signals.signal.Signal in a Python file."""

    file: str
    class_name: str
    instrument: str
    hedge_instrument: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


class Signals(Strict):
    """Every signal of the house; null switches one off."""

    adaptive_spread: AdaptiveSpreadParameters | None = AdaptiveSpreadParameters()
    fixed_spread: FixedSpreadParameters | None = FixedSpreadParameters()
    funding_direction: FundingDirectionParameters | None = FundingDirectionParameters()
    funding_risk: FundingRiskParameters | None = FundingRiskParameters()
    position_close: PositionCloseParameters | None = PositionCloseParameters()
    book_top_instruments: tuple[str, ...] = ()  # BookTop costs a message per tick: only what somebody triggers on
    book_top_refresh_ms: int = 250
    book_top_every_update: bool = False  # each update by itself, none conflated: sockets wait where it is too much for the ring
    user: tuple[UserSignal, ...] = ()


class HostedStrategy(Strict):
    """A strategy that quotes on one instrument, run by the feed that owns its book."""

    name: str  # obi-mm, or any name with a file
    instrument: str  # binance_usdm:BTCUSDT
    parameters: dict[str, Any] = Field(default_factory=dict)
    file: str = ""  # a Python file of the user's own, and the class in it: Class(instrument_index, scale, **parameters)
    class_name: str = ""


class LiveBot(Strict):
    """A strategy written for hftbacktest, run unchanged in a process of its own (reactor/live_bot)."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")
    file: str  # a Python file; what it prints goes into the bot's .err file of the run directory
    function: str  # the @njit function in it: function(hbt, …)
    instruments: tuple[str, ...]  # by asset_no: binance_usdm:BTCUSDT
    roi: dict[str, tuple[float, float]] = Field(
        default_factory=dict
    )  # by instrument: prices between which depth arrays are kept
    parameters: dict[str, Any] = Field(default_factory=dict)  # the function's own, by name
    orders_max: int = LiveBotParameters.orders_max
    trades_kept: int = LiveBotParameters.trades_kept
    records_kept: int = LiveBotParameters.records_kept
    clock_speed: float = LiveBotParameters.clock_speed


class Strategy(Strict):
    """What to trade and when."""

    pairs: tuple[ArbitragePair, ...] = ()
    pair_terms: PairTerms = PairTerms()
    signals: Signals = Signals()
    triggers: TriggersParameters = TriggersParameters()
    hosted: tuple[HostedStrategy, ...] = ()
    live_bots: tuple[LiveBot, ...] = ()  # hftbacktest's strategies, unchanged
    external: ExternalParameters = ExternalParameters()
    pipeline: PipelineParameters = PipelineParameters()
    construction: ConstructionParameters = ConstructionParameters()
    inquiry: InquiryParameters = InquiryParameters()
    settlement: SettlementParameters = SettlementParameters()


class System(Strict):
    """The house itself."""

    instance: str = Field("default", pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")
    order_id_prefix: str = Field("ct", pattern=r"^[A-Za-z0-9]{2,6}$")
    directory: str = "runs"  # journal, log and reports of the instance are in a directory of its name below this one
    duration_s: float = Field(0, ge=0)  # 0: until told to stop
    flatten_after_duration: bool = False  # True: when duration_s is over, close every pair first
    feeds: tuple[tuple[str, ...], ...] = ()  # instruments by feed; empty: one feed per pair
    placement: PlacementParameters = PlacementParameters()
    restart: RestartParameters = RestartParameters()
    stop: StopParameters = StopParameters()
    journal: JournalParameters = JournalParameters()
    log: LogParameters = LogParameters()
    metrics: MetricsParameters = MetricsParameters()

    @property
    def home(self) -> Path:
        """Where this instance keeps its files."""
        return Path(self.directory) / self.instance


class Config(Strict):
    """Everything."""

    profile: str = "generated"
    exchanges: Exchanges = Exchanges()
    risk_control: RiskParameters = RiskParameters()
    strategy: Strategy
    system: System = System()
