"""What a signal is: an opinion about one instrument or one pair, made from book tops, as doubles.

A user's own signal is a subclass in a file that the config names; it is constructed with the instrument index (and, for a
pair, the hedge index) and its parameters from the config:

    class Basis(Signal):
        signal_type = SIGNAL_USER          # + 0, 1, 2 … one number per kind
        def __init__(self, context: SignalContext, threshold: float = 0.001) -> None: ...
        def update(self, tops, now_ns) -> bool: self.values[0] = …; self.is_valid = True; return True
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from reactor.domain.instrument import Instruments
from reactor.domain.messages import NO_INSTRUMENT, SIGNAL_VALUES_MAX, SignalType

Tops = Sequence[Any]
"""By instrument index: the book_top_t of the instruments of this feed, None elsewhere."""

SIGNAL_USER: Final[int] = SignalType.USER


@dataclass(frozen=True)
class SignalContext:
    """What a signal is about. `position` is the position_row_t of the instrument, read anew a hundred times a second."""

    instruments: Instruments
    instrument_index: int
    hedge_instrument_index: int = NO_INSTRUMENT
    position: Any = None


class Signal(ABC):
    """One opinion. Pure: tops and time come in, doubles go out."""

    signal_type: ClassVar[int]
    value_count: ClassVar[int] = SIGNAL_VALUES_MAX
    refresh_ms: int = 100  # Said again this often while it holds: a listener can tell "unchanged" from "dead".
    hears_quantities: ClassVar[bool] = False  # True: also called when only the quantities of a top moved
    hears_marks: ClassVar[bool] = False  # True: called when mark prices come, and not for tops
    closes: ClassVar[bool] = False  # True: it is asked, and its decision taken, before those of the same tick that open

    def __init__(self, context: SignalContext) -> None:
        self.context = context
        self.instrument_index = context.instrument_index
        self.hedge_instrument_index = context.hedge_instrument_index
        self.values: Any = [0.0] * SIGNAL_VALUES_MAX  # The board replaces it by the outgoing message's own doubles.
        self.is_valid = False  # What `values` say holds now.
        self.is_lossless = False  # True: called for every update of a top by itself, and nothing it says is conflated.

    def inputs(self) -> tuple[int, ...]:
        """The instruments whose tops it reads."""
        if self.hedge_instrument_index == NO_INSTRUMENT:
            return (self.instrument_index,)
        return (self.instrument_index, self.hedge_instrument_index)

    @abstractmethod
    def update(self, tops: Tops, now_ns: int) -> bool:
        """A top of its inputs moved, or the time for a refresh has come. Fills `values`, sets `is_valid`.

        Returns True if it shall be said at once; an unchanged opinion waits for the refresh.
        """

    def on_time(self, tops: Tops, now_ns: int) -> None:
        """Called about every 10 ms, whatever the market does: for samples on a time grid."""
        return


def are_fresh(open_top: Any, hedge_top: Any) -> bool:
    """Both books are synchronised, not stale, and have both sides."""
    return bool(
        open_top.is_synchronised
        and hedge_top.is_synchronised
        and open_top.bid_ticks
        and open_top.ask_ticks
        and hedge_top.bid_ticks
        and hedge_top.ask_ticks
    )


def price_ratio(instruments: Instruments, open_index: int, hedge_index: int) -> float:
    """What hedge ticks are multiplied with before they are compared with open ticks."""
    open_tick: float = instruments[open_index].price_float(1)
    hedge_tick: float = instruments[hedge_index].price_float(1)
    return hedge_tick / open_tick
