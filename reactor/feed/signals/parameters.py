"""What a trader may set about the signals of the house."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AdaptiveSpreadParameters:
    """The window, and how much of it must be there before anything is said."""

    window_samples: int = 6_000  # 10 minutes at 100 ms: long against a squeeze, short against a regime
    sample_interval_ms: int = 100
    samples_min: int = 50  # 5 s: a rank among fewer says nothing
    refresh_ms: int = 100  # as long as prepost lets a signal live


@dataclass(frozen=True)
class FixedSpreadParameters:
    """Thresholds as fractions: 0.001 is ten basis points."""

    short_min: float = 0.0005  # spread_short from here on: direction −1 (short perpetual, long spot)
    long_min: float = 0.0005  # spread_long from here on: direction +1
    margin: float = 0.0001  # how far below its threshold a spread must fall before the direction is over
    refresh_ms: int = 100


@dataclass(frozen=True)
class FundingDirectionParameters:
    """Rates are fractions per funding interval: 0.0001 is the usual 0.01 %."""

    enter_rate: float = 0.0001  # |rate| from here on gives a direction
    exit_rate: float = 0.00005  # |rate| below this ends it: between the two, what was stays
    refresh_ms: int = 1_000  # the stream itself speaks once a second


@dataclass(frozen=True)
class FundingRiskParameters:
    """When funding has turned against an open pair."""

    risk_rate: float = 0.0  # we pay more than this per interval: close
    clear_rate: float = 0.00002  # and it is over only when we are paid at least this
    refresh_ms: int = 1_000


@dataclass(frozen=True)
class PositionCloseParameters:
    """Returns are fractions of the notional; 0 switches a rule off."""

    take_profit: float = 0.003  # what four taker fills of a round trip cost: 2 × 10 bp on spot, 2 × 5 bp on the perpetual
    stop_loss: float = 0.01  # the spread has run away by a percent
    age_s_max: float = 0.0  # 0: hold as long as funding pays
    refresh_ms: int = 250


@dataclass(frozen=True)
class BookTopParameters:
    """BookTop signals cost a message per tick: only the instruments that somebody triggers on."""

    instruments: tuple[int, ...] = ()
    refresh_ms: int = 250
    # Each update by itself, in order, none conflated: where it is too much for the ring, the sockets wait. For who counts
    # ticks; who only wants to know where the market stands does better with the newest.
    every_update: bool = False
