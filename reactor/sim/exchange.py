"""The whole simulated exchange without IO: both venues, the market that feeds them, and one clock handed in.

    source (generator | replay) ──updates──▶ spot  ──events──▶ the faces
                                  ──updates──▶ usdm ──events──▶

Use: `exchange.advance(now_ns)` every few ms (and before answering a request), then `exchange.spot.take_events()` and
`exchange.usdm.take_events()`; `exchange.notices.take()` for the operator.
"""

from reactor.sim.events import Notices
from reactor.sim.venue import AccountParameters, VenueCore


class SimulatedExchange:
    """See the module's drawing."""

    spot: VenueCore
    usdm: VenueCore
    notices: Notices

    def add_account(self, parameters: AccountParameters, now_ns: int) -> int:
        """Opens the account on both venues; the same id and key on both."""
        raise NotImplementedError

    def advance(self, now_ns: int) -> int:
        """Brings market and venues up to `now_ns`. Returns how many market updates it took."""
        raise NotImplementedError

    def next_due_ns(self) -> int:
        """When the market speaks next; for a sleeping shell."""
        raise NotImplementedError
