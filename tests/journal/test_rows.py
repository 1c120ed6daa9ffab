"""One entry, one row: names, decimal text and integers."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from journal_bench import INSTRUMENTS, WORDS, Entries

from reactor.domain.messages import NO_INSTRUMENT, KillSwitch
from reactor.journal.rows import RowMaker, signed, unsigned, utc_text
from reactor.journal.schema import connect


@pytest.fixture
def database(tmp_path: Path) -> Any:
    connection = connect(tmp_path / "journal.sqlite")
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def written(database: sqlite3.Connection, table: str, *entries: Any) -> list[dict[str, Any]]:
    maker = RowMaker(INSTRUMENTS, WORDS)
    for entry in entries:
        database.execute(*maker.row(entry))
    return [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY 1")]


def test_an_order_reads_like_the_venue_wrote_it_and_counts_like_we_do(database: sqlite3.Connection) -> None:
    (row,) = written(database, "orders", Entries().order())
    assert (row["venue"], row["symbol"], row["side"], row["order_type"], row["time_in_force"]) == (
        "binance_spot", "BTCUSDT", "buy", "limit", "post_only",
    )  # fmt: skip
    assert (row["price"], row["quantity"], row["filled"]) == ("60000.01", "0.00084", "0.00000")
    assert (row["price_ticks"], row["quantity_lots"]) == (6_000_001, 84)
    assert (row["state_from"], row["state_to"], row["event"]) == ("submitted", "acknowledged", "ack")
    assert row["client_order_id"] == "ct0000300000017"
    assert row["order_id"] >> 40 == 3
    assert row["pair_id"] is None
    assert row["time"].startswith("2025-11-24T16:00:00.")


def test_a_fill_names_its_fee(database: sqlite3.Connection) -> None:
    (row,) = written(database, "fills", Entries().fill(7))
    assert (row["fee"], row["fee_asset"], row["is_maker"], row["is_liquidation"]) == ("0.00084000", "BTC", 1, 0)


def test_a_fill_seen_twice_is_one_row(database: sqlite3.Connection) -> None:
    entries = Entries()
    assert len(written(database, "fills", entries.fill(7), entries.fill(7), entries.fill(8))) == 2


def test_a_fill_whose_fee_came_later_is_completed_once(database: sqlite3.Connection) -> None:
    entries = Entries()
    early = entries.fill(7, asset="", fee_e8=0, pnl_e8=-8_834_286)
    complete, again = entries.fill(7, fee_e8=84_000, pnl_e8=-8_834_285), entries.fill(7, fee_e8=1, pnl_e8=1)
    (row,) = written(database, "fills", early, complete, again)
    assert (row["fee_e8"], row["fee_asset"], row["quantity_lots"]) == (84_000, "BTC", 84)
    assert row["realised_pnl_e8"] == -8_834_285, "what the venue says, not what we reckoned while we waited for it"


def test_both_sides_of_one_trade_are_two_fills(database: sqlite3.Connection) -> None:
    entries = Entries()
    buy, sell = entries.fill(7), entries.fill(7)
    sell.side = -1
    assert [row["side"] for row in written(database, "fills", buy, sell)] == ["buy", "sell"]


def test_every_kind_finds_its_table(database: sqlite3.Connection) -> None:
    entries = Entries()
    written(database, "pairs", entries.pair(0, 1), entries.funding(77), entries.operator(2, KillSwitch.HALTED))
    written(database, "balances", entries.balance(5), entries.blank(4))
    counts = {
        table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("pairs", "funding", "operator_actions", "balances", "quota", "damaged")
    }
    assert counts == {"pairs": 1, "funding": 1, "operator_actions": 1, "balances": 1, "quota": 1, "damaged": 0}


def test_a_pair_says_why_it_was_closed(database: sqlite3.Connection) -> None:
    entries = Entries()
    by_age, failed = entries.pair(2, 0), entries.pair(2, 0)
    by_age.reason, failed.reason = 3, 29
    assert [row["reason"] for row in written(database, "pairs", by_age, failed)] == ["age", "timeout"]


def test_an_action_on_everything_names_no_symbol(database: sqlite3.Connection) -> None:
    entries = Entries()
    all_of_it, one = written(
        database, "operator_actions", entries.operator(2, KillSwitch.HALTED), entries.operator(2, KillSwitch.RUNNING, 1)
    )
    assert (all_of_it["symbol"], all_of_it["action"], all_of_it["kill_switch_to"]) == ("", "halt", "halted")
    assert (one["venue"], one["symbol"]) == ("binance_usdm", "BTCUSDT")


def test_an_entry_that_makes_no_sense_is_kept_as_bytes(database: sqlite3.Connection) -> None:
    entries = Entries()
    strange, venueless = entries.blank(99), entries.balance(5)
    venueless.venue = 900
    rows = written(database, "damaged", strange, venueless)
    assert [row["kind"] for row in rows] == [99, 7]
    assert len(rows[0]["message"]) == 384


def test_an_instrument_that_is_no_longer_planned_keeps_its_number(database: sqlite3.Connection) -> None:
    entry = Entries().order()
    entry.header.instrument_index = 900
    (row,) = written(database, "orders", entry)
    assert (row["symbol"], row["price"]) == ("#900", "6000001 ticks")


def test_an_entry_about_no_instrument_has_no_symbol(database: sqlite3.Connection) -> None:
    entry = Entries().order()
    entry.header.instrument_index = NO_INSTRUMENT
    (row,) = written(database, "orders", entry)
    assert row["symbol"] == ""


@pytest.mark.parametrize("number", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_unsigned_numbers_survive_sqlite(number: int) -> None:
    assert -(2**63) <= signed(number) < 2**63
    assert unsigned(signed(number)) == number


def test_times_no_calendar_knows_stay_numbers() -> None:
    assert utc_text(0) == "1970-01-01T00:00:00.000000Z"
    assert utc_text(2**63 - 1).startswith("2262-04-11")
    assert utc_text(-(2**63)).startswith("1677")
