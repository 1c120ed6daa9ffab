"""Account queries as conversations: what is asked next, and when it ends."""

from typing import Any

import pytest

from reactor.domain.messages import Reason
from reactor.engine.queries import PAGES_MAX, ROWS_MAX, QueryFailed, fills_since, funding_since
from reactor.exchanges.venue import Answer, Outcome, RestCall, Verdict

DAY_MS = 86_400_000
NOW_MS = 30 * DAY_MS


class Codec:
    """Makes calls whose address says what was asked, and counts rows."""

    trades_window_ms = DAY_MS
    has_positions = True

    def classify(self, answer: Answer) -> Verdict:
        return Verdict(Reason.UNKNOWN_EXECUTION, Outcome.UNKNOWN)

    def trades_call(self, symbol: str, timestamp_ms: int, from_id: int, start_ms: int = 0, end_ms: int = 0) -> RestCall:
        return RestCall("GET", f"from {from_id}" if from_id >= 0 else f"between {start_ms} {end_ms}", {})

    def funding_call(self, symbol: str, timestamp_ms: int, start_ms: int) -> RestCall:
        return RestCall("GET", f"since {start_ms}", {})

    def insurance_call(self, timestamp_ms: int, start_ms: int) -> RestCall:
        return RestCall("GET", f"insurance since {start_ms}", {})

    def write_fills(self, rows: Any, sink: Any) -> int:
        sink.extend(row["id"] for row in rows)
        return len(rows)

    def write_funding(self, rows: Any, sink: Any) -> int:
        sink.extend(row["tranId"] for row in rows)
        return len(rows)


def talk(conversation: Any, answers: dict[str, list[dict[str, int]]]) -> tuple[list[str], int]:
    """Runs a conversation; what is not in `answers` has no rows. Returns (what was asked, rows)."""
    asked: list[str] = []
    call = next(conversation)
    while True:
        asked.append(call.url)
        try:
            call = conversation.send(Answer(-1, 200, answers.get(call.url, [])))
        except StopIteration as done:
            return asked, done.value


def rows(first: int, count: int) -> list[dict[str, int]]:
    return [{"id": first + number} for number in range(count)]


def fills(sink: list[int], trade_id: int = 0, since_ms: int = 0) -> Any:
    return fills_since(Codec(), lambda: NOW_MS, sink, "BTCUSDT", trade_id, since_ms)  # type: ignore[arg-type]


def test_after_a_trade_id_one_short_page_is_the_end() -> None:
    sink: list[int] = []
    assert talk(fills(sink, trade_id=9), {"from 10": rows(10, 3)}) == (["from 10"], 3)
    assert sink == [10, 11, 12]


def test_a_full_page_is_followed_by_the_next() -> None:
    sink: list[int] = []
    asked, count = talk(fills(sink, trade_id=9), {"from 10": rows(10, ROWS_MAX), "from 1010": rows(1010, 1)})
    assert asked == ["from 10", "from 1010"]
    assert count == ROWS_MAX + 1


def test_without_a_trade_id_windows_are_walked_until_a_fill_gives_one() -> None:
    sink: list[int] = []
    start = NOW_MS - 3 * DAY_MS - DAY_MS // 2
    second = f"between {start + DAY_MS} {start + 2 * DAY_MS - 1}"
    asked, count = talk(fills(sink, since_ms=start), {second: rows(500, 2), "from 502": rows(502, 1)})
    assert asked == [f"between {start} {start + DAY_MS - 1}", second, "from 502"]
    assert (count, sink) == (3, [500, 501, 502])


def test_a_quiet_account_ends_with_the_window_that_holds_now() -> None:
    asked, count = talk(fills([], since_ms=NOW_MS - DAY_MS // 2), {})
    assert (len(asked), count) == (1, 0)


def test_a_fill_in_the_last_window_needs_no_second_page() -> None:
    start = NOW_MS - 1000
    asked, _ = talk(fills([], since_ms=start), {f"between {start} {start + DAY_MS - 1}": rows(5, 1)})
    assert len(asked) == 1


def test_funding_pages_overlap_and_no_payment_is_told_twice() -> None:
    sink: list[int] = []
    page = [{"tranId": number, "time": number} for number in range(1, ROWS_MAX + 1)]
    answers = {"since 1": page, f"since {ROWS_MAX}": [page[-1], {"tranId": 5000, "time": ROWS_MAX}]}
    conversation: Any = funding_since(Codec(), lambda: NOW_MS, sink, "", 1)  # type: ignore[arg-type]
    assert talk(conversation, answers)[1] == ROWS_MAX + 1
    assert len(set(sink)) == len(sink)


def test_a_refusal_ends_the_conversation_and_says_why() -> None:
    conversation = fills([], trade_id=1)
    next(conversation)
    with pytest.raises(QueryFailed) as caught:
        conversation.send(Answer(-1, 503, error_text="Unknown error"))
    assert caught.value.verdict.outcome is Outcome.UNKNOWN


def test_a_conversation_without_end_is_broken_off() -> None:
    conversation = fills([], trade_id=1)
    next(conversation)
    for page in range(1, PAGES_MAX):
        conversation.send(Answer(-1, 200, rows(page * ROWS_MAX, ROWS_MAX)))
    last = Answer(-1, 200, rows(PAGES_MAX * ROWS_MAX, ROWS_MAX))
    with pytest.raises(QueryFailed):
        conversation.send(last)
