"""What a trader may set about the triggers of the house."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MTParameters:
    """When a spread is wide enough and funding high enough."""

    is_adaptive: bool = True  # rolling percentiles; otherwise the feed's fixed thresholds decide
    percentile_min: float = 0.8  # adaptive: the spread must stand this high in its window [0, 1]
    spread_min: float = 0.0  # and be at least this, as a fraction: 0.001 is ten basis points
    funding_rate_min: float = 0.0  # |rate| per interval beyond the feed's own threshold, which has a hysteresis already
    allow_short_perpetual: bool = True
    allow_long_perpetual: bool = True  # needs spot inventory to sell; prepost refuses without
    spread_age_ms_max: int = 500  # a spread changes with every tick: half a second is old
    funding_age_ms_max: int = 90_000  # the mark-price stream brings it every 1 to 3 s, a REST poll every 60 s
    rearm_after_ms: int = 1_000  # a spread that stays wide may add a clip; prepost's cooldown says how often really


@dataclass(frozen=True)
class MTCloseParameters:
    """How old a reason to close may be, and how stubbornly it is repeated."""

    close_age_ms_max: int = 2_000  # made from both book tops: older than two seconds it may be over
    funding_age_ms_max: int = 90_000  # like the funding rate itself
    rearm_after_ms: int = 1_000  # a close that was lost or refused is asked for again while the reason stands
