"""One entry, one row: names, decimal text and integers."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from journal_bench import INSTRUMENTS, WORDS, Entries, batch_of

from reactor.domain.instrument import Instruments
from reactor.domain.messages import NO_INSTRUMENT, KillSwitch
from reactor.journal.rows import signed, unsigned, utc_text
from reactor.journal.store import Store, StoreParameters


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "journal.sqlite", StoreParameters(), INSTRUMENTS, WORDS)
    yield store
    store.close()


@pytest.fixture
def database(tmp_path: Path, store: Store) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def written(store: Store, database: sqlite3.Connection, table: str, *entries: Any) -> list[dict[str, Any]]:
    outcome = store.write(batch_of(*entries))
    assert outcome.rows == len(entries)
    return [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY 1")]


def test_an_order_reads_like_the_venue_wrote_it_and_counts_like_we_do(store: Store, database: sqlite3.Connection) -> None:
    (row,) = written(store, database, "orders", Entries().order())
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


def test_a_fill_names_its_fee(store: Store, database: sqlite3.Connection) -> None:
    (row,) = written(store, database, "fills", Entries().fill(7))
    assert (row["fee"], row["fee_asset"], row["is_maker"], row["is_liquidation"]) == ("0.00084000", "BTC", 1, 0)


def test_a_fill_seen_twice_is_one_row(store: Store, database: sqlite3.Connection) -> None:
    entries = Entries()
    assert len(written(store, database, "fills", entries.fill(7), entries.fill(7), entries.fill(8))) == 2


def test_a_fill_whose_fee_came_later_is_completed_once(store: Store, database: sqlite3.Connection) -> None:
    entries = Entries()
    early = entries.fill(7, asset="", fee_e8=0, pnl_e8=-8_834_286)
    complete, again = entries.fill(7, fee_e8=84_000, pnl_e8=-8_834_285), entries.fill(7, fee_e8=1, pnl_e8=1)
    (row,) = written(store, database, "fills", early, complete, again)
    assert (row["fee_e8"], row["fee_asset"], row["quantity_lots"]) == (84_000, "BTC", 84)
    assert row["realised_pnl_e8"] == -8_834_285, "what the venue says, not what we reckoned while we waited for it"


def test_both_sides_of_one_trade_are_two_fills(store: Store, database: sqlite3.Connection) -> None:
    entries = Entries()
    buy, sell = entries.fill(7), entries.fill(7)
    sell.side = -1
    assert [row["side"] for row in written(store, database, "fills", buy, sell)] == ["buy", "sell"]


def test_every_kind_finds_its_table(store: Store, database: sqlite3.Connection) -> None:
    entries = Entries()
    written(store, database, "pairs", entries.pair(0, 1), entries.funding(77), entries.operator(2, KillSwitch.HALTED))
    written(store, database, "balances", entries.balance(5), entries.blank(4), entries.order(), entries.fill(7))
    counts = {
        table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("orders", "fills", "pairs", "funding", "operator_actions", "balances", "quota_entries", "damaged")
    }
    assert counts == {table: int(table != "damaged") for table in counts}


def test_quota_changes_with_the_transitions_of_its_order_and_comes_back_by_itself(
    store: Store, database: sqlite3.Connection
) -> None:
    entries = Entries()
    made, partly, other, returned = entries.order(), entries.order(filled=60), entries.order(18), entries.blank(4)
    made.values[0], made.values[1] = partly.values[0], partly.values[1] = 84, 5_040
    partly.values[0], partly.values[1] = 24, 1_440
    other.values[0] = 10
    returned.header.order_id, returned.quantity_lots, returned.amount_e8 = partly.header.order_id, -24, -1_440
    rows = written(store, database, "quota", made, partly, other, returned)
    assert [row["change_lots"] for row in rows] == [84, -60, 10, -24]
    assert [row["change_capital_e8"] for row in rows] == [5_040, -3_600, 0, -1_440]
    assert [row["reserved_lots"] for row in rows] == [84, 24, 34, 10], "of the instrument, after it"
    assert [row["capital_used_e8"] for row in rows] == [5_040, 1_440, 1_440, 0]


def test_another_tick_size_is_another_number_and_old_prices_stay_what_they_were(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    coarser = Instruments([replace(INSTRUMENTS[0], tick_size=10), INSTRUMENTS[1]])
    entries = Entries()
    for instruments in (INSTRUMENTS, coarser, INSTRUMENTS):
        store = Store(path, StoreParameters(), instruments, WORDS)
        store.write(batch_of(entries.order()))
        store.close()
    connection = sqlite3.connect(path)
    assert [row[0] for row in connection.execute("SELECT price FROM orders")] == ["60000.01", "600000.10", "60000.01"]
    assert connection.execute("SELECT count(*) FROM instruments").fetchone()[0] == 3
    connection.close()


@pytest.mark.parametrize("ticks", [0, 1, -1, 99, -100, 6_000_001, -6_000_001])
def test_the_text_that_sqlite_makes_of_a_price_is_the_one_that_goes_to_the_venue(
    store: Store, database: sqlite3.Connection, ticks: int
) -> None:
    entry = Entries().order()
    entry.price_ticks, entry.quantity_lots = ticks, ticks
    (row,) = written(store, database, "orders", entry)
    assert (row["price"], row["quantity"]) == (INSTRUMENTS[0].price_text(ticks), INSTRUMENTS[0].quantity_text(ticks))
    assert row["time"] == utc_text(entry.wall_ns)


def test_a_pair_says_why_it_was_closed(store: Store, database: sqlite3.Connection) -> None:
    entries = Entries()
    by_age, failed = entries.pair(2, 0), entries.pair(2, 0)
    by_age.reason, failed.reason = 3, 29
    assert [row["reason"] for row in written(store, database, "pairs", by_age, failed)] == ["age", "timeout"]


def test_an_action_on_everything_names_no_symbol(store: Store, database: sqlite3.Connection) -> None:
    entries = Entries()
    all_of_it, one = written(
        store, database, "operator_actions", entries.operator(2, KillSwitch.HALTED), entries.operator(2, KillSwitch.RUNNING, 1)
    )
    assert (all_of_it["symbol"], all_of_it["action"], all_of_it["kill_switch_to"]) == ("", "halt", "halted")
    assert (one["venue"], one["symbol"]) == ("binance_usdm", "BTCUSDT")


def test_an_entry_that_makes_no_sense_is_kept_as_bytes(store: Store, database: sqlite3.Connection) -> None:
    entries = Entries()
    strange, venueless = entries.blank(99), entries.balance(5)
    venueless.venue = 900
    rows = written(store, database, "damaged", strange, venueless)
    assert [row["kind"] for row in rows] == [99, 7]
    assert len(rows[0]["message"]) == 384


def test_an_instrument_that_is_no_longer_planned_keeps_its_number(store: Store, database: sqlite3.Connection) -> None:
    entry = Entries().order()
    entry.header.instrument_index = 900
    (row,) = written(store, database, "orders", entry)
    assert (row["symbol"], row["price"]) == ("#900", "6000001 ticks")


def test_an_entry_about_no_instrument_has_no_symbol(store: Store, database: sqlite3.Connection) -> None:
    entry = Entries().order()
    entry.header.instrument_index = NO_INSTRUMENT
    (row,) = written(store, database, "orders", entry)
    assert row["symbol"] == ""


@pytest.mark.parametrize("number", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_unsigned_numbers_survive_sqlite(number: int) -> None:
    assert -(2**63) <= signed(number) < 2**63
    assert unsigned(signed(number)) == number


def test_times_no_calendar_knows_stay_numbers() -> None:
    assert utc_text(0) == "1970-01-01T00:00:00.000000Z"
    assert utc_text(2**63 - 1).startswith("2262-04-11")
    assert utc_text(-(2**63)).startswith("1677")
