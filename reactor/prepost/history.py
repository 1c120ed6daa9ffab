"""What the journal remembers when prepost starts: plain rows, defined beside the tables they come from.

Fills come in the order in which they were booked; positions, balances and pairs are rebuilt by booking them again with
the same code that booked them live.
"""

from reactor.journal.memory import (
    History,
    RememberedBalance,
    RememberedFill,
    RememberedFunding,
    RememberedOrder,
    RememberedPair,
)

__all__ = ["History", "RememberedBalance", "RememberedFill", "RememberedFunding", "RememberedOrder", "RememberedPair"]
