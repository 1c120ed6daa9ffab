"""At the end our books are compared with the exchange's, to the last unit."""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from reactor.domain.errors import DataError
from reactor.domain.instrument import Instruments
from reactor.exchanges.binance.rules import LINES
from reactor.loop.log import NullLog
from reactor.monitor.report import Report
from reactor.supervisor import final_report
from reactor.supervisor.books import OurBooks
from reactor.supervisor.cancel_all import Confirmation, ListedOrder
from reactor.supervisor.final_report import EXIT_DIFFERENT, EXIT_FAILED, EXIT_NOT_CLEAN, EXIT_OK, exit_code, fill_comparison
from reactor.supervisor.venue_desk import ListedBalance, ListedFunding

USDM = 1
DRAINED_MS = 1_000


@dataclass
class FakeDesk:
    """A futures venue with a wallet and payments."""

    wallet_e8: int
    payments: tuple[ListedFunding, ...] = ()
    name: str = "binance_usdm"

    def __post_init__(self) -> None:
        self.line = LINES[USDM]

    async def balances(self) -> list[ListedBalance]:
        return [ListedBalance(USDM, "USDT", self.wallet_e8, 0)]

    async def positions(self) -> list[Any]:
        return []

    async def funding_since(self, local_ms: int) -> list[ListedFunding]:
        return [payment for payment in self.payments if payment.time_ms >= local_ms]


def compare(desk: FakeDesk, monkeypatch: pytest.MonkeyPatch, booked: tuple[tuple[str, str, int], ...] = ()) -> Report:
    monkeypatch.setattr(final_report, "read_books", lambda plan: OurBooks({USDM: {"USDT": 500}}, ()))
    monkeypatch.setattr(final_report, "booked_funding", lambda plan: list(booked))
    report = Report("first", "generated")
    plan: Any = SimpleNamespace()
    is_equal = asyncio.run(fill_comparison(report, plan, Instruments(()), [desk], DRAINED_MS, NullLog()))  # type: ignore[list-item]
    assert is_equal == all(row.is_equal for row in report.comparisons)
    assert bool(report.problems) != is_equal
    return report


def test_funding_that_is_paid_after_our_end_is_no_difference(monkeypatch: pytest.MonkeyPatch):
    # A campaign of kills: funding fell due between prepost's end and the report, and equal books were said to differ.
    [row] = compare(FakeDesk(521, (ListedFunding("BTCUSDT", 1_500, "USDT", 21),)), monkeypatch).comparisons
    assert row.is_equal
    assert "funding after our end" in row.what


def test_funding_of_before_that_is_in_no_journal_is_a_difference(monkeypatch: pytest.MonkeyPatch):
    report = compare(FakeDesk(521, (ListedFunding("BTCUSDT", 900, "USDT", 21),)), monkeypatch)
    [row] = report.comparisons
    assert (row.is_equal, row.ours_e8, row.theirs_e8) == (False, 500, 521)
    assert "our books differ from the exchange's: binance_usdm USDT" in report.problems[0]


def test_funding_that_prepost_still_booked_counts_once(monkeypatch: pytest.MonkeyPatch):
    desk = FakeDesk(500, (ListedFunding("BTCUSDT", 1_500, "USDT", 21),))
    [row] = compare(desk, monkeypatch, (("binance_usdm", "BTCUSDT", 1_499),)).comparisons
    assert row.is_equal


def test_books_that_could_not_be_compared_are_not_called_equal(monkeypatch: pytest.MonkeyPatch):
    def unreadable(plan: Any) -> OurBooks:
        raise DataError("journal.sqlite", "damaged")

    monkeypatch.setattr(final_report, "read_books", unreadable)
    report = Report("first", "generated")
    plan: Any = SimpleNamespace()
    assert not asyncio.run(fill_comparison(report, plan, Instruments(()), [], DRAINED_MS, NullLog()))
    assert "could not be compared" in report.problems[0]


@pytest.mark.parametrize(
    ("confirmation", "failure", "are_books_equal", "code"),
    [
        (Confirmation(), "", True, EXIT_OK),
        (Confirmation(), "", False, EXIT_DIFFERENT),
        (Confirmation(), "engine gave up", True, EXIT_FAILED),
        (Confirmation(), "engine gave up", False, EXIT_DIFFERENT),
        (Confirmation(ours=[ListedOrder(0, "BTCUSDT", "ct1", 1)]), "", True, EXIT_NOT_CLEAN),
        (Confirmation(problems=["no answer"]), "engine gave up", False, EXIT_NOT_CLEAN),
    ],
)
def test_only_nothing_open_and_equal_books_are_a_success(
    confirmation: Confirmation, failure: str, are_books_equal: bool, code: int
):
    assert exit_code(confirmation, failure, are_books_equal=are_books_equal) == code
