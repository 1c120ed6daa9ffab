"""Quota: what accepted orders may still do to us, reserved until it is certain that they will not.

    accepted   reserve: pending order +1, lots, capital (opening orders only)
    fill       the filled part moves from reserved to position
    settled    whatever is left comes back, and the pending order with it; a second time changes nothing and is counted

The invariant that the tests hunt: reserved = Σ over unsettled orders, always.
"""

from reactor.prepost.orders import Order
from reactor.prepost.terms import Terms


class InstrumentQuota:
    """Reservations of one instrument."""

    __slots__ = ("buy_lots", "capital_e8", "pending_orders", "sell_lots")

    def __init__(self) -> None:
        self.buy_lots = 0
        self.sell_lots = 0
        self.capital_e8 = 0
        self.pending_orders = 0


class Quota:
    """Reservations of all instruments, and what spot orders will take from each wallet."""

    def __init__(self, terms: tuple[Terms, ...]) -> None:
        self._terms = terms
        self.of = [InstrumentQuota() for _ in terms]
        self.double_returns = 0
        self.claimed: dict[tuple[int, str], int] = {}  # by wallet (Terms.base_key, quote_key)

    def reserve(self, order: Order, capital_e8: int, notional_e8: int = 0) -> None:
        """Once per order, when it is accepted. `capital_e8` is 0 for orders that do not open; `notional_e8` is what a spot
        order to buy will take from the wallet."""
        assert not order.is_quota_open, "quota is reserved once"
        quota = self.of[order.instrument_index]
        lots = order.quantity_lots
        order.is_quota_open = True
        order.reserved_lots = lots
        order.capital_e8 = capital_e8
        quota.pending_orders += 1
        quota.capital_e8 += capital_e8
        if order.side > 0:
            quota.buy_lots += lots
        else:
            quota.sell_lots += lots
        terms = self._terms[order.instrument_index]
        if terms.is_perpetual:
            order.claim_e8 = 0
            return
        order.claim_e8 = claim_e8 = notional_e8 if order.side > 0 else lots * terms.lot_base_e8
        key = terms.quote_key if order.side > 0 else terms.base_key
        self.claimed[key] = self.claimed.get(key, 0) + claim_e8

    def convert(self, order: Order, lots: int) -> None:
        """`lots` of the order were filled: they are position now."""
        if not order.is_quota_open:
            return
        lots = min(lots, order.reserved_lots)
        if lots <= 0:
            return
        self._take(order, lots)

    def restore(self, order: Order) -> bool:
        """Returns what is left, exactly once. False: it had been returned (counted)."""
        if not order.is_quota_open:
            self.double_returns += 1
            return False
        self._take(order, order.reserved_lots)
        order.is_quota_open = False
        self.of[order.instrument_index].pending_orders -= 1
        return True

    def _take(self, order: Order, lots: int) -> None:
        quota = self.of[order.instrument_index]
        reserved_lots = order.reserved_lots
        is_all = lots >= reserved_lots
        capital_e8 = order.capital_e8 if is_all else order.capital_e8 * lots // reserved_lots
        if order.claim_e8:
            claim_e8 = order.claim_e8 if is_all else order.claim_e8 * lots // reserved_lots
            order.claim_e8 -= claim_e8
            terms = self._terms[order.instrument_index]
            self.claimed[terms.quote_key if order.side > 0 else terms.base_key] -= claim_e8
        order.reserved_lots -= lots
        order.capital_e8 -= capital_e8
        quota.capital_e8 -= capital_e8
        if order.side > 0:
            quota.buy_lots -= lots
        else:
            quota.sell_lots -= lots

    def reserved_lots(self, instrument_index: int) -> int:
        """Lots in live orders of both sides."""
        quota = self.of[instrument_index]
        return quota.buy_lots + quota.sell_lots

    def claimed_e8(self, venue: int, asset: str) -> int:
        """What unsettled spot orders may still take of `asset` in the wallet of `venue`, in 1e-8 of it."""
        return self.claimed.get((venue, asset), 0)
