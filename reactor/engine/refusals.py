"""Commands that are answered without the venue: nothing of them was sent, or an earlier run may have sent them.

A place, cancel or query hears NOT_SENT (or OUTCOME_UNKNOWN), an account query an empty snapshot; the reason says why.
"""

from collections.abc import Callable
from typing import Any

from reactor.domain.messages import FLAG_OURS, CommandKind, ReportKind, copy_header, put_text
from reactor.engine.counters import Counter
from reactor.engine.reports import ReportWriter

C, K = CommandKind, ReportKind
_PLACE, _CANCEL, _QUERY = int(C.PLACE), int(C.CANCEL), int(C.QUERY)
_NOT_SENT, _OUTCOME_UNKNOWN, _SNAPSHOT_END = int(K.NOT_SENT), int(K.OUTCOME_UNKNOWN), int(K.SNAPSHOT_END)


class Refusals:
    """Says no in the venue's stead."""

    def __init__(self, writer: ReportWriter, source: int, monotonic_ns: Callable[[], int], count: Callable[..., None]) -> None:
        self._writer = writer
        self._source = source
        self._monotonic_ns = monotonic_ns
        self._count = count

    def refuse(self, command: Any, reason: Any, *, is_unknown: bool = False, text: str = "") -> None:
        """Answers a command that is not (or perhaps was, `is_unknown`) sent."""
        kind = command.header.kind
        if kind in (_PLACE, _CANCEL, _QUERY):
            answer = _OUTCOME_UNKNOWN if is_unknown else _NOT_SENT
            self._count(Counter.OUTCOMES_UNKNOWN if is_unknown else Counter.NOT_SENT)
        else:
            answer = _SNAPSHOT_END
        self.write_about(command, answer, reason, text)

    def write_about(self, command: Any, kind: int, reason: Any, text: str = "") -> None:
        """A report that answers a command by itself, without the venue."""
        writer = self._writer
        writer.about(command.venue, self._monotonic_ns(), command.request_id)
        report = writer.begin(kind, "", command.header.instrument_index)
        copy_header(report, command)
        header = report.header
        header.kind, header.source = kind, self._source
        report.client_order_id = command.client_order_id
        report.venue = command.venue
        if command.header.order_id:
            header.flags |= FLAG_OURS
        report.venue_order_id = command.venue_order_id
        report.side = command.side
        report.price_ticks = command.price_ticks
        report.quantity_lots = command.quantity_lots
        report.reason = reason
        if text:
            put_text(report.text, text)
        writer.commit()
