"""Commands that an earlier engine left in the ring: none of them is ever sent.

released ──── seen, not released ────▶ peeked ──── never seen ────▶ published        (per lane, at the first command)
              OUTCOME_UNKNOWN: it                  NOT_SENT: it
              may have sent them                   cannot have
"""

from collections.abc import Callable
from typing import Any, Final

from reactor.domain.messages import Reason
from reactor.engine.counters import Counter
from reactor.engine.refusals import Refusals

LANES: Final = 2


class Recovery:
    """Gives back what was queued before our start."""

    def __init__(
        self, recovered: Callable[[int], tuple[int, int, int]], refusals: Refusals, count: Callable[..., None]
    ) -> None:
        """`recovered` is CommandRing's."""
        self._recovered = recovered
        self._refuse = refusals.refuse
        self._count = count
        self._left: list[list[int] | None] = [None] * LANES  # by lane: [seen before, queued before] still to come
        self.is_over = [False] * LANES  # by lane: every command from now on is meant for us

    def try_give_back(self, command: Any, lane: int) -> bool:
        """Call it for every command of a lane that `is_over` does not name. False: this one is for us to send."""
        left = self._left[lane]
        if left is None:
            released, peeked, published = self._recovered(lane)
            left = self._left[lane] = [peeked - released, published - peeked] if published > released else []
        if not left:
            self.is_over[lane] = True
            return False
        if left[0] > 0:
            left[0] -= 1
            self._count(Counter.RECOVERED_UNKNOWN)
            self._refuse(command, Reason.QUEUED_BEFORE_RESTART, is_unknown=True)
        else:
            left[1] -= 1
            self._count(Counter.RECOVERED_UNSENT)
            self._refuse(command, Reason.QUEUED_BEFORE_RESTART)
        if left[0] <= 0 and left[1] <= 0:
            left.clear()
        return True
