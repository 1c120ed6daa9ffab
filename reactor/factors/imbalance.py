"""What the book leans to: depth within a distance of the mid, on tick indexes."""

import math
from typing import Any

BUY, SELL = 1, -1


def depth_lots(depth: Any, side: int, limit_ticks: int) -> int:
    """Lots of one side from its best level up to and including `limit_ticks`.

    `depth` is a market.book.Book, or anything that answers quantity_within(side, limit_ticks).
    """
    lots: int = depth.quantity_within(side, limit_ticks)
    return lots


def bid_limit(mid_ticks: float, looking_depth: float, roi_lb_ticks: int) -> int:
    """The lowest bid that counts: within the share `looking_depth` of the mid and inside the region of interest."""
    return max(math.ceil(mid_ticks * (1.0 - looking_depth)), roi_lb_ticks)


def ask_limit(mid_ticks: float, looking_depth: float, roi_ub_ticks: int) -> int:
    """The highest ask that counts."""
    return min(math.floor(mid_ticks * (1.0 + looking_depth)), roi_ub_ticks)
