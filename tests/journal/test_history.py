"""What prepost is told at its start, and what a trader reads."""

import csv
import io
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from journal_bench import EPOCH, INSTRUMENTS, ORDER_ID, PAIRS, PERPETUAL, SPOT, WALL_NS, WORDS, Entries, make_bench

from reactor.domain.errors import ConfigError, DataError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import NO_PAIR, KillSwitch
from reactor.journal.history import EPOCH_ZERO_NS, EXPORTED, Reader, Span, next_epoch, read_history
from reactor.journal.schema import connect, journal_path
from reactor.journal.store import Store, StoreParameters

LATER_NS = WALL_NS + 7_200_000_000_000


def filled(tmp_path: Path, *entries: object) -> Path:
    bench = make_bench(tmp_path)
    bench.send(*entries)
    bench.settle()
    bench.role.on_stop(bench.clock.monotonic_ns())
    return bench.path


def test_every_start_has_an_epoch_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "paper" / "journal.sqlite"
    assert [next_epoch(path, "prepost", lambda: WALL_NS) for _ in range(3)] == [1, 2, 3]


def test_a_lost_journal_does_not_bring_old_order_ids_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    start_ns = EPOCH_ZERO_NS + 500 * 60_000_000_000
    before = [next_epoch(path, "", lambda: start_ns) for _ in range(3)]
    path.unlink()
    assert next_epoch(path, "", lambda: start_ns + 600_000_000_000) > max(before)


def test_an_epoch_that_orders_have_used_is_never_given_out_again(tmp_path: Path) -> None:
    path = filled(tmp_path, Entries().order())
    assert next_epoch(path, "", lambda: WALL_NS) == EPOCH + 1


def test_an_epoch_can_be_had_while_the_journal_is_being_written(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    bench.send(Entries().order())
    bench.run()
    assert next_epoch(bench.path) > 0
    bench.settle()
    with Reader(bench.path) as reader:
        assert len(reader.orders(Span())) == 1


def test_without_an_epoch_on_the_disk_there_is_no_start(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError):
        next_epoch(blocked / "journal.sqlite")


def test_history_knows_open_orders_fills_pairs_and_baselines(tmp_path: Path) -> None:
    entries = Entries()
    path = filled(
        tmp_path,
        entries.order(17, state_from=0, state_to=3, event=3),
        entries.order(17, state_from=3, state_to=4),
        entries.order(18, state_from=4, state_to=6, event=6, filled=84),
        entries.fill(7, lots=80),
        entries.fill(8, lots=4),
        entries.pair(0, 1),
        entries.pair(1, 2),
        entries.funding(55),
        entries.balance(10**12),
        entries.balance(3, entry_kind=0),
    )
    history, forgotten = read_history(path, INSTRUMENTS, PAIRS, epoch=4, wall_ns=lambda: LATER_NS)
    assert history.epoch == 4
    (order,) = history.orders
    assert (order.order_id, order.state, order.instrument_index, order.client_order_id) == (
        ORDER_ID,
        4,
        SPOT,
        "ct0000300000017",
    )
    assert (order.signal_id, order.leg, order.pair_id) == (0x7000 << 48 | 5, 1, NO_PAIR)
    assert [(fill.trade_id, fill.quantity_lots, fill.pair_id) for fill in history.fills] == [(7, 80, 0), (8, 4, 0)]
    (pair,) = history.pairs
    assert (pair.pair_id, pair.pair_sequence, pair.state, pair.direction) == (0, 1, 2, -1)
    assert (pair.entry_spread_e8, pair.opened_wall_ns) == (123_456, WALL_NS)
    assert [(funding.instrument_index, funding.amount_e8) for funding in history.fundings] == [(PERPETUAL, 55)]
    assert [(balance.asset, balance.amount_e8, balance.kind) for balance in history.balances] == [("USDT", 10**12, 1)]
    assert forgotten.instruments == ()


def test_an_order_that_has_just_ended_is_still_told(tmp_path: Path) -> None:
    path = filled(tmp_path, Entries().order(18, state_from=4, state_to=6, event=6))
    recent, _ = read_history(path, INSTRUMENTS, PAIRS, 4, wall_ns=lambda: WALL_NS + 60_000_000_000)
    assert [order.state for order in recent.orders] == [6]


def test_rows_keep_their_instruments_when_the_plan_is_renumbered(tmp_path: Path) -> None:
    entries = Entries()
    path = filled(tmp_path, entries.order(), entries.fill(7), entries.pair(0, 2))
    turned = Instruments([replace(INSTRUMENTS[1], instrument_index=0), replace(INSTRUMENTS[0], instrument_index=1)])
    history, _ = read_history(path, turned, ((1, 0),), 4, wall_ns=lambda: LATER_NS)
    assert history.orders[0].instrument_index == 1
    assert history.fills[0].instrument_index == 1
    assert [pair.pair_id for pair in history.pairs] == [0]


def test_what_the_plan_no_longer_has_is_named(tmp_path: Path) -> None:
    entries = Entries()
    path = filled(tmp_path, entries.order(), entries.fill(7), entries.pair(0, 2))
    history, forgotten = read_history(path, Instruments([]), (), 4, wall_ns=lambda: LATER_NS)
    assert (history.orders, history.fills, history.pairs) == ((), (), ())
    assert forgotten.instruments == ("binance_spot:BTCUSDT", "binance_usdm:BTCUSDT")
    assert forgotten.pairs == ("binance_spot:BTCUSDT / binance_usdm:BTCUSDT",)


def test_the_kill_switch_stands_where_it_was_left(tmp_path: Path) -> None:
    entries = Entries()
    path = filled(
        tmp_path,
        entries.operator(2, KillSwitch.HALTED, SPOT),
        entries.operator(0, KillSwitch.RUNNING),
        entries.operator(2, KillSwitch.RUNNING, PERPETUAL),
        entries.operator(1, KillSwitch.REDUCE_ONLY),
    )
    history, _ = read_history(path, INSTRUMENTS, PAIRS, 4)
    assert history.kill_switch == KillSwitch.REDUCE_ONLY
    assert history.halted_instruments == (PERPETUAL,)


def test_a_new_journal_remembers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    epoch = next_epoch(path, "", lambda: WALL_NS)
    history, _ = read_history(path, INSTRUMENTS, PAIRS, epoch)
    assert (history.epoch, history.orders, history.fills, history.kill_switch) == (1, (), (), 0)


def test_pnl_by_day_adds_up_exactly(tmp_path: Path) -> None:
    entries = Entries()
    tomorrow = entries.fill(9, pnl_e8=-300)
    tomorrow.header.exchange_ns = WALL_NS + 86_400_000_000_000
    path = filled(tmp_path, entries.fill(7, pnl_e8=700), entries.fill(8, pnl_e8=1), entries.funding(50), tomorrow)
    with Reader(path) as reader:
        first, second = reader.days(Span())
        assert (first.day, first.fills, first.realised_pnl_e8, first.fees_e8, first.funding_e8) == (
            "2025-11-24", 2, 701, 10_080_000, 50,
        )  # fmt: skip
        assert first.pnl_e8 == 701 - 10_080_000 + 50
        assert (second.day, second.realised_pnl_e8) == ("2025-11-25", -300)
        assert [day.day for day in reader.days(Span(since="2025-11-25"))] == ["2025-11-25"]


def test_a_reader_sees_orders_as_they_stand_and_their_whole_life(tmp_path: Path) -> None:
    entries = Entries()
    path = filled(
        tmp_path, entries.order(17, state_from=0, state_to=3, event=3), entries.order(18), entries.order(17, state_from=3)
    )
    with Reader(path) as reader:
        assert [row["client_order_id"] for row in reader.orders(Span())] == ["ct0000300000017", "ct0000300000018"]
        assert [row["state_to"] for row in reader.transitions("ct0000300000017")] == ["submitted", "acknowledged"]
        assert reader.orders(Span(symbol="ETHUSDT")) == []
        assert len(reader.orders(Span(since="2025-11-24", until="2025-11-24"))) == 2
        assert reader.orders(Span(since="2025-11-25")) == []
        assert len(reader.orders(Span(rows_max=1))) == 1
        assert len(reader.decision((0x7000 << 48) + 5)) == 3


def test_a_table_goes_out_as_csv(tmp_path: Path) -> None:
    entries = Entries()
    path = filled(tmp_path, entries.fill(7), entries.fill(8))
    stream = io.StringIO()
    with Reader(path) as reader:
        assert reader.export_csv("fills", stream) == 2
        with pytest.raises(ConfigError, match="no table 'sqlite_master'"):
            reader.export_csv("sqlite_master", stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [(row["trade_id"], row["price"], row["price_ticks"]) for row in rows] == [
        ("7", "60000.01", "6000001"),
        ("8", "60000.01", "6000001"),
    ]


def test_a_table_goes_out_as_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = filled(tmp_path, Entries().fill(7))
    with Reader(path) as reader:
        assert reader.export_parquet("fills", tmp_path / "fills.parquet") == 1
    assert parquet.read_table(tmp_path / "fills.parquet").column("price").to_pylist() == ["60000.01"]


def test_any_sqlite_tool_can_read_it(tmp_path: Path) -> None:
    path = filled(tmp_path, Entries().order())
    connection = sqlite3.connect(path)
    row = connection.execute("SELECT symbol, side, price, quantity, state_to FROM orders_last").fetchone()
    connection.close()
    assert row == ("BTCUSDT", "buy", "60000.01", "0.00084", "acknowledged")


def test_a_missing_journal_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is none at"):
        Reader(tmp_path / "journal.sqlite")


def test_a_newer_journal_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    connection = connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataError, match="schema 99"):
        Store(path, StoreParameters(), INSTRUMENTS, WORDS)
    with pytest.raises(DataError, match="schema 99"):
        Reader(path)


def test_an_older_journal_is_not_touched_and_one_is_told_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    connection = connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(DataError, match=r"schema 1, this one writes 2.*move it"):
        Store(path, StoreParameters(), INSTRUMENTS, WORDS)


@pytest.mark.parametrize("table", EXPORTED)
def test_everything_that_can_be_exported_exists(tmp_path: Path, table: str) -> None:
    path = filled(tmp_path, Entries().order())
    with Reader(path) as reader:
        assert reader.export_csv(table, io.StringIO()) in (0, 1)


def test_two_instances_have_two_files(tmp_path: Path) -> None:
    assert journal_path(tmp_path, "paper") != journal_path(tmp_path, "live")
