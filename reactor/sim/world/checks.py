"""What must be true, whatever went wrong. Cheap checks after every pass of prepost, the full account at the end.

The exchange's own books are the truth. Everything is compared in integers, to the last unit.
"""

from collections import Counter as Tally
from typing import TYPE_CHECKING, Any, Final

from reactor.domain.ids import NUMBER_BITS, ClientIds
from reactor.domain.instrument import VENUE_NAMES
from reactor.domain.messages import FLAG_FOREIGN, FLAG_HEDGE, FLAG_REDUCE_ONLY
from reactor.journal.history import Reader
from reactor.prepost.desk import Desk
from reactor.prepost.kill_switch import HALTED, RUNNING
from reactor.prepost.orders import IS_TERMINAL, Leg
from reactor.prepost.pairs import Pair
from reactor.sim.venue import VenueCore
from reactor.sim.world.time import MS, SECOND

if TYPE_CHECKING:
    from reactor.sim.world.house import House

OPENING_LEGS: Final = frozenset({int(Leg.SINGLE), int(Leg.OPEN), int(Leg.QUOTE)})
# What counts is time in which hedging was possible: see Checks._is_hindered. hedge_patience_ms (5 s), then the unwind, whose
# pauses grow to 1 s.
NAKED_NS_MAX: Final = 8 * SECOND
LOOK_NS: Final = 50 * MS  # between two looks at the legs
QUEUE_MAX: Final = 20_000  # Nothing in a world of seconds may hold more than this.


Key = tuple[int, str]  # of a trade: its id, our side


class Violation(AssertionError):
    """An invariant does not hold."""


class Checks:
    """One world's."""

    def __init__(self, house: "House", cores: dict[str, VenueCore], account: int) -> None:
        self._house = house
        self._cores = cores  # by venue name
        self._account = account
        self._ids = ClientIds(house.plan.order_id_prefix)
        self._restricted_since_ns: dict[str, int] = {}
        self._naked_ns: dict[int, int] = {}  # pair → how long a leg has been naked that could have been hedged
        self._looked_ns = 0
        self._excused_until_ns = 0
        self.naked_ns_max = 0  # the longest of them
        self.allows_doubles = False  # for who tries what sending a place twice does
        self.count = 0

    def excuse(self, ns: int) -> None:
        """A fault has hit a message about an order: until then one cannot ask for a hedge."""
        self._excused_until_ns = max(self._excused_until_ns, self._house.time.now_ns + ns)

    # -- after every pass of prepost

    def after_prepost(self, role: Any) -> None:
        """Raises Violation."""
        self.count += 1
        desk: Desk = role.desk
        self._quota(desk)
        self._switch(desk)
        if desk.now_ns >= self._looked_ns + LOOK_NS:
            self._hedged(desk, min(desk.now_ns - self._looked_ns, 2 * LOOK_NS))
            self._looked_ns = desk.now_ns
        if self.count % 64 == 0:
            self._bounds(role)

    def _quota(self, desk: Desk) -> None:
        """Reserved quota = unsettled orders."""
        for index, quota in enumerate(desk.quota.of):
            live = desk.orders.unsettled_of[index]
            if not live:
                if quota.buy_lots or quota.sell_lots or quota.capital_e8 or quota.pending_orders:
                    raise Violation(
                        f"quota of {desk.terms[index].name} without live orders: buy {quota.buy_lots}, sell {quota.sell_lots},"
                        f" capital {quota.capital_e8}, pending {quota.pending_orders}"
                    )
                continue
            buy = sell = capital = pending = 0
            for order in live.values():
                if order.is_quota_open:
                    pending += 1
                    capital += order.capital_e8
                    if order.side > 0:
                        buy += order.reserved_lots
                    else:
                        sell += order.reserved_lots
                    if not order.venue_filled_lots > order.filled_lots and order.reserved_lots != max(
                        0, order.quantity_lots - order.filled_lots
                    ):
                        raise Violation(
                            f"{order.client_order_id.decode()} reserves {order.reserved_lots}, not what is left of it"
                        )
            if (buy, sell, capital, pending) != (quota.buy_lots, quota.sell_lots, quota.capital_e8, quota.pending_orders):
                raise Violation(
                    f"quota of {desk.terms[index].name}: {quota.buy_lots}/{quota.sell_lots} lots, "
                    f"{quota.pending_orders} orders;"
                    f" live orders have {buy}/{sell}, {pending}"
                )
        if desk.quota.double_returns:
            raise Violation(f"quota was returned twice, {desk.quota.double_returns} times")

    def _switch(self, desk: Desk) -> None:
        """REDUCE_ONLY and HALTED let nothing out that opens."""
        state = desk.kill_switch.state
        since = self._restricted_since_ns
        if state == RUNNING:
            since.pop("all", None)
        else:
            since.setdefault("all", desk.now_ns)
        for index, is_halted in enumerate(desk.kill_switch.is_halted):
            if is_halted:
                since.setdefault(str(index), desk.now_ns)
            else:
                since.pop(str(index), None)
        if not since:
            return
        for order in desk.orders.unsettled.values():
            if order.order_id >> NUMBER_BITS != self._house.epoch:
                continue  # From before our start: it is asked about, and went out when it was allowed to.
            limit_ns = min(since.get("all", 2**62), since.get(str(order.instrument_index), 2**62))
            if order.created_ns > limit_ns and order.leg in OPENING_LEGS and not order.flags & (FLAG_HEDGE | FLAG_REDUCE_ONLY):
                raise Violation(f"{order.client_order_id.decode()} opens although the switch stands at {state}")

    def _hedged(self, desk: Desk, passed_ns: int) -> None:
        """Every opening fill is hedged or unwound in bounded time: a naked leg's clock runs while nothing hinders a hedge."""
        for pair in desk.pairs:
            lots = self._naked_lots(desk, pair)
            if not lots:
                self._naked_ns.pop(pair.pair_id, None)
                continue
            if self._is_hindered(desk, pair):
                continue
            naked_ns = self._naked_ns[pair.pair_id] = self._naked_ns.get(pair.pair_id, 0) + passed_ns
            self.naked_ns_max = max(naked_ns, self.naked_ns_max)
            if naked_ns > NAKED_NS_MAX:
                raise Violation(
                    f"pair {pair.pair_id} naked for {naked_ns / 1e9:.1f} s in which it could be hedged:"
                    f" open leg {pair.open_position.base_e8},"
                    f" hedge leg {pair.hedge_position.base_e8} (1e-8), state {pair.state}, required {lots} lots"
                )

    def _is_hindered(self, desk: Desk, pair: Pair) -> bool:
        """True while no order could reach one of the two venues, or nobody knows yet what is there."""
        house = self._house
        now_ns = house.time.now_ns
        engine: Any = house.role("engine")
        if now_ns < self._excused_until_ns or engine is None or house.shards["engine"].is_paused:
            return True
        for terms in (pair.open, pair.hedge):
            venue = terms.venue
            top = desk.tops(terms.index)
            if top is None or not top.is_synchronised:
                return True  # Nobody knows the price: an attempt from memory is made, and may miss the market.
            if not desk.is_known[venue] or not desk.is_session_up[venue]:
                return True
            connections = engine._venues[venue].connections
            if not connections.is_available or not connections.may_place:
                return True
            if not _has_budget(connections.budget, connections.timestamp_ms()):
                return True
        return False

    @staticmethod
    def _naked_lots(desk: Desk, pair: Pair) -> int:
        """What the hedge leg lacks and could be traded, in its lots; 0: hedged, or too small for the venues."""
        hedge, open_ = pair.hedge, pair.open
        ticks = desk.money.mark_ticks(hedge.index)
        lots = hedge.lots_nearest(-pair.open_position.base_e8 - pair.hedge_position.base_e8)
        if not lots or not hedge.is_tradable(abs(lots), ticks, is_reducing=pair.is_hedge_reducing(lots)):
            return 0
        open_lots = abs(open_.lots_within(pair.open_position.base_e8))
        if not pair.hedge_position.base_e8 and not open_.is_tradable(open_lots, desk.money.mark_ticks(open_.index)):
            return 0
        return int(lots)

    def _bounds(self, role: Any) -> None:
        """No unbounded queue."""
        for owner in (role.desk, role.settlement, role.desk.inquiry, role.out):
            names = getattr(owner, "__dict__", None) or {}
            for name, value in names.items():
                if isinstance(value, (dict, list, set)) and len(value) > QUEUE_MAX:
                    raise Violation(f"{type(owner).__name__}.{name} has {len(value)} entries")
        if self._house.time.pending > QUEUE_MAX:
            raise Violation(f"{self._house.time.pending} things are on their way")

    # -- at the end

    def at_quiescence(self) -> None:
        """Our books = the exchange's. Raises Violation."""
        role = self._house.role("prepost")
        desk: Desk = role.desk
        self._quota(desk)
        for name, core in self._cores.items():
            self._same_fills(desk, name, core)
            if (doubles := self.doubles(core)) and not self.allows_doubles:
                raise Violation(f"executed more than once on {name}: {doubles[:4]}")
            self._same_wallet(desk, name, core)
        self._nothing_open(desk)
        for pair in desk.pairs:
            lots = self._naked_lots(desk, pair)
            if lots:
                raise Violation(f"pair {pair.pair_id} lacks {lots} lots of its hedge leg after the stop")
        illegal = desk.orders.illegal + sum(pair.illegal for pair in desk.pairs)
        if illegal:
            raise Violation(f"{illegal} illegal transitions were refused")

    def _same_fills(self, desk: Desk, name: str, core: VenueCore) -> None:
        """Every trade of the account is in the journal once, as ours or as somebody else's; positions follow from ours."""
        account = core._accounts[self._account]
        venue = VENUE_NAMES.index(name)
        for terms in desk.terms:
            if terms.venue != venue:
                continue
            symbol = desk.instruments[terms.index].symbol
            ours_there, of_others = self._trades(account, symbol)
            ours_here, foreign_here = self._journaled(terms.index)
            # A forced close may be of either, where somebody else has traded the same instrument.
            forced = {key for key, fill in ours_there.items() if of_others and _is_forced(account, fill)}
            missing = ours_there.keys() - ours_here.keys() - (forced & foreign_here.keys())
            extra = ours_here.keys() - ours_there.keys() - of_others.keys()
            if missing or extra:
                raise Violation(f"fills of {terms.name}: the journal lacks {sorted(missing)} and has too many {sorted(extra)}")
            if doubled := [key for key, count in (ours_here + foreign_here).items() if count > 1]:
                raise Violation(f"fills of {terms.name}: the journal has {sorted(doubled)} more than once")
            if wrong := ours_here.keys() & of_others.keys():
                raise Violation(f"fills of {terms.name}: somebody else's were taken for ours: {sorted(wrong)}")
            theirs = 0
            for key in ours_here:
                fill = ours_there[key]
                theirs += (1 if fill.side == "BUY" else -1) * fill.quantity_lots * terms.lot_base_e8
                if fill.commission_asset == terms.base_asset and not terms.is_perpetual:
                    theirs -= fill.commission_e8
            ours = desk.positions[terms.index].base_e8
            if ours != theirs:
                raise Violation(f"position of {terms.name}: ours {ours}, the exchange's fills give {theirs} (1e-8)")
            if terms.is_perpetual:
                lots = sum(row.amount_lots for (row_symbol, _), row in account.positions.items() if row_symbol == symbol)
                foreign = desk.foreign_base_e8[terms.index]
                if lots * terms.lot_base_e8 != ours + foreign:
                    raise Violation(
                        f"position of {terms.name}: ours {ours} and {foreign} of others,"
                        f" the exchange's {lots * terms.lot_base_e8} (1e-8)"
                    )

    def doubles(self, core: VenueCore) -> list[str]:
        """Client ids of ours under which the venue has executed more than one order: one decision, executed twice."""
        account = core._accounts[self._account]
        executed = {fill.order_id for fill in account.fills}
        names = Tally(
            order.original_client_order_id or order.client_order_id for id_, order in account.orders.items() if id_ in executed
        )
        return [name for name, count in names.items() if count > 1 and self._ids.order_id(name)]

    def _trades(self, account: Any, symbol: str) -> "tuple[dict[Key, Any], dict[Key, Any]]":
        """What the exchange has executed for the account: ours (and what it forced), and somebody else's."""
        ours: dict[Key, Any] = {}
        of_others: dict[Key, Any] = {}
        for fill in account.fills:
            if fill.rules.symbol != symbol:
                continue
            order = account.orders.get(fill.order_id)
            named = order.original_client_order_id or order.client_order_id if order else fill.client_order_id
            is_ours = self._ids.order_id(named) or self._ids.order_id(fill.client_order_id) or _is_forced(account, fill)
            (ours if is_ours else of_others)[fill.trade_id, fill.side] = fill
        return ours, of_others

    def _journaled(self, index: int) -> "tuple[Tally[Key], Tally[Key]]":
        """Rows of ours, and of others."""
        ours: Tally[Key] = Tally()
        foreign: Tally[Key] = Tally()
        instrument = self._house.instruments[index]
        query = "SELECT trade_id, side_code, flags FROM fills WHERE venue = ? AND symbol = ?"
        with Reader(self._house.journal_path) as reader:
            for row in reader.rows(query, (VENUE_NAMES[instrument.venue], instrument.symbol)):
                tally = foreign if row["flags"] & FLAG_FOREIGN else ours
                tally[int(row["trade_id"]), "BUY" if row["side_code"] > 0 else "SELL"] += 1
        return ours, foreign

    def _same_wallet(self, desk: Desk, name: str, core: VenueCore) -> None:
        account = core._accounts[self._account]
        venue = VENUE_NAMES.index(name)
        if name.endswith("spot"):
            theirs = {asset: row.free_e8 + row.locked_e8 for asset, row in account.assets.items()}
        else:
            theirs = {"USDT": account.wallet_e8}
        for asset, ours in desk.balances.of_venue(venue).items():
            if ours != theirs.get(asset, 0):
                raise Violation(f"balance of {asset} on {name}: ours {ours}, the exchange's {theirs.get(asset, 0)} (1e-8)")

    def _nothing_open(self, desk: Desk) -> None:
        for name, core in self._cores.items():
            for order in core._accounts[self._account].open_orders.values():
                if self._ids.order_id(order.client_order_id):
                    raise Violation(f"{order.client_order_id} is open on {name} after the stop")
        live = [order for order in desk.orders.unsettled.values() if not IS_TERMINAL[order.state]]
        if live:
            raise Violation(f"{len(live)} orders of ours are not closed after the stop: {live[0].client_order_id.decode()}")

    def is_halted_by_itself(self, operator_halted: bool) -> str:
        """A HALT that nobody asked for: the books did not agree."""
        desk: Desk = self._house.role("prepost").desk
        if desk.kill_switch.state == HALTED and not operator_halted:
            return "HALTED, and no operator asked for it"
        return ""


def _is_forced(account: Any, fill: Any) -> bool:
    order = account.orders.get(fill.order_id)
    return order is not None and bool(order.is_liquidation)


def _has_budget(budget: Any, venue_ms: int) -> bool:
    """The venue's limits leave room for one urgent order now; nothing is counted."""
    if budget.blocked_until_ms(venue_ms):
        return False
    return all(
        window.used < window.limit and window.total < window.total_limit
        for window in budget._windows
        if venue_ms < window.end_ms
    )
