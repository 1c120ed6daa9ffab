"""Strategies by name, and a user's own from a file: name + parameters → an object. The one list for live and backtest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from reactor.domain.errors import ConfigError
from reactor.strategies.obi_market_making import ObiMarketMaking, ObiParameters
from reactor.strategies.strategy import KernelStrategy, Scale


@dataclass(frozen=True)
class Known:
    """One strategy of the house."""

    parameters: type[Any]  # a frozen dataclass; its __post_init__ refuses with ValueError
    make: Callable[[int, Scale, Any], KernelStrategy]


BUILT_IN: Final[Mapping[str, Known]] = {"obi-mm": Known(ObiParameters, ObiMarketMaking)}


def known_strategy(name: str) -> Known:
    """Raises ConfigError if there is none of that name."""
    known = BUILT_IN.get(name)
    if known is None:
        raise ConfigError(f"no strategy is called {name!r}; there are {', '.join(BUILT_IN)}")
    return known


def strategy_parameters(name: str, given: Mapping[str, object]) -> Any:
    """The strategy's own parameters from plain values.

    Raises:
        ConfigError: unknown names, wrong types, impossible values.
    """
    wanted = known_strategy(name).parameters
    kinds = {each.name: type(each.default) for each in fields(wanted)}
    unknown = sorted(set(given) - set(kinds))
    if unknown:
        raise ConfigError(f"{name}: no parameter is called {', '.join(unknown)}; there are {', '.join(kinds)}")
    values: dict[str, Any] = {}
    for key, value in given.items():
        kind = kinds[key]
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if kind is int and isinstance(value, float) and value.is_integer():
            value, is_whole = int(value), True
        if not (is_whole or (kind is float and isinstance(value, float))):
            raise ConfigError(f"{name}: {key}: {value!r} is no {'whole number' if kind is int else 'number'}")
        values[key] = float(value) if kind is float else value  # type: ignore[arg-type]
    try:
        return wanted(**values)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


def make_strategy(name: str, instrument_index: int, scale: Scale, given: Mapping[str, object]) -> KernelStrategy:
    """A strategy of the house, ready to be asked.

    Raises:
        ConfigError: there is no such strategy, or its parameters cannot be on this instrument.
    """
    parameters = strategy_parameters(name, given)
    try:
        return known_strategy(name).make(instrument_index, scale, parameters)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
