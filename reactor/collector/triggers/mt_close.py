"""MTCloseTrigger: a close signal or a funding risk → close both legs of the pair at once. One object per pair.

Whether there is anything to close, and how much, is prepost's knowledge: a close of a pair that is flat is refused there.
"""

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from reactor.collector.triggers.parameters import MTCloseParameters
from reactor.collector.triggers.trigger import (
    Binding,
    Event,
    Priority,
    Rearm,
    Signal,
    Trigger,
)
from reactor.domain.messages import CloseReason, SignalType, event_close, signal_hedge, signal_value

CLOSE_SIGNAL, FUNDING_RISK = 0, 1  # order of the bindings
FUNDING_TURNED: Final = int(CloseReason.FUNDING_TURNED)
POSITION_CLOSE: Final = int(SignalType.POSITION_CLOSE)
REAL_TIME_FUNDING_RISK: Final = int(SignalType.REAL_TIME_FUNDING_RISK)


@mypyc_attr(allow_interpreted_subclasses=True)
class MTCloseTrigger(Trigger):
    """Closes one pair."""

    name = "mt_close"
    priority = Priority.URGENT

    def __init__(self, parameters: MTCloseParameters, pair_id: int, open_index: int, hedge_index: int) -> None:
        self.pair_id = self._pair_id = pair_id
        self.rearm = Rearm(after_ms=parameters.rearm_after_ms)
        self._parameters = parameters
        self._open_index = open_index
        self._hedge_index = hedge_index
        self._reason = 0
        self._hedge, self._value = signal_hedge, signal_value

    def bindings(self) -> Sequence[Binding]:
        parameters = self._parameters
        return (
            Binding(POSITION_CLOSE, self._open_index, parameters.close_age_ms_max, is_required=False),
            Binding(REAL_TIME_FUNDING_RISK, self._open_index, parameters.funding_age_ms_max, is_required=False),
        )

    def evaluate(self, signals: Sequence[Signal], now_ns: int) -> int | None:
        reason = 0
        signal = signals[CLOSE_SIGNAL]
        if signal is not None and self._hedge(signal) == self._hedge_index:
            reason = int(self._value(signal, 0))
        if not reason:
            signal = signals[FUNDING_RISK]
            if signal is not None and self._hedge(signal) == self._hedge_index and self._value(signal, 0) > 0:
                reason = FUNDING_TURNED
        self._reason = reason
        return reason

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        cause = signals[FUNDING_RISK if self._reason == FUNDING_TURNED else CLOSE_SIGNAL]
        event_close(event, cause, self._pair_id, self._open_index, self._hedge_index, self._reason)
