"""Triggers by name: which ones the plan wants → objects, bound pair by pair where they belong to a pair."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from reactor.collector.triggers.hedge import HedgeTrigger
from reactor.collector.triggers.mt import MTTrigger
from reactor.collector.triggers.mt_close import MTCloseTrigger
from reactor.collector.triggers.parameters import MTCloseParameters, MTParameters
from reactor.collector.triggers.quotes import (
    QuoteTrigger,
    StrategyCancelTrigger,
    StrategyHaltTrigger,
    StrategyOrderTrigger,
)
from reactor.collector.triggers.trigger import ANY_INSTRUMENT, Arguments, Priority, Trigger, TriggerContext
from reactor.domain.errors import ConfigError
from reactor.domain.messages import SignalType
from reactor.loop.user_file import load_class, make


@dataclass(frozen=True)
class UserTrigger:
    """A trigger of the user's own: a file, a class in it, and what its constructor gets beside the context."""

    file: str
    class_name: str
    parameters: Arguments = field(default_factory=dict)


@dataclass(frozen=True)
class TriggersParameters:
    """Which triggers run, and how they are set."""

    names: tuple[str, ...] = ("hedge", "mt_close", "strategy_cancel", "strategy_halt", "mt", "quotes", "strategy_order")
    mt: MTParameters = field(default_factory=MTParameters)
    mt_close: MTCloseParameters = field(default_factory=MTCloseParameters)
    users: tuple[UserTrigger, ...] = ()


@dataclass(frozen=True)
class PlannedTrigger:
    """One trigger object with its number in the plan."""

    trigger: Trigger
    index: int
    is_user: bool


Maker = Callable[[TriggersParameters, TriggerContext], tuple[Trigger, ...]]

BUILT_IN: Final[Mapping[str, Maker]] = {
    "hedge": lambda parameters, context: (HedgeTrigger(),),
    "mt": lambda parameters, context: tuple(
        MTTrigger(parameters.mt, pair_id, *legs) for pair_id, legs in enumerate(context.pairs)
    ),
    "mt_close": lambda parameters, context: tuple(
        MTCloseTrigger(parameters.mt_close, pair_id, *legs) for pair_id, legs in enumerate(context.pairs)
    ),
    "quotes": lambda parameters, context: (QuoteTrigger(),),
    "strategy_order": lambda parameters, context: (StrategyOrderTrigger(),),
    "strategy_cancel": lambda parameters, context: (
        StrategyCancelTrigger(Priority.URGENT),
        StrategyCancelTrigger(Priority.NORMAL),
    ),
    "strategy_halt": lambda parameters, context: (StrategyHaltTrigger(),),
}


def plan_triggers(parameters: TriggersParameters, context: TriggerContext) -> tuple[PlannedTrigger, ...]:
    """Every trigger object of the plan; the built-in ones first, in the order of `names`, then the user's.

    Raises:
        ConfigError: with everything that is wrong, at once.
    """
    planned: list[PlannedTrigger] = []
    problems: list[str] = []
    if len(set(parameters.names)) < len(parameters.names):
        problems.append(f"triggers: a name stands twice in {', '.join(parameters.names)}")
    for index, name in enumerate(parameters.names):
        maker = BUILT_IN.get(name)
        if maker is None:
            problems.append(f"triggers: no trigger is called {name!r}; there are {', '.join(BUILT_IN)}")
            continue
        planned += (PlannedTrigger(trigger, index, False) for trigger in maker(parameters, context))
    for number, user in enumerate(parameters.users):
        try:
            planned.append(PlannedTrigger(_user_trigger(user, context), len(parameters.names) + number, True))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tuple(planned)


def _user_trigger(user: UserTrigger, context: TriggerContext) -> Trigger:
    found = load_class(user.file, user.class_name, Trigger)  # type: ignore[type-abstract]  # It is what we ask of the class.
    trigger = make(user.file, found, user.parameters, context)
    what = f"{user.file}: {user.class_name}"
    try:
        bindings = tuple(trigger.bindings())
    except Exception as error:
        raise ConfigError(f"{what}: bindings() failed: {type(error).__name__}: {error}") from error
    if not bindings:
        raise ConfigError(f"{what}: bindings() names no signal; the trigger would never be evaluated")
    for binding in bindings:
        if not 0 <= binding.signal_type < SignalType.TYPES_MAX:
            raise ConfigError(f"{what}: no signal type {binding.signal_type}; use SignalType or SignalType.USER + n")
        if binding.instrument_index != ANY_INSTRUMENT and not 0 <= binding.instrument_index < len(context.instruments):
            raise ConfigError(f"{what}: no instrument {binding.instrument_index}; there are {len(context.instruments)}")
    if trigger.priority not in tuple(Priority):
        raise ConfigError(f"{what}: priority must be Priority.NORMAL or Priority.URGENT, not {trigger.priority!r}")
    return trigger
