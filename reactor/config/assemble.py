"""Config + instruments + host → plan. Pure: the same three give the same plan.

Names become indexes here: the rooms know instruments by number only.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reactor.collector.parameters import CollectorParameters
from reactor.config.placement import Host, Place, PlacementParameters, place
from reactor.config.plan import Plan, RolePlan, ShardPlan, links_of, rows_of
from reactor.config.schema import Config, LiveBot
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import NO_INSTRUMENT
from reactor.engine.role import EngineParameters
from reactor.exchanges.venue import Endpoints, RateLimit
from reactor.feed.parameters import FeedParameters, HostedParameters, SignalsParameters, UserSignalParameters
from reactor.feed.signals.parameters import BookTopParameters
from reactor.live_bot.parameters import AssetParameters, LiveBotParameters
from reactor.loop.log import Level
from reactor.prepost.parameters import PairParameters, PrepostParameters

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Venues:
    """Where the venues are, and how much one may ask of them (by venue)."""

    endpoints: tuple[Endpoints, ...]
    rate_limits: tuple[tuple[int, tuple[RateLimit, ...]], ...]


def symbols_by_venue(config: Config) -> dict[str, list[str]]:
    """Which symbols of which venue the session needs, each once, in the order of the config."""
    names = [name for pair in config.strategy.pairs for name in (pair.open, pair.hedge)]
    names += [hosted.instrument for hosted in config.strategy.hosted]
    names += [name for bot in config.strategy.live_bots for name in bot.instruments]
    names += [name for group in config.system.feeds for name in group]
    found: dict[str, list[str]] = {venue: [] for venue in config.exchanges.binance.venues}
    for name in names:
        venue, _, symbol = name.partition(":")
        if symbol not in found[venue]:
            found[venue].append(symbol)
    return found


def feed_groups(config: Config) -> list[tuple[str, ...]]:
    """Instrument names by feed: as configured, otherwise one feed per pair (both legs must meet in one process) and one per
    instrument that only a strategy wants."""
    if config.system.feeds:
        return list(config.system.feeds)
    groups: list[tuple[str, ...]] = [(pair.open, pair.hedge) for pair in config.strategy.pairs]
    wanted = [hosted.instrument for hosted in config.strategy.hosted]
    wanted += [name for bot in config.strategy.live_bots for name in bot.instruments]
    for name in wanted:
        if not any(name in group for group in groups):
            groups.append((name,))
    return groups


def role_kinds(config: Config) -> list[tuple[str, str]]:
    """(name, kind) of every role, in start order."""
    kinds = [(name, name) for name in ("journal", "engine", "prepost", "collector")]
    kinds += [(f"feed-{number}", "feed") for number in range(len(feed_groups(config)))]
    return kinds + [(f"bot-{bot.name}", "live_bot") for bot in config.strategy.live_bots]


def assemble(
    config: Config,
    instruments: Instruments,
    endpoints: Sequence[Endpoints],
    rate_limits: Mapping[int, Sequence[RateLimit]],
    host: Host,
    directory: str,
    make_bell: Callable[[str], int],
    generation: int = 0,
) -> Plan:
    """The whole plan. `make_bell` gives the eventfd of a shard: the same for the same shard every time.

    Raises:
        ConfigError: a wish about placement cannot be met, or a room refuses its parameters.
    """
    venues = Venues(tuple(endpoints), tuple((venue, tuple(limits)) for venue, limits in rate_limits.items()))
    pairs = pair_indexes(config, instruments)
    places = places_of(config, host)
    roles = tuple(_role_plans(config, instruments, pairs, venues))
    return Plan(
        instance=config.system.instance,
        generation=generation,
        directory=directory,
        home=str(config.system.home),
        order_id_prefix=config.system.order_id_prefix,
        dedicated_account=config.exchanges.binance.dedicated_account,
        is_simulated=config.exchanges.binance.environment == "simulated",
        instruments=tuple(instruments),
        pairs=pairs,
        endpoints=venues.endpoints,
        rate_limits=venues.rate_limits,
        roles=roles,
        shards=tuple(_shard_plan(each, make_bell(each.shard), config.system.placement) for each in places),
        links=links_of(roles),
        rows=rows_of(roles, len(instruments)),
        log_level=Level[config.system.log.level.upper()],
        has_topic=True,
        notes=tuple(f"{each.shard}: {describe(each.core, each.wait_policy.name.lower())}; {each.reason}" for each in places),
    )


# -- where each role runs ----------------------------------------------------------------------------------------


def places_of(config: Config, host: Host) -> list[Place]:
    """One place per shard, in start order.

    Raises:
        ConfigError: a wish about placement cannot be met.
    """
    try:
        places = place(role_kinds(config), host, config.system.placement)
    except ValueError as error:
        raise ConfigError(f"system.{error}") from None
    bots = {f"bot-{bot.name}" for bot in config.strategy.live_bots}
    for each in places:
        if len(each.roles) > 1 and not bots.isdisjoint(each.roles):
            raise ConfigError(f"system.placement.colocate: a live bot has a process of its own; take it out of {each.shard}")
    return places


def _shard_plan(chosen: Place, bell: int, wishes: PlacementParameters) -> ShardPlan:
    return ShardPlan(
        chosen.shard, chosen.roles, chosen.core, chosen.wait_policy, wishes.hybrid_spin_us, bell, wishes.rehearsal_us
    )


def describe(core: int | None, wait: str) -> str:
    """Where a shard runs, for reading."""
    return f"{'any core' if core is None else f'core {core}'}, {wait}"


# -- what each role is told --------------------------------------------------------------------------------------


def pair_indexes(config: Config, instruments: Instruments) -> Pairs:
    """By pair_id: (open leg, hedge leg)."""
    return tuple(
        (instruments.by_name(pair.open).instrument_index, instruments.by_name(pair.hedge).instrument_index)
        for pair in config.strategy.pairs
    )


def _role_plans(config: Config, instruments: Instruments, pairs: Pairs, venues: Venues) -> Iterator[RolePlan]:
    """In start order. Strategies are numbered through all feeds and live bots."""
    groups = iter(enumerate(feed_groups(config)))
    bots = iter(config.strategy.live_bots)
    strategies = 0
    for index, (name, kind) in enumerate(role_kinds(config)):
        parameters: Any
        own: tuple[int, ...] = ()
        hosted = 0
        match kind:
            case "journal":
                parameters = config.system.journal
            case "engine":
                parameters = _engine(config, venues, source=index)
            case "prepost":
                parameters = _prepost(config, instruments, pairs)
            case "collector":
                parameters = _collector(config, pairs)
            case "feed":
                number, names = next(groups)
                parameters = _feed(config, instruments, pairs, number, names, first_strategy_index=strategies)
                own, hosted = parameters.instruments, len(parameters.strategies)
            case "live_bot":
                parameters = _live_bot(next(bots), instruments, strategy_index=strategies)
                own, hosted = tuple(asset.instrument_index for asset in parameters.assets), 1
            case _:
                raise AssertionError(f"no room is called {kind}")
        yield RolePlan(name, kind, index, pickle.dumps(parameters), own, hosted)
        strategies += hosted


def _engine(config: Config, venues: Venues, source: int) -> EngineParameters:
    binance = config.exchanges.binance
    return EngineParameters(
        endpoints=venues.endpoints,
        order_id_prefix=config.system.order_id_prefix,
        rate_limits=venues.rate_limits,
        source=source,
        dedicated_account=binance.dedicated_account,
        connections=binance.order_sessions,
        router=binance.routing,
        **binance.orders.model_dump(),
    )


def _prepost(config: Config, instruments: Instruments, pairs: Pairs) -> PrepostParameters:
    strategy = config.strategy
    parameters = PrepostParameters(
        order_id_prefix=config.system.order_id_prefix,
        pairs=tuple(
            PairParameters(*legs, **{**strategy.pair_terms.model_dump(), **pair.terms})
            for legs, pair in zip(pairs, strategy.pairs, strict=True)
        ),
        pipeline=strategy.pipeline,
        risk=config.risk_control,
        construction=strategy.construction,
        inquiry=strategy.inquiry,
        settlement=strategy.settlement,
    )
    parameters.check(instruments)
    return parameters


def _collector(config: Config, pairs: Pairs) -> CollectorParameters:
    return CollectorParameters(pairs=pairs, triggers=config.strategy.triggers, external=config.strategy.external)


def _feed(
    config: Config, instruments: Instruments, pairs: Pairs, number: int, names: tuple[str, ...], first_strategy_index: int
) -> FeedParameters:
    binance = config.exchanges.binance
    return FeedParameters(
        instruments=tuple(instruments.by_name(name).instrument_index for name in names),
        pairs=pairs,
        feed_index=number,
        seed=number,
        books=binance.books,
        books_by_venue={VENUE_NAMES.index(venue): books for venue, books in binance.books_by_venue.items()},
        sessions=binance.feed_sessions,
        signals=_signals(config, instruments, names),
        strategies=tuple(
            HostedParameters(
                each.name, instruments.by_name(each.instrument).instrument_index, each.parameters, each.file, each.class_name
            )
            for each in config.strategy.hosted
            if each.instrument in names
        ),
        first_strategy_index=first_strategy_index,
    )


def _signals(config: Config, instruments: Instruments, names: tuple[str, ...]) -> SignalsParameters:
    """The signals that a feed with these instruments says."""
    wanted = config.strategy.signals

    def index_of(name: str) -> int:
        return instruments.by_name(name).instrument_index if name else NO_INSTRUMENT

    return SignalsParameters(
        adaptive_spread=wanted.adaptive_spread,
        fixed_spread=wanted.fixed_spread,
        funding_direction=wanted.funding_direction,
        funding_risk=wanted.funding_risk,
        position_close=wanted.position_close,
        book_top=BookTopParameters(
            tuple(index_of(name) for name in wanted.book_top_instruments if name in names),
            wanted.book_top_refresh_ms,
            wanted.book_top_every_update,
        ),
        user=tuple(
            UserSignalParameters(
                each.file, each.class_name, index_of(each.instrument), index_of(each.hedge_instrument), each.parameters
            )
            for each in wanted.user
            if each.instrument in names
        ),
    )


def _live_bot(bot: LiveBot, instruments: Instruments, strategy_index: int) -> LiveBotParameters:
    parameters = LiveBotParameters(
        name=bot.name,
        file=str(Path(bot.file).expanduser().resolve()),
        function=bot.function,
        assets=tuple(
            AssetParameters(instruments.by_name(name).instrument_index, *bot.roi.get(name, (0.0, 0.0)))
            for name in bot.instruments
        ),
        parameters=bot.parameters,
        strategy_index=strategy_index,
        orders_max=bot.orders_max,
        trades_kept=bot.trades_kept,
        records_kept=bot.records_kept,
        clock_speed=bot.clock_speed,
    )
    parameters.check(instruments)
    return parameters
