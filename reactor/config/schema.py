"""The whole config as types: four sections, every key known, every unit in its name.

    exchanges      where the venues are, who we are there, how many sessions
    risk_control   what must not happen
    strategy       what to trade, which signals and triggers, when to open and close a pair
    system         the house itself: instance, placement, restarts, log, files

The rooms' own parameter dataclasses are composed here; nobody left of this file has heard of a config file. Unknown keys
and wrong types are refused by pydantic, impossible combinations by `contradictions`.
"""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from reactor.collector.external import ExternalParameters, problems_of
from reactor.collector.triggers.registry import BUILT_IN, TriggersParameters
from reactor.config.placement import PlacementParameters
from reactor.config.system import LogParameters, MetricsParameters, RestartParameters, SimulatedParameters, StopParameters
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import VENUE_NAMES
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
from reactor.prepost.risk import RISK_RULES
from reactor.strategies.registry import strategy_parameters

UNITS = frozenset(("ms", "s", "us", "ns", "mb", "usdt", "ticks", "attempts", "copies", "port"))

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


def contradictions(config: Config) -> list[str]:
    """What each value allows and all together do not. One sentence each, with the remedy."""
    problems: list[str] = []
    binance = config.exchanges.binance
    for number, pair in enumerate(config.strategy.pairs):
        for leg, name in (("open", pair.open), ("hedge", pair.hedge)):
            path = f"strategy.pairs.{number}.{leg}"
            venue, colon, symbol = name.partition(":")
            if not colon or not symbol:
                problems.append(f"{path}: {name!r} is no instrument; write venue:SYMBOL, for example binance_spot:BTCUSDT")
            elif venue not in VENUE_NAMES:
                problems.append(f"{path}: no venue is called {venue!r}; there are {', '.join(VENUE_NAMES)}")
            elif venue not in binance.venues:
                problems.append(f"{path}: {venue} is not in exchanges.binance.venues; add it there")
        try:
            config.strategy.pair_terms.model_validate({**config.strategy.pair_terms.model_dump(), **pair.terms})
        except ValidationError as error:
            for each in error.errors():
                problems.append(f"strategy.pairs.{number}.terms.{'.'.join(map(str, each['loc']))}: {each['msg']}")
        if pair.open == pair.hedge:
            problems.append(f"strategy.pairs.{number}: a leg cannot hedge itself; give two instruments")
    problems += _shared_legs(config.strategy.pairs)
    problems += [
        f"strategy.external: {each.removeprefix('external signals: ')}" for each in problems_of(config.strategy.external)
    ]
    for number, hosted in enumerate(config.strategy.hosted):
        problems += _hosted_problems(config, f"strategy.hosted.{number}", hosted)
    for number, bot in enumerate(config.strategy.live_bots):
        problems += _live_bot_problems(config, number, bot)
    for name in binance.venues:
        if name not in VENUE_NAMES:
            problems.append(f"exchanges.binance.venues: no venue is called {name!r}; there are {', '.join(VENUE_NAMES)}")
    for name in binance.addresses:
        if name not in VENUE_NAMES:
            problems.append(f"exchanges.binance.addresses: no venue is called {name!r}; there are {', '.join(VENUE_NAMES)}")
    simulated = binance.simulated
    if simulated.source not in ("generator", "replay", "live"):
        problems.append(f"exchanges.binance.simulated.source: {simulated.source!r}; use generator, replay or live")
    if simulated.source == "live" and simulated.speed != 1.0:
        problems.append("exchanges.binance.simulated.speed: a live market has its own speed; leave it at 1")
    if simulated.source == "replay" and not simulated.replay_paths and binance.environment == "simulated":
        problems.append("exchanges.binance.simulated.replay_paths: empty; name capture files (or run with --replay PATH)")
    if not simulated.speed > 0:
        problems.append("exchanges.binance.simulated.speed: must be greater than 0")
    if not config.strategy.settlement.asks_funding and (binance.environment != "simulated" or config.strategy.pairs):
        problems.append("strategy.settlement.asks_funding: funding must be booked where it is paid; leave it true")
    if config.system.log.level not in ("debug", "info", "warning", "error"):
        problems.append(f"system.log.level: {config.system.log.level!r}; use debug, info, warning or error")
    if config.system.placement.wait not in ("auto", "block", "hybrid", "spin"):
        problems.append(f"system.placement.wait: {config.system.placement.wait!r}; use auto, block, hybrid or spin")
    problems += _impossible_amounts(config.model_dump())
    if not config.risk_control.rule_files:
        for name in config.risk_control.rules:
            if name not in RISK_RULES:
                problems.append(f"risk_control.rules: no rule is called {name!r}; there are {', '.join(sorted(RISK_RULES))}")
    for name in config.strategy.triggers.names:
        if name not in BUILT_IN:
            problems.append(f"strategy.triggers.names: no trigger is called {name!r}; there are {', '.join(BUILT_IN)}")
    files = [("risk_control.rule_files", config.risk_control.rule_files)]
    files.append(("strategy.pipeline.stage_files", config.strategy.pipeline.stage_files))
    files.append(("strategy.triggers.users", tuple(each.file for each in config.strategy.triggers.users)))
    files.append(("strategy.signals.user", tuple(each.file for each in config.strategy.signals.user)))
    for path, names in files:
        problems += [f"{path}: {name}: no such file" for name in names if not Path(name).expanduser().is_file()]
    legs = {name for pair in config.strategy.pairs for name in (pair.open, pair.hedge)}
    fed = [name for group in config.system.feeds for name in group]
    for name in sorted({name for name in fed if fed.count(name) > 1}):
        problems.append(f"system.feeds: {name} is in two feeds; one feed owns a book")
    known = legs | set(fed) | {hosted.instrument for hosted in config.strategy.hosted}
    known |= {name for bot in config.strategy.live_bots for name in bot.instruments}
    wanted = [("strategy.signals.book_top_instruments", name) for name in config.strategy.signals.book_top_instruments]
    for number, signal in enumerate(config.strategy.signals.user):
        path = f"strategy.signals.user.{number}"
        wanted += [(f"{path}.instrument", signal.instrument)]
        wanted += [(f"{path}.hedge_instrument", signal.hedge_instrument)] if signal.hedge_instrument else []
    for path, name in wanted:
        if name not in known:
            problems.append(
                f"{path}: no feed has {name!r}; there are {', '.join(sorted(known)) or 'none'} (or add it to a feed)"
            )
    if config.system.feeds:
        for name in sorted(legs - set(fed)):
            problems.append(f"system.feeds: no feed has {name}, which a pair needs; add it")
        for pair in config.strategy.pairs:
            if not any(pair.open in group and pair.hedge in group for group in config.system.feeds):
                problems.append(f"system.feeds: {pair.open} and {pair.hedge} are one pair; put them into the same feed")
    return problems


def _shared_legs(pairs: tuple[ArbitragePair, ...]) -> list[str]:
    """A leg belongs to one pair: signals are kept by instrument, and a forced fill could not be given to either."""
    problems: list[str] = []
    owner: dict[str, int] = {}
    for number, pair in enumerate(pairs):
        for name in dict.fromkeys((pair.open, pair.hedge)):
            if name in owner:
                problems.append(
                    f"strategy.pairs.{number}: {name} is a leg of strategy.pairs.{owner[name]} already; a leg belongs to one "
                    "pair: take one of them out, or trade it in another instance with an account of its own"
                )
            owner.setdefault(name, number)
    return problems


def _impossible_amounts(node: Any, path: str = "") -> list[str]:
    """Durations, counts and limits that are below zero. What may be negative (a spread, a rate) has a name without a unit."""
    if isinstance(node, dict):
        dot = "." if path else ""
        return [each for key, value in node.items() for each in _impossible_amounts(value, f"{path}{dot}{key}")]
    if isinstance(node, list | tuple):
        return [each for number, value in enumerate(node) for each in _impossible_amounts(value, f"{path}.{number}")]
    if isinstance(node, bool) or not isinstance(node, int | float) or node >= 0:
        return []
    words = {word for part in path.split(".") for word in part.split("_")}
    is_limit = path.startswith("risk_control.") and not path.startswith("risk_control.options.")
    return [f"{path}: {node} is below zero; give 0 or more"] if is_limit or words & UNITS else []


def _live_bot_problems(config: Config, number: int, bot: LiveBot) -> list[str]:
    """What is wrong with one live bot."""
    path, problems = f"strategy.live_bots.{number}", []
    fed = [name for group in config.system.feeds for name in group]
    for name in bot.instruments:
        venue, colon, symbol = name.partition(":")
        if not colon or not symbol or venue not in config.exchanges.binance.venues:
            problems.append(f"{path}.instruments: {name!r} is no instrument of exchanges.binance.venues")
        if fed and name not in fed:
            problems.append(f"system.feeds: no feed has {name}, which {bot.name} trades; add it")
    if not bot.instruments:
        problems.append(f"{path}.instruments: empty; name what {bot.name} trades, in the order of its asset numbers")
    if len(set(bot.instruments)) < len(bot.instruments):
        problems.append(f"{path}.instruments: an instrument stands there twice; an asset number is one instrument")
    problems += [f"{path}.roi: {name} is none of its instruments" for name in bot.roi if name not in bot.instruments]
    if [each.name for each in config.strategy.live_bots].index(bot.name) < number:
        problems.append(f"{path}.name: there is a live bot {bot.name!r} already")
    if not Path(bot.file).expanduser().is_file():
        problems.append(f"{path}.file: {bot.file}: no such file")
    if bot.clock_speed != 1.0 and config.exchanges.binance.environment != "simulated":
        problems.append(f"{path}.clock_speed: a real market has its own speed; leave it at 1")
    return problems


def _hosted_problems(config: Config, path: str, hosted: HostedStrategy) -> list[str]:
    """What is wrong with one hosted strategy."""
    problems = []
    venue, colon, symbol = hosted.instrument.partition(":")
    if not colon or not symbol or venue not in config.exchanges.binance.venues:
        problems.append(f"{path}.instrument: {hosted.instrument!r} is no instrument of exchanges.binance.venues")
    fed = [name for group in config.system.feeds for name in group]
    if fed and hosted.instrument not in fed:
        problems.append(f"system.feeds: no feed has {hosted.instrument}, which {hosted.name} trades; add it")
    if hosted.file:
        if not hosted.class_name:
            problems.append(f"{path}.class_name: which class of {hosted.file}?")
        return problems
    try:
        strategy_parameters(hosted.name, hosted.parameters)
    except ConfigError as error:
        problems += [f"{path}: {each}" for each in error.problems]
    return problems
