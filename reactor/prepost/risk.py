"""Risk rules behind one small interface, chained, fail-fast. A user's own rule is a class in a file:

    from reactor.prepost.risk import RiskRule, risk_rule
    from reactor.domain.messages import Reason

    @risk_rule
    class NotOnSundays(RiskRule):
        name = "not_on_sundays"

        def check(self, decision):
            is_sunday = (self.desk.wall_ns // 86_400_000_000_000 + 4) % 7 == 0
            return Reason.STAGE_REFUSED if is_sunday and decision.is_opening else 0

Name the file in `rule_files` and the rule in `rules`. A rule reads the desk (positions, quota, equity: the same state that
the live risk metrics show) and never changes it. Each says on its class whether hedges and unwinds must pass it, and
whether it wants the decision before it is priced or the order as it would go out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from mypy_extensions import mypyc_attr

from reactor.domain.errors import ConfigError
from reactor.domain.messages import FLAG_REDUCE_ONLY, EventKind, Reason
from reactor.domain.units import E8
from reactor.prepost.kill_switch import HALTED, RUNNING
from reactor.prepost.parameters import RiskParameters

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.pipeline import Decision

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
SURELY: Final = 0.999  # What holds for doubles with this much to spare holds for the integers, too.

NONE: Final = int(Reason.NONE)
COOLDOWN: Final = int(Reason.COOLDOWN)
CAPITAL_LIMIT: Final = int(Reason.CAPITAL_LIMIT)
PENDING_ORDERS: Final = int(Reason.PENDING_ORDERS)
TOTAL_EXPOSURE: Final = int(Reason.TOTAL_EXPOSURE)
DAILY_TRADES: Final = int(Reason.DAILY_TRADES)
MARGIN_RATIO: Final = int(Reason.MARGIN_RATIO)
PRICE_COLLAR: Final = int(Reason.PRICE_COLLAR)
ORDER_NOTIONAL: Final = int(Reason.ORDER_NOTIONAL)
ORDER_RATE: Final = int(Reason.ORDER_RATE)
DAILY_LOSS: Final = int(Reason.DAILY_LOSS)
KILL_SWITCH: Final = int(Reason.KILL_SWITCH)
STAGE_REFUSED: Final = int(Reason.STAGE_REFUSED)
SYMBOL_HALTED: Final = int(Reason.SYMBOL_HALTED)
NOT_RECONCILED: Final = int(Reason.NOT_RECONCILED)
NO_SESSION: Final = int(Reason.NO_SESSION)
NO_INVENTORY: Final = int(Reason.NO_INVENTORY)
BACKPRESSURE: Final = int(Reason.BACKPRESSURE)
EVENT_CLOSE: Final = int(EventKind.CLOSE)


@mypyc_attr(allow_interpreted_subclasses=True)
class RiskRule(ABC):
    """One reason to say no."""

    name: ClassVar[str]
    checks_fast_path: ClassVar[bool] = False  # True: hedges, unwinds and closes must pass it, too
    checks_order: ClassVar[bool] = False  # True: called once the price stands; False: before

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        self.desk = desk
        self.parameters = parameters
        self.options = parameters.options.get(self.name, {})

    @abstractmethod
    def check(self, decision: Decision) -> int:
        """0, or the reason_e why not."""


RISK_RULES: dict[str, type[RiskRule]] = {}
RuleClass = TypeVar("RuleClass", bound=type[RiskRule])


def risk_rule(rule: RuleClass) -> RuleClass:
    """Registers a rule under its name."""
    RISK_RULES[rule.name] = rule
    return rule


Check = Callable[["Decision"], int]


@dataclass(frozen=True)
class RuleChains:
    """The rules as functions, by when and for whom they run."""

    decision: tuple[Check, ...]
    decision_fast: tuple[Check, ...]
    decision_uncovered: tuple[Check, ...]  # what is left to ask once `covers` has said yes
    order: tuple[Check, ...]
    order_fast: tuple[Check, ...]
    order_ours: tuple[Check, ...]  # of `order`, those of the house: they only compare
    covers: Callable[[Decision], bool]


def compose_rules(desk: Desk, parameters: RiskParameters) -> RuleChains:
    """The chain that the parameters name.

    Raises:
        ConfigError: a rule is not registered, or its constructor refuses its options.
    """
    rules: list[RiskRule] = []
    for name in parameters.rules:
        if name not in RISK_RULES:
            raise ConfigError(f"risk rules: no rule {name!r}; there are {', '.join(sorted(RISK_RULES))}")
        try:
            rules.append(RISK_RULES[name](desk, parameters))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"risk rule {name!r}: {type(error).__name__}: {error}") from error
    checks = [(rule, rule.check if type(rule).__module__ == __name__ else _guarded(rule, desk)) for rule in rules]
    return RuleChains(
        decision=tuple(check for rule, check in checks if not rule.checks_order),
        decision_fast=tuple(check for rule, check in checks if not rule.checks_order and rule.checks_fast_path),
        decision_uncovered=tuple(check for rule, check in checks if not rule.checks_order and type(rule) not in COVERED),
        order=tuple(check for rule, check in checks if rule.checks_order),
        order_fast=tuple(check for rule, check in checks if rule.checks_order and rule.checks_fast_path),
        order_ours=tuple(check for rule, check in checks if rule.checks_order and type(rule).__module__ == __name__),
        covers=Cover(desk, parameters).covers,
    )


def _guarded(rule: RiskRule, desk: Desk) -> Check:
    """A user's rule that raises says no to what opens, and lets through what makes an exposure smaller; it ends nothing."""
    failures: list[str] = []

    def check(decision: Decision) -> int:
        try:
            return rule.check(decision)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            if what not in failures:
                failures.append(what)
                desk.log.error("a risk rule of yours raises; nothing opens until it is mended", rule=rule.name, error=what)
            return STAGE_REFUSED if decision.is_opening else NONE

    return check


def e8_of(amount: float) -> int:
    """A parameter in quote units as 1e-8 units."""
    return round(amount * E8)


@mypyc_attr(allow_interpreted_subclasses=True)
class KillSwitchRule(RiskRule):
    """RUNNING: all. REDUCE_ONLY: nothing that opens. HALTED: hedges and unwinds only. Halted instruments likewise.

    A quote opens, even if it would reduce the position of now: it rests, and another fill may be faster.
    """

    name = "kill_switch"
    checks_fast_path = True

    def check(self, decision: Decision) -> int:
        switch = self.desk.kill_switch
        if switch.is_halted[decision.terms.index] and not (decision.is_fast and not decision.is_opening):
            return SYMBOL_HALTED
        if switch.state == RUNNING:
            return NONE
        if decision.is_opening or decision.is_quote:
            return KILL_SWITCH
        if switch.state == HALTED and not decision.is_fast:
            return KILL_SWITCH
        return NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class ReconciledRule(RiskRule):
    """Nothing opens before our books and the venue's agree, or while a private session is down."""

    name = "reconciled"

    def check(self, decision: Decision) -> int:
        if not decision.is_opening:
            return NONE
        desk = self.desk
        if not desk.is_session_up[decision.terms.venue]:
            return NO_SESSION
        pair = decision.pair
        if pair is not None and not desk.is_session_up[pair.hedge.venue]:
            return NO_SESSION  # An opened leg that cannot be hedged is a naked leg.
        return NONE if desk.is_reconciled else NOT_RECONCILED


@mypyc_attr(allow_interpreted_subclasses=True)
class JournalRule(RiskRule):
    """What cannot be written down is not begun: a journal that is slow, full or dead lets nothing open."""

    name = "journal"

    def check(self, decision: Decision) -> int:
        return BACKPRESSURE if decision.is_opening and self.desk.journal_trouble else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class DailyLossRule(RiskRule):
    """Stops opening after a bad day; the desk pulls REDUCE_ONLY when it sees the same number."""

    name = "daily_loss"

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._loss_e8_max = e8_of(parameters.daily_loss_usdt_max)

    def check(self, decision: Decision) -> int:
        return DAILY_LOSS if decision.is_opening and self.desk.money.daily_pnl_e8 <= -self._loss_e8_max else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class CooldownRule(RiskRule):
    """A pause per instrument between accepted opens. Grids and a maker leg's re-quotes do not wait."""

    name = "cooldown"

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._cooldown_ns = int(parameters.cooldown_s * SECOND)

    def check(self, decision: Decision) -> int:
        if not decision.is_opening or decision.is_quote or decision.skips_cooldown:
            return NONE
        opened_ns = self.desk.opened_ns[decision.terms.index]
        return COOLDOWN if opened_ns and decision.now_ns - opened_ns < self._cooldown_ns else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class PendingOrdersRule(RiskRule):
    """Live orders per instrument. What reduces passes: a stop loss does not wait for the grid that it has withdrawn."""

    name = "pending_orders"

    def check(self, decision: Decision) -> int:
        if not decision.is_opening and decision.flags & FLAG_REDUCE_ONLY:
            return NONE
        pending = self.desk.quota.of[decision.terms.index].pending_orders
        limit = self.parameters.quotes_max if decision.is_quote else self.parameters.pending_orders_max
        return PENDING_ORDERS if pending >= limit else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class CapitalRule(RiskRule):
    """Capital per instrument: the position at cost, what live orders reserve, and this order."""

    name = "capital"

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._capital_e8_max = e8_of(parameters.capital_usdt_max)

    def check(self, decision: Decision) -> int:
        if not decision.is_opening:
            return NONE
        desk, index = self.desk, decision.terms.index
        used_e8 = desk.positions[index].capital_e8 + desk.quota.of[index].capital_e8
        return CAPITAL_LIMIT if used_e8 + decision.notional_e8 > self._capital_e8_max else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class DailyTradesRule(RiskRule):
    """Orders that traded today, and live ones that may."""

    name = "daily_trades"

    def check(self, decision: Decision) -> int:
        return DAILY_TRADES if decision.is_opening and self.desk.trades_today >= self.parameters.daily_trades_max else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class TotalExposureRule(RiskRule):
    """|net delta| over equity, this order's own delta included: it is ours until it is hedged."""

    name = "total_exposure"

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._ratio_e8_max = e8_of(parameters.exposure_ratio_max)

    def check(self, decision: Decision) -> int:
        if not decision.is_opening:
            return NONE
        desk = self.desk
        delta_e8 = abs(desk.money.net_exposure_e8 + decision.side * decision.notional_e8)
        return TOTAL_EXPOSURE if delta_e8 * E8 > desk.money.equity_e8 * self._ratio_e8_max else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class MarginRatioRule(RiskRule):
    """Futures wallet and unrealised PnL over the gross notional of futures, this decision's futures leg included."""

    name = "margin_ratio"

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._ratio_e8_min = e8_of(parameters.margin_ratio_min)

    def check(self, decision: Decision) -> int:
        if not decision.is_opening:
            return NONE
        terms = decision.terms
        futures = terms if terms.is_perpetual else decision.pair.hedge if decision.pair is not None else None
        if futures is None:
            return NONE
        desk = self.desk
        gross_e8 = desk.money.futures_gross_e8[futures.venue] + decision.notional_e8
        return MARGIN_RATIO if desk.money.futures_equity_e8[futures.venue] * E8 < gross_e8 * self._ratio_e8_min else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class InventoryRule(RiskRule):
    """Spot: we must own what the order gives away, less what live orders have claimed already."""

    name = "inventory"

    def check(self, decision: Decision) -> int:
        terms = decision.terms
        desk = self.desk
        if terms.is_perpetual or not decision.is_opening or terms.venue not in desk.balances.known_venues:
            return NONE
        if decision.side < 0:
            wallet, wanted_e8 = terms.base_key, decision.base_e8
        else:
            wallet, wanted_e8 = terms.quote_key, decision.notional_e8
        free_e8 = desk.balances.expected.get(wallet, 0) - desk.quota.claimed.get(wallet, 0)
        return NO_INVENTORY if wanted_e8 > free_e8 else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class PriceCollarRule(RiskRule):
    """No order reaches further beyond the opposite touch than this, whoever sent it. A passive price is harmless."""

    name = "price_collar"
    checks_fast_path = True
    checks_order = True

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._ratio_e8 = e8_of(parameters.price_collar_ratio)

    def check(self, decision: Decision) -> int:
        bid, ask, price = decision.bid_ticks, decision.ask_ticks, decision.price_ticks
        if price == 0:  # A market order takes what there is: allowed while the book itself is within the collar.
            return PRICE_COLLAR if bid <= 0 or ask <= 0 or (ask - bid) * E8 > bid * self._ratio_e8 else NONE
        if decision.side > 0:
            return PRICE_COLLAR if price > ask > 0 and (price - ask) * E8 > ask * self._ratio_e8 else NONE
        return PRICE_COLLAR if price < bid and (bid - price) * E8 > bid * self._ratio_e8 else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class OrderNotionalRule(RiskRule):
    """The largest single order. Hedges and unwinds are as large as what they undo."""

    name = "order_notional"
    checks_order = True

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._notional_e8_max = e8_of(parameters.order_notional_usdt_max)

    def check(self, decision: Decision) -> int:
        return ORDER_NOTIONAL if decision.is_opening and decision.notional_e8 > self._notional_e8_max else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class OrderRateRule(RiskRule):
    """Orders per venue and window, kept below the venue's own limit; a share of it is the hedges' alone."""

    name = "order_rate"
    checks_fast_path = True
    checks_order = True

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        super().__init__(desk, parameters)
        self._window_ns = parameters.order_rate_window_ms * MS
        rates = parameters.order_rates_max
        self._fast_max = rates
        self._max = tuple(int(rate * (1 - parameters.order_rate_hedge_share)) for rate in rates)

    def check(self, decision: Decision) -> int:
        venue = decision.terms.venue
        sent = self.desk.sent_ns[venue]
        limit = self._fast_max[venue] if decision.is_fast else self._max[venue]
        if len(sent) < limit:
            return NONE  # Those that are older than the window are too few to matter.
        horizon_ns = decision.now_ns - self._window_ns
        while sent and sent[0] <= horizon_ns:
            sent.popleft()
        return ORDER_RATE if len(sent) >= limit else NONE


COVERED: Final = frozenset(
    {
        KillSwitchRule,
        ReconciledRule,
        JournalRule,
        DailyLossRule,
        CooldownRule,
        PendingOrdersRule,
        CapitalRule,
        DailyTradesRule,
        TotalExposureRule,
        MarginRatioRule,
        InventoryRule,
    }
)


class Cover:
    """One look for the many decisions that no rule minds.

    `covers` compares what the rules in COVERED compare, in one go. Its yes means that each of them says yes (a test holds it
    to that); its no means nothing: then the rules are asked in their order, and the first no is the answer. A reason comes
    from a rule and from nowhere else. So products that no integer of a machine holds are compared as doubles here, and a
    thousandth early (SURELY).
    """

    def __init__(self, desk: Desk, parameters: RiskParameters) -> None:
        self._desk = desk
        self._cooldown_ns = int(parameters.cooldown_s * SECOND)
        self._quotes_max = parameters.quotes_max
        self._pending_orders_max = parameters.pending_orders_max
        self._loss_e8_max = e8_of(parameters.daily_loss_usdt_max)
        self._capital_e8_max = e8_of(parameters.capital_usdt_max)
        self._daily_trades_max = parameters.daily_trades_max
        self._exposure_ratio_max = e8_of(parameters.exposure_ratio_max) / E8  # as the rules have it
        self._margin_ratio_min = e8_of(parameters.margin_ratio_min) / E8

    def covers(self, decision: Decision) -> bool:
        """True: every rule in COVERED lets this decision pass."""
        desk, terms = self._desk, decision.terms
        index, switch = terms.index, desk.kill_switch
        if switch.state != RUNNING or switch.is_halted[index]:
            return False
        quota = desk.quota.of[index]
        if quota.pending_orders >= (self._quotes_max if decision.is_quote else self._pending_orders_max):
            return False
        if not decision.is_opening:
            return True
        venue, pair = terms.venue, decision.pair
        if not desk.is_reconciled or desk.journal_trouble or not desk.is_session_up[venue]:
            return False
        futures = terms if terms.is_perpetual else None
        if pair is not None:
            if not desk.is_session_up[pair.hedge.venue]:
                return False
            if futures is None:
                futures = pair.hedge
        opened_ns = desk.opened_ns[index]
        if opened_ns and not decision.is_quote and decision.now_ns - opened_ns < self._cooldown_ns:
            return False
        money, notional_e8, side = desk.money, decision.notional_e8, decision.side
        if money.daily_pnl_e8 <= -self._loss_e8_max or desk.trades_today >= self._daily_trades_max:
            return False
        value = desk.positions[index].value
        used_e8 = quota.capital_e8 + notional_e8
        if value:
            used_e8 += abs(value * terms.tick_numerator // terms.tick_denominator)
        if used_e8 > self._capital_e8_max:
            return False
        exposure = float(abs(money.net_exposure_e8 + side * notional_e8))
        if exposure > SURELY * float(money.equity_e8) * self._exposure_ratio_max:
            return False
        if futures is not None:
            gross = float(money.futures_gross_e8[futures.venue] + notional_e8)
            equity = float(money.futures_equity_e8[futures.venue])
            if equity < 0.0 or SURELY * equity < gross * self._margin_ratio_min:
                return False
        if terms.is_perpetual or venue not in desk.balances.known_venues:
            return True
        if side < 0:
            wallet, wanted_e8 = terms.base_key, decision.base_e8
        else:
            wallet, wanted_e8 = terms.quote_key, notional_e8
        return wanted_e8 <= desk.balances.expected.get(wallet, 0) - desk.quota.claimed.get(wallet, 0)


for _rule in (
    KillSwitchRule,
    ReconciledRule,
    JournalRule,
    DailyLossRule,
    CooldownRule,
    PendingOrdersRule,
    CapitalRule,
    DailyTradesRule,
    TotalExposureRule,
    MarginRatioRule,
    InventoryRule,
    PriceCollarRule,
    OrderNotionalRule,
    OrderRateRule,
):
    risk_rule(_rule)
