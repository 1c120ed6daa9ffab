"""The kill switch as a table: how far trading is allowed, for everything and per instrument.

    RUNNING       everything
    REDUCE_ONLY   nothing that opens exposure
    HALTED        no order but cancels, hedges and unwinds

Only the operator's RESUME makes it weaker. An instrument can be halted for itself (a hedge that failed, a strategy's halt).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from reactor.domain.messages import KillSwitch

RUNNING: Final = int(KillSwitch.RUNNING)
REDUCE_ONLY: Final = int(KillSwitch.REDUCE_ONLY)
HALTED: Final = int(KillSwitch.HALTED)


class Pull(IntEnum):
    """What is done to the switch."""

    RESUME = 0
    REDUCE = 1
    HALT = 2


TRANSITIONS: Final[Mapping[tuple[int, Pull], int]] = {
    (RUNNING, Pull.RESUME): RUNNING,
    (RUNNING, Pull.REDUCE): REDUCE_ONLY,
    (RUNNING, Pull.HALT): HALTED,
    (REDUCE_ONLY, Pull.RESUME): RUNNING,
    (REDUCE_ONLY, Pull.REDUCE): REDUCE_ONLY,
    (REDUCE_ONLY, Pull.HALT): HALTED,
    (HALTED, Pull.RESUME): RUNNING,
    (HALTED, Pull.REDUCE): HALTED,  # A reduce-only never frees what was halted.
    (HALTED, Pull.HALT): HALTED,
}


class KillSwitchState:
    """The switch, and the instruments that are halted for themselves."""

    __slots__ = ("is_halted", "state")

    def __init__(self, instrument_count: int, state: int = RUNNING) -> None:
        self.state = state
        self.is_halted = [False] * instrument_count

    def pull(self, action: Pull) -> bool:
        """True if the state changed."""
        before = self.state
        self.state = TRANSITIONS[(before, action)]
        return self.state != before

    def halt_instrument(self, instrument_index: int) -> bool:
        """True if it was not halted before."""
        was = self.is_halted[instrument_index]
        self.is_halted[instrument_index] = True
        return not was

    def free_instruments(self) -> None:
        """The operator's resume frees them all."""
        self.is_halted = [False] * len(self.is_halted)
