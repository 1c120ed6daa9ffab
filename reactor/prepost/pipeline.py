"""Stages composed by name, flattened once: at run time a pipeline is a tuple of functions and nothing else.

A pre stage looks at a decision and says 0 (go on) or a reason (stop; counted and logged). A post stage looks at an outcome
the same way. A stage of your own is a class in a file that the configuration names, registered with `@pre_stage` or
`@post_stage`.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from mypy_extensions import mypyc_attr

from reactor.domain.errors import ConfigError
from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, Reason

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.orders import Order
    from reactor.prepost.pairs import Pair
    from reactor.prepost.terms import Terms

PASS: Final = int(Reason.NONE)
STEPS: Final = 1  # An order has moved on, and nothing else has happened.
ENDS: Final = 2  # An order is settled, without a fill.
FILLS: Final = 4  # A fill was booked, or its fee.
EVERYTHING: Final = STEPS | ENDS | FILLS


class Decision:
    """One order that somebody wants. Reused: `clear` before filling it."""

    __slots__ = (
        "ask_ticks",
        "attempt",
        "base_e8",
        "bid_ticks",
        "event",
        "exchange_ns",
        "flags",
        "is_close",
        "is_fast",
        "is_opening",
        "is_quote",
        "lane",
        "leg",
        "notional_e8",
        "now_ns",
        "order",
        "order_type",
        "origin_ns",
        "pair",
        "pair_id",
        "pair_sequence",
        "price_ticks",
        "quantity_lots",
        "reference_ticks",
        "side",
        "signal_id",
        "skips_cooldown",
        "stages",
        "strategy_index",
        "terms",
        "through_ticks",
        "time_in_force",
    )

    terms: Terms
    order: Order | None
    pair: Pair | None

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing decided."""
        self.now_ns = 0
        self.origin_ns = 0  # when the frame behind it left the socket; 0: not from a signal
        self.event = 0  # event_kind_e
        self.signal_id = 0
        self.exchange_ns = 0
        self.stages: Any = None  # (receive, signal, event) stamps of the message that caused it; None: only `origin_ns`
        self.pair = None
        self.pair_id = NO_PAIR
        self.pair_sequence = 0
        self.strategy_index = 0
        self.leg = 0
        self.side = 0
        self.quantity_lots = 0
        self.base_e8 = 0  # quantity in 1e-8 of the base asset, unsigned
        self.notional_e8 = 0  # at the reference price
        self.price_ticks = 0  # 0 before construction: to be priced from the book; 0 after it: a market order
        self.through_ticks = 0  # how far through the opposite touch a priced order may go
        self.reference_ticks = 0  # what to price from if there is no book (hedges only)
        self.bid_ticks = 0
        self.ask_ticks = 0
        self.order_type = 0
        self.time_in_force = 0
        self.flags = 0
        self.attempt = 0
        self.is_opening = False  # it may enlarge a position
        self.is_fast = False  # hedge, unwind, close: skips age, cooldown, pending and capital limits
        self.is_close = False
        self.is_quote = False
        self.skips_cooldown = False
        self.lane = 0
        self.order = None


class Outcome:
    """What one report did to one order. Reused."""

    __slots__ = (
        "asset",
        "event",
        "exchange_ns",
        "fee_e8",
        "fee_only_lots",
        "fee_quote_e8",
        "fill_lots",
        "flags",
        "instrument_index",
        "is_fee_only",
        "is_foreign",
        "is_lite",
        "is_settled",
        "order",
        "pair",
        "price_ticks",
        "realised_e8",
        "reason",
        "side",
        "signal_id",
        "state_from",
        "terms",
        "trade_id",
        "venue_order_id",
        "venue_realised_e8",
        "way",
    )

    terms: Terms
    order: Order | None
    pair: Pair | None

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing happened."""
        self.order = None
        self.pair = None
        self.instrument_index = NO_INSTRUMENT
        self.event = -1
        self.state_from = 0
        self.reason = 0
        self.is_settled = False
        self.fill_lots = 0
        self.side = 0
        self.price_ticks = 0
        self.trade_id = 0
        self.venue_order_id = 0
        self.fee_e8 = 0
        self.asset = ""
        self.is_fee_only = False
        self.fee_only_lots = 0
        self.is_foreign = False
        self.is_lite = False  # seen early: fee and realised profit follow with the whole report
        self.fee_quote_e8 = 0
        self.realised_e8 = 0
        self.venue_realised_e8 = 0
        self.flags = 0
        self.exchange_ns = 0
        self.signal_id = 0
        self.way = b""  # the stamps of the report (messages.WAY), as the bytes that they are; empty: it was no report

    @property
    def receive_ns(self) -> int:
        """When the report left the socket; 0: it was no report."""
        return int.from_bytes(self.way[-8:], "little")


@mypyc_attr(allow_interpreted_subclasses=True)
class PreStage(ABC):
    """One station before an order exists."""

    name: ClassVar[str]
    runs_on_fast_path: ClassVar[bool] = True

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @abstractmethod
    def run(self, decision: Decision) -> int:
        """0: go on. A reason_e: stop."""

    def glance(self, decision: Decision) -> None:  # noqa: B027 (a stage of a user's own need not)
        """Reads what `run` would read, so that it is warm when it is wanted, and changes nothing but the decision."""


@mypyc_attr(allow_interpreted_subclasses=True)
class PostStage(ABC):
    """One station after the venue has spoken."""

    name: ClassVar[str]
    hears: ClassVar[int] = EVERYTHING  # which outcomes it is called for

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @abstractmethod
    def run(self, outcome: Outcome) -> int:
        """0: go on. A reason_e: stop."""


RunPre = Callable[[Decision], int]
Glance = Callable[[Decision], None]
RunPost = Callable[[Outcome], int]
PRE_STAGES: dict[str, type[PreStage]] = {}
POST_STAGES: dict[str, type[PostStage]] = {}
PreClass = TypeVar("PreClass", bound=type[PreStage])
PostClass = TypeVar("PostClass", bound=type[PostStage])


def pre_stage(stage: PreClass) -> PreClass:
    """Registers a pre stage under its name."""
    PRE_STAGES[stage.name] = stage
    return stage


def post_stage(stage: PostClass) -> PostClass:
    """Registers a post stage under its name."""
    POST_STAGES[stage.name] = stage
    return stage


def run_file(path: str) -> None:
    """Executes a user's file, so that what it registers is registered.

    Raises:
        ConfigError: there is no such file, or it raises.
    """
    spec = importlib.util.spec_from_file_location(f"crypto_trade_user_{abs(hash(path))}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: not a Python file")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from error


def compose_pre(names: Sequence[str], desk: Desk) -> tuple[tuple[RunPre, ...], tuple[RunPre, ...], tuple[Glance, ...]]:
    """(all stages, the stages of the fast path, what all stages look at) as functions.

    Raises:
        ConfigError: a name is not registered.
    """
    stages = [_find(PRE_STAGES, name, "pre")(desk) for name in names]
    runs, fast = tuple(stage.run for stage in stages), tuple(stage.run for stage in stages if stage.runs_on_fast_path)
    return runs, fast, tuple(stage.glance for stage in stages)


def compose_post(names: Sequence[str], desk: Desk) -> tuple[tuple[RunPost, ...], tuple[RunPost, ...], tuple[RunPost, ...]]:
    """The post stages as functions: (those that hear of steps, of ends, of fills).

    Raises:
        ConfigError: a name is not registered.
    """
    stages = [_find(POST_STAGES, name, "post")(desk) for name in names]
    steps, ends, fills = (tuple(stage.run for stage in stages if stage.hears & kind) for kind in (STEPS, ENDS, FILLS))
    return steps, ends, fills


Registered = TypeVar("Registered")


def _find(registry: dict[str, Registered], name: str, kind: str) -> Registered:
    if name not in registry:
        raise ConfigError(f"prepost pipeline: no {kind} stage {name!r}; there are {', '.join(sorted(registry))}")
    return registry[name]
