"""Account queries: conversations with the venue over REST, each a generator. Pure.

A conversation yields the request it wants made, is sent the answer, writes rows, and returns how many. The role makes the
requests and closes the snapshot with SNAPSHOT_END; a refusal ends the conversation with `QueryFailed`.
"""

from collections.abc import Callable, Generator
from typing import Any, Final, Protocol

from reactor.domain.messages import Reason
from reactor.exchanges.venue import Answer, Outcome, ReportSink, RestCall, Verdict

ROWS_MAX: Final = 1000  # what one page holds at most
PAGES_MAX: Final = 200  # A conversation that is longer is a mistake of whoever asked: 200 000 fills.
TOO_LONG: Final = Verdict(Reason.BAD_PARAMETER, Outcome.NO_EFFECT)

Conversation = Generator[RestCall, Answer, int]
VenueMs = Callable[[], int]


class QueryFailed(Exception):
    """The venue refused, or did not answer. `verdict` says what that means."""

    def __init__(self, verdict: Verdict, answer: Answer) -> None:
        self.verdict = verdict
        self.answer = answer
        super().__init__(f"{answer.error_text} ({answer.error_code})")


class AccountCodec(Protocol):
    """What conversations need of a venue's codec."""

    trades_window_ms: int
    has_positions: bool

    def classify(self, answer: Answer) -> Verdict: ...

    def open_orders_call(self, timestamp_ms: int) -> RestCall: ...

    def balances_call(self, timestamp_ms: int) -> RestCall: ...

    def positions_call(self, timestamp_ms: int) -> RestCall: ...

    def trades_call(self, symbol: str, timestamp_ms: int, from_id: int, start_ms: int = 0, end_ms: int = 0) -> RestCall: ...

    def funding_call(self, symbol: str, timestamp_ms: int, start_ms: int) -> RestCall: ...

    def insurance_call(self, timestamp_ms: int, start_ms: int) -> RestCall: ...

    def write_open_orders(self, rows: Any, sink: ReportSink) -> int: ...

    def write_balances(self, body: Any, sink: ReportSink) -> int: ...

    def write_positions(self, rows: Any, sink: ReportSink) -> int: ...

    def write_fills(self, rows: Any, sink: ReportSink) -> int: ...

    def write_funding(self, rows: Any, sink: ReportSink) -> int: ...


def open_orders(codec: AccountCodec, now_ms: VenueMs, sink: ReportSink) -> Conversation:
    """Every open order of the account."""
    answer = yield codec.open_orders_call(now_ms())
    return codec.write_open_orders(_result(codec, answer), sink)


def balances(codec: AccountCodec, now_ms: VenueMs, sink: ReportSink) -> Conversation:
    """Every asset that is not zero."""
    answer = yield codec.balances_call(now_ms())
    return codec.write_balances(_result(codec, answer), sink)


def positions(codec: AccountCodec, now_ms: VenueMs, sink: ReportSink) -> Conversation:
    """Every position; nothing at once where the venue has none."""
    if not codec.has_positions:
        return 0
    answer = yield codec.positions_call(now_ms())
    return codec.write_positions(_result(codec, answer), sink)


def fills_since(
    codec: AccountCodec, now_ms: VenueMs, sink: ReportSink, symbol: str, trade_id: int, since_ms: int
) -> Conversation:
    """Our fills of `symbol` above `trade_id`, oldest first; without a trade id those since `since_ms`."""
    rows_written = 0
    next_id = trade_id + 1 if trade_id > 0 else -1 if since_ms > 0 else 0
    start_ms = since_ms
    for _ in range(PAGES_MAX):
        if next_id >= 0:
            answer = yield codec.trades_call(symbol, now_ms(), next_id)
        else:
            # A venue bounds the span between two times: windows are walked until a fill gives an id to go on from.
            end_ms = start_ms + codec.trades_window_ms - 1
            answer = yield codec.trades_call(symbol, now_ms(), -1, start_ms, end_ms)
        rows = sorted(_result(codec, answer), key=_trade_id)
        rows_written += codec.write_fills(rows, sink)
        if rows:
            next_id = _trade_id(rows[-1]) + 1
            if len(rows) < ROWS_MAX and (trade_id > 0 or start_ms + codec.trades_window_ms > now_ms()):
                break
            trade_id = trade_id or 1  # From here on by id: the next short page is the last.
        elif next_id >= 0:
            break
        else:
            start_ms += codec.trades_window_ms
            if start_ms > now_ms():
                break
    else:
        raise QueryFailed(TOO_LONG, Answer(-1, 0, error_text=f"more than {PAGES_MAX} pages"))
    return rows_written


def funding_since(
    codec: AccountCodec, now_ms: VenueMs, sink: ReportSink, symbol: str, since_ms: int, *, is_insurance: bool = False
) -> Conversation:
    """Funding payments of `symbol` ("": of all) since `since_ms`, oldest first; nothing at once where there is no funding.

    `is_insurance`: instead of them what liquidations cost besides their fills, of the whole account.
    """
    if not codec.has_positions:
        return 0
    rows_written = 0
    seen: set[int] = set()
    for _ in range(PAGES_MAX):
        now = now_ms()
        answer = yield codec.insurance_call(now, since_ms) if is_insurance else codec.funding_call(symbol, now, since_ms)
        rows = _result(codec, answer)
        fresh = [row for row in rows if row["tranId"] not in seen]  # Pages overlap in the millisecond of their border.
        seen.update(row["tranId"] for row in fresh)
        rows_written += codec.write_funding(fresh, sink)
        if len(rows) < ROWS_MAX or not fresh:
            break
        since_ms = max(row["time"] for row in rows)
    else:
        raise QueryFailed(TOO_LONG, Answer(-1, 0, error_text=f"more than {PAGES_MAX} pages"))
    return rows_written


def _result(codec: AccountCodec, answer: Answer) -> Any:
    if answer.status != 200:
        raise QueryFailed(codec.classify(answer), answer)
    return answer.result


def _trade_id(row: Any) -> int:
    return int(row["id"])
