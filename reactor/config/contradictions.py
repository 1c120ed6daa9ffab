"""What each value of a config allows and all together do not: sentences, each with its remedy.

Pure but for one question: whether a file that the config names is there. The types themselves are schema.py's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reactor.collector.external import problems_of
from reactor.collector.triggers.registry import BUILT_IN
from reactor.config.schema import ArbitragePair, Config, Exchange, HostedStrategy, LiveBot, System
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import VENUE_NAMES
from reactor.prepost.risk import RISK_RULES
from reactor.strategies.registry import strategy_parameters

UNITS = frozenset(("ms", "s", "us", "ns", "mb", "usdt", "ticks", "attempts", "copies", "port"))


def contradictions(config: Config) -> list[str]:
    """All of them, in the order in which somebody mends a config: what is traded, where, by which rules, from which feed."""
    binance, strategy = config.exchanges.binance, config.strategy
    return [
        *(each for number in range(len(strategy.pairs)) for each in _wrong_pair(config, number)),
        *_shared_legs(strategy.pairs),
        *(f"strategy.external: {each.removeprefix('external signals: ')}" for each in problems_of(strategy.external)),
        *(each for number, hosted in enumerate(strategy.hosted) for each in _wrong_hosted(config, number, hosted)),
        *(each for number, bot in enumerate(strategy.live_bots) for each in _wrong_live_bot(config, number, bot)),
        *_unknown_venues(binance),
        *_wrong_simulation(binance),
        *_unbooked_funding(config),
        *_unknown_words(config.system),
        *_impossible_amounts(config.model_dump()),
        *_unknown_rules(config),
        *_unknown_triggers(config),
        *_missing_files(config),
        *_books_of_two_feeds(config),
        *_signals_without_a_feed(config),
        *_pairs_without_a_feed(config),
    ]


# -- what is traded ----------------------------------------------------------------------------------------------


def _wrong_pair(config: Config, number: int) -> Iterator[str]:
    """Legs that are no instruments of ours, terms that prepost refuses."""
    path, pair = f"strategy.pairs.{number}", config.strategy.pairs[number]
    for leg, name in (("open", pair.open), ("hedge", pair.hedge)):
        venue, colon, symbol = name.partition(":")
        if not colon or not symbol:
            yield f"{path}.{leg}: {name!r} is no instrument; write venue:SYMBOL, for example binance_spot:BTCUSDT"
        elif venue not in VENUE_NAMES:
            yield f"{path}.{leg}: no venue is called {venue!r}; there are {', '.join(VENUE_NAMES)}"
        elif venue not in config.exchanges.binance.venues:
            yield f"{path}.{leg}: {venue} is not in exchanges.binance.venues; add it there"
    try:
        config.strategy.pair_terms.model_validate({**config.strategy.pair_terms.model_dump(), **pair.terms})
    except ValidationError as error:
        for each in error.errors():
            yield f"{path}.terms.{'.'.join(map(str, each['loc']))}: {each['msg']}"
    if pair.open == pair.hedge:
        yield f"{path}: a leg cannot hedge itself; give two instruments"


def _shared_legs(pairs: tuple[ArbitragePair, ...]) -> Iterator[str]:
    """A leg belongs to one pair: signals are kept by instrument, and a forced fill could not be given to either."""
    owner: dict[str, int] = {}
    for number, pair in enumerate(pairs):
        for name in dict.fromkeys((pair.open, pair.hedge)):
            if name in owner:
                yield (
                    f"strategy.pairs.{number}: {name} is a leg of strategy.pairs.{owner[name]} already; a leg belongs to one "
                    "pair: take one of them out, or trade it in another instance with an account of its own"
                )
            owner.setdefault(name, number)


def _wrong_hosted(config: Config, number: int, hosted: HostedStrategy) -> Iterator[str]:
    """An instrument that nobody has, a strategy that nobody knows or that refuses its parameters."""
    path = f"strategy.hosted.{number}"
    if not _is_tradable(config, hosted.instrument):
        yield f"{path}.instrument: {hosted.instrument!r} is no instrument of exchanges.binance.venues"
    yield from _left_out_by_feeds(config, hosted.instrument, hosted.name)
    if hosted.file:
        if not hosted.class_name:
            yield f"{path}.class_name: which class of {hosted.file}?"
        return
    try:
        strategy_parameters(hosted.name, hosted.parameters)
    except ConfigError as error:
        yield from (f"{path}: {each}" for each in error.problems)


def _wrong_live_bot(config: Config, number: int, bot: LiveBot) -> Iterator[str]:
    """Instruments that nobody has or that stand there twice, a name that is taken, a file that is not there."""
    path = f"strategy.live_bots.{number}"
    for name in bot.instruments:
        if not _is_tradable(config, name):
            yield f"{path}.instruments: {name!r} is no instrument of exchanges.binance.venues"
        yield from _left_out_by_feeds(config, name, bot.name)
    if not bot.instruments:
        yield f"{path}.instruments: empty; name what {bot.name} trades, in the order of its asset numbers"
    if len(set(bot.instruments)) < len(bot.instruments):
        yield f"{path}.instruments: an instrument stands there twice; an asset number is one instrument"
    yield from (f"{path}.roi: {name} is none of its instruments" for name in bot.roi if name not in bot.instruments)
    if [each.name for each in config.strategy.live_bots].index(bot.name) < number:
        yield f"{path}.name: there is a live bot {bot.name!r} already"
    if not Path(bot.file).expanduser().is_file():
        yield f"{path}.file: {bot.file}: no such file"
    if bot.clock_speed != 1.0 and config.exchanges.binance.environment != "simulated":
        yield f"{path}.clock_speed: a real market has its own speed; leave it at 1"


def _is_tradable(config: Config, name: str) -> bool:
    venue, _, symbol = name.partition(":")
    return bool(symbol) and venue in config.exchanges.binance.venues


def _left_out_by_feeds(config: Config, name: str, trader: str) -> Iterator[str]:
    """Who names feeds names them all."""
    fed = _fed(config)
    if fed and name not in fed:
        yield f"system.feeds: no feed has {name}, which {trader} trades; add it"


# -- where, and by which rules -----------------------------------------------------------------------------------


def _unknown_venues(binance: Exchange) -> Iterator[str]:
    for path, names in (("venues", binance.venues), ("addresses", tuple(binance.addresses))):
        for name in names:
            if name not in VENUE_NAMES:
                yield f"exchanges.binance.{path}: no venue is called {name!r}; there are {', '.join(VENUE_NAMES)}"


def _wrong_simulation(binance: Exchange) -> Iterator[str]:
    path, simulated = "exchanges.binance.simulated", binance.simulated
    if simulated.source not in ("generator", "replay", "live"):
        yield f"{path}.source: {simulated.source!r}; use generator, replay or live"
    if simulated.source == "live" and simulated.speed != 1.0:
        yield f"{path}.speed: a live market has its own speed; leave it at 1"
    if simulated.source == "replay" and not simulated.replay_paths and binance.environment == "simulated":
        yield f"{path}.replay_paths: empty; name capture files (or run with --replay PATH)"
    if not simulated.speed > 0:
        yield f"{path}.speed: must be greater than 0"


def _unbooked_funding(config: Config) -> Iterator[str]:
    can_be_paid = config.exchanges.binance.environment != "simulated" or bool(config.strategy.pairs)
    if can_be_paid and not config.strategy.settlement.asks_funding:
        yield "strategy.settlement.asks_funding: funding must be booked where it is paid; leave it true"


def _unknown_words(system: System) -> Iterator[str]:
    if system.log.level not in ("debug", "info", "warning", "error"):
        yield f"system.log.level: {system.log.level!r}; use debug, info, warning or error"
    if system.placement.wait not in ("auto", "block", "hybrid", "spin"):
        yield f"system.placement.wait: {system.placement.wait!r}; use auto, block, hybrid or spin"


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


def _unknown_rules(config: Config) -> Iterator[str]:
    if config.risk_control.rule_files:
        return  # They may bring rules that are not known before prepost has read them.
    for name in config.risk_control.rules:
        if name not in RISK_RULES:
            yield f"risk_control.rules: no rule is called {name!r}; there are {', '.join(sorted(RISK_RULES))}"


def _unknown_triggers(config: Config) -> Iterator[str]:
    for name in config.strategy.triggers.names:
        if name not in BUILT_IN:
            yield f"strategy.triggers.names: no trigger is called {name!r}; there are {', '.join(BUILT_IN)}"


def _missing_files(config: Config) -> Iterator[str]:
    strategy = config.strategy
    named = {
        "risk_control.rule_files": config.risk_control.rule_files,
        "strategy.pipeline.stage_files": strategy.pipeline.stage_files,
        "strategy.triggers.users": [each.file for each in strategy.triggers.users],
        "strategy.signals.user": [each.file for each in strategy.signals.user],
    }
    for path, files in named.items():
        yield from (f"{path}: {file}: no such file" for file in files if not Path(file).expanduser().is_file())


# -- from which feed ---------------------------------------------------------------------------------------------


def _fed(config: Config) -> list[str]:
    """The instruments that system.feeds names, as often as it does; none: the house makes the feeds itself."""
    return [name for group in config.system.feeds for name in group]


def _legs(config: Config) -> set[str]:
    return {name for pair in config.strategy.pairs for name in (pair.open, pair.hedge)}


def _books_of_two_feeds(config: Config) -> Iterator[str]:
    fed = _fed(config)
    for name in sorted({name for name in fed if fed.count(name) > 1}):
        yield f"system.feeds: {name} is in two feeds; one feed owns a book"


def _signals_without_a_feed(config: Config) -> Iterator[str]:
    """Signals about an instrument that nobody listens to."""
    strategy = config.strategy
    known = _legs(config) | set(_fed(config)) | {hosted.instrument for hosted in strategy.hosted}
    known |= {name for bot in strategy.live_bots for name in bot.instruments}
    wanted = [("strategy.signals.book_top_instruments", name) for name in strategy.signals.book_top_instruments]
    for number, signal in enumerate(strategy.signals.user):
        path = f"strategy.signals.user.{number}"
        wanted.append((f"{path}.instrument", signal.instrument))
        if signal.hedge_instrument:
            wanted.append((f"{path}.hedge_instrument", signal.hedge_instrument))
    for path, name in wanted:
        if name not in known:
            yield f"{path}: no feed has {name!r}; there are {', '.join(sorted(known)) or 'none'} (or add it to a feed)"


def _pairs_without_a_feed(config: Config) -> Iterator[str]:
    """Both legs of a pair meet in one feed; where the house makes the feeds they do."""
    feeds = config.system.feeds
    if not feeds:
        return
    for name in sorted(_legs(config) - set(_fed(config))):
        yield f"system.feeds: no feed has {name}, which a pair needs; add it"
    for pair in config.strategy.pairs:
        if not any(pair.open in group and pair.hedge in group for group in feeds):
            yield f"system.feeds: {pair.open} and {pair.hedge} are one pair; put them into the same feed"
