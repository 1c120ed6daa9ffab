"""One after the other instead of by chance: every refusal, every split of a fill, a cut at every message.

The world's dice find combinations; these find that no single case was forgotten. Each runs in fine weather otherwise, and at
its end everything must add up.
"""

from typing import Any

import pytest
from scenario import MAKER, OURS, SPOT, USDM, Scenario, scenario

from reactor.domain.messages import ControlKind
from reactor.exchanges.binance import rules
from reactor.exchanges.venue import Outcome
from reactor.sim.events import Refusal
from reactor.sim.world.faults import SPOT_REFUSALS, USDM_REFUSALS
from reactor.sim.world.network import Line
from reactor.sim.world.time import SECOND

SYMBOL = "BTCUSDT"
# A venue that refuses the key itself ends trading by design: nothing can be cancelled or asked with it any more.
ENDS_TRADING = frozenset(
    code for line in rules.LINES.values() for code, verdict in line.codes.items() if verdict.outcome is Outcome.FATAL
)


def refusals(venue: str) -> list[Refusal]:
    """Everything that a place may hear: the venue's words where we know them, and every code that the rules map."""
    rows = SPOT_REFUSALS if venue == SPOT else USDM_REFUSALS
    line = rules.SPOT if venue == SPOT else rules.USDM
    known = {code for code, _ in rows}
    # A yes to a change of settings is no answer to a place.
    others = [
        (code, "Refused.")
        for code, verdict in line.codes.items()
        if code not in known and code not in ENDS_TRADING and verdict.outcome is not Outcome.SUCCESS
    ]
    return [Refusal(code, text, 503 if code in (-1001, -1008) else 400) for code, text in (*rows, *others)]


class Doorman:
    """Refuses every second place of ours, each time with the next word."""

    def __init__(self, core: Any, words: list[Refusal]) -> None:
        self.words = words
        self._place = core.place
        self._is_next = False
        core.place = self.place

    def place(self, account_id: int, fields: Any, now_ns: int, *, is_test: bool = False) -> Any:
        """As VenueCore.place."""
        if self.words and not is_test and str(fields.get("newClientOrderId", "")).startswith(OURS):
            self._is_next = not self._is_next
            if self._is_next:
                return self.words.pop(0)
        return self._place(account_id, fields, now_ns, is_test=is_test)


@pytest.mark.parametrize(
    ("venue", "settings"),
    [(SPOT, ()), (SPOT, MAKER), (USDM, ()), pytest.param(USDM, MAKER, marks=pytest.mark.long)],
    ids=["spot_taker", "spot_maker", "usdm_taker", "usdm_maker"],
)
def test_every_refusal_of_an_order_ends_hedged_and_agreed(venue: str, settings: tuple[str, ...]) -> None:
    with scenario(settings) as world:
        doorman = Doorman(world.core(venue), refusals(venue))
        asked = len(doorman.words)
        world.until(lambda: not doorman.words, 20.0 * asked)
        world.run_for(2.0)
        assert world.desk.orders.illegal == 0
    assert asked > 30


# -- splits


class Splitter:
    """Gives the next opening order `lots` at the best price, and the rest one tick further, or not at all."""

    def __init__(self, world: Scenario, venue: str, cases: list[tuple[int, bool]]) -> None:
        self.cases = cases
        self.seen: list[tuple[int, ...]] = []
        matching = world.core(venue)._matchings[SYMBOL]
        self._market = matching._market
        self._take = matching.take
        matching.take = self.take

    def take(self, order: Any, limit_ticks: int | None, now_ns: int, quote_limit_e8: int = 0) -> None:
        """As SymbolMatching.take."""
        is_wanted = self.cases and order.client_order_id.startswith(OURS) and limit_ticks is not None and not order.reduce_only
        is_buy = order.side == "BUY"
        if is_wanted and is_buy == (order.rules.product == SPOT) and self.cases[0][0] < order.quantity_lots:
            lots, has_rest = self.cases.pop(0)
            self._shape(is_buy, limit_ticks, lots, order.quantity_lots if has_rest else 0)
            self._take(order, limit_ticks, now_ns, quote_limit_e8)
            self.seen.append((lots, order.quantity_lots, order.executed_lots))
        else:
            self._take(order, limit_ticks, now_ns, quote_limit_e8)

    def _shape(self, is_buy: bool, limit_ticks: int | None, lots: int, rest_lots: int) -> None:
        market, step = self._market, 1 if is_buy else -1
        assert limit_ticks is not None, "a limit order has a limit"
        best = market.best_ask() if is_buy else market.best_bid()
        for ticks in range(best, limit_ticks + step, step):
            market.apply_level(not is_buy, ticks, 0)
        market.apply_level(not is_buy, best, lots)
        if rest_lots:
            market.apply_level(not is_buy, best + step, rest_lots)


def splits(lots: int, step: int) -> list[int]:
    """1 … lots − 1, every `step`-th; the edges and the neighbours of whole hedge lots (100 of spot) always."""
    special = {1, 2, 3, 99, 100, 101, 102, lots - 2, lots - 1}
    return [each for each in range(1, lots) if each % step == 0 or each in special]


def run_splits(venue: str, lots: int, step: int) -> None:
    with scenario(("risk_control.daily_trades_max=100000",)) as world:
        cases = [(each, has_rest) for each in splits(lots, step) for has_rest in (True, False)]
        splitter = Splitter(world, venue, list(cases))
        for _ in range(len(cases)):
            if world.run_while(lambda: bool(splitter.cases), 15 * SECOND):
                break
            world.supervisor.control(ControlKind.RESUME, ("prepost",))  # In a book this thin a leg may have been stuck.
        assert not splitter.cases
        world.run_for(3.0)
        whole = [row for row in splitter.seen if row[2] == row[1]]
        part = [row for row in splitter.seen if row[2] == row[0]]
        assert len(whole) >= len(cases) // 3, "the rest followed"
        assert len(part) >= len(cases) // 3, "the rest expired"


def test_an_opening_order_that_fills_in_two_is_hedged_whatever_the_split() -> None:
    run_splits(SPOT, 200, 25)


@pytest.mark.long
def test_an_opening_order_that_fills_in_two_is_hedged_at_every_split() -> None:
    run_splits(SPOT, 200, 1)


def test_a_hedge_that_fills_in_two_is_completed() -> None:
    run_splits(USDM, 2, 1)


# -- cuts


class Scissors:
    """Cuts the connection at the next-but-n-th private message, for n = 1, 2, 3, …, each time after all has recovered."""

    def __init__(self, world: Scenario, lasts: int) -> None:
        self._world = world
        self._left = 0
        self.cuts: list[str] = []
        self._lasts = lasts
        world.cloud.must_cut = self.must_cut

    def must_cut(self, line: Line) -> bool:
        """See Cloud.must_cut."""
        if line.net.name != "engine" or self._left <= 0:
            return False
        self._left -= 1
        if self._left == 0:
            self.cuts.append(line.url)
            return True
        return False

    def run(self) -> None:
        """All of them."""
        for number in range(1, self._lasts + 1):
            self._left = number
            if not self._world.run_while(lambda: self._left > 0, 60 * SECOND):
                self._world.supervisor.control(ControlKind.RESUME, ("prepost",))  # A leg may be stuck in a book this thin.
                self._world.until(lambda: self._left <= 0, 240.0)
            self._world.run_for(0.3)
            self._world.until(self._is_well, 80.0)  # A minute if the request budget is spent.

    def _is_well(self) -> bool:
        desk = self._world.desk
        return bool(desk.is_reconciled) and all(desk.is_session_up[venue] for venue in desk.venues)


@pytest.mark.parametrize(
    ("settings", "lasts"), [((), 24), (MAKER, 24), pytest.param((), 80, marks=pytest.mark.long)], ids=["taker", "maker", "all"]
)
def test_a_connection_cut_at_any_private_message_loses_and_doubles_nothing(settings: tuple[str, ...], lasts: int) -> None:
    with scenario(settings) as world:
        scissors = Scissors(world, lasts)
        scissors.run()
        assert len(scissors.cuts) == lasts
        assert world.desk.orders.illegal == 0
