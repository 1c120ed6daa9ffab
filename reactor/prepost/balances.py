"""What we should own, per venue and asset, to the last unit: baseline + fills + fees + funding.

    spot       a buy takes ticks · lots of the quote asset and brings the lots of the base asset; fees leave in their own asset
    futures    only the margin asset moves: realised PnL, fees, funding. The row to compare with is the wallet balance,
               without unrealised PnL

Fills and funding that are not ours (somebody else on the same account) move the same wallets: they are booked here and
nowhere else.
"""

from reactor.prepost.terms import Terms

BASELINE = 1  # RememberedBalance.kind, journal values[2]: the wallet when we first looked
CORRECTION = 2  # a difference that the operator accepted


class Balances:
    """Expected amounts, in 1e-8 of each asset."""

    def __init__(self) -> None:
        self.expected: dict[tuple[int, str], int] = {}  # by wallet (Terms.base_key, quote_key)
        self.known_venues: set[int] = set()

    def set_baseline(self, venue: int, asset: str, amount_e8: int) -> None:
        """The wallet of a first start."""
        self.known_venues.add(venue)
        self.expected[(venue, asset)] = self.expected.get((venue, asset), 0) + amount_e8

    def correct(self, venue: int, asset: str, change_e8: int) -> None:
        """A deposit, a withdrawal, or a difference that the operator accepted."""
        self._add(venue, asset, change_e8)

    def apply_spot_fill(self, terms: Terms, side: int, lots: int, ticks: int) -> None:
        """One fill on spot, without its fee."""
        base_e8 = lots * terms.lot_base_e8
        self._add(terms.venue, terms.base_asset, side * base_e8)
        self._add(terms.venue, terms.quote_asset, -side * terms.quote_e8(ticks, base_e8))

    def apply_realised(self, terms: Terms, realised_e8: int) -> None:
        """What a futures fill realised, as the venue says."""
        self._add(terms.venue, terms.quote_asset, realised_e8)

    def apply_fee(self, venue: int, asset: str, fee_e8: int) -> None:
        """A fee (> 0 paid) in its own asset."""
        if asset:
            self._add(venue, asset, -fee_e8)

    def apply_funding(self, venue: int, asset: str, amount_e8: int) -> None:
        """A funding payment (> 0 received)."""
        self._add(venue, asset, amount_e8)

    def expected_e8(self, venue: int, asset: str) -> int:
        """What we should own of it."""
        return self.expected.get((venue, asset), 0)

    def of_venue(self, venue: int) -> dict[str, int]:
        """Everything we should own on one venue, by asset."""
        return {asset: amount for (at, asset), amount in self.expected.items() if at == venue}

    def _add(self, venue: int, asset: str, amount_e8: int) -> None:
        key = (venue, asset)
        self.expected[key] = self.expected.get(key, 0) + amount_e8
