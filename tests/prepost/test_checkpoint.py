"""A start from a checkpoint has the books of a replay of everything, wherever the checkpoint lies and the file was cut."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepost_room import INSTRUMENTS, PERP, SPOT, Room
from test_restore import Journal, restart

from reactor.domain.messages import FLAG_FOREIGN, FLAG_LIQUIDATION
from reactor.journal.checkpoint import Mark, plan_text, write_checkpoint
from reactor.journal.history import read_history, read_start
from reactor.journal.memory import History, RememberedBalance, RememberedFill, RememberedFunding, RememberedPair
from reactor.prepost.balances import BASELINE
from reactor.prepost.orders import Leg
from reactor.prepost.pairs import PairState

PAIRS = ((SPOT, PERP),)
DAY_NS = 86_400_000_000_000


def books(room: Room) -> dict[str, Any]:
    """Everything that restored fills and payments decide."""
    desk = room.desk
    legs = [leg for pair in desk.pairs for leg in (pair.open_position, pair.hedge_position)]
    return {
        "positions": [(row.base_e8, row.value, row.realised, row.fees_e8, row.funding_e8, row.fills) for row in desk.positions],
        "legs": [(row.base_e8, row.value, row.realised, row.fees_e8, row.funding_e8, row.fills) for row in legs],
        "round trips": [pair.round_trip() for pair in desk.pairs],
        "balances": [  # A payment of nothing leaves an asset with nothing of it.
            {asset: amount for asset, amount in desk.balances.of_venue(venue).items() if amount} for venue in desk.venues
        ],
        "foreign": desk.foreign_base_e8,
        "counts": (desk.fills_booked, desk.orders_sent, desk.trades_today, desk.pairs_opened, desk.pairs_closed),
        "day": desk.money.day_start_pnl_e8,
        "funding": desk.money.funding_e8,
        "synced": desk.inquiry.synced_trade_id,
        "newest": desk.fills.newest,
        "due": [sorted(due) for due in desk.fills._fee_due],
        "orders": {key: (order.filled_lots, order.filled_value) for key, order in desk.orders.unsettled.items()},
        "known": room.role.settlement.known_fundings(),
    }


def fill_of(number: int, draw: tuple[int, int, int, int, int]) -> RememberedFill:
    """A fill that a journal might have."""
    kind, side, lots, price, age = draw
    index = SPOT if kind % 2 == 0 else PERP
    is_foreign = kind >= 6
    ticks = (6_500_000 if index == SPOT else 650_500) + price
    return RememberedFill(
        instrument_index=index,
        trade_id=100 + number,
        side=1 if side else -1,
        price_ticks=ticks,
        quantity_lots=lots,
        fee_e8=lots * 7,
        asset="BTC" if kind == 2 else "USDT",
        order_id=0 if is_foreign else (7 << 40) + 1 + number // 3,
        leg=0 if is_foreign else int(Leg.OPEN if index == SPOT else Leg.HEDGE),
        pair_id=0xFFFFFFFF if is_foreign else 0,
        pair_sequence=0 if is_foreign else 1 + number // 6,
        flags=FLAG_FOREIGN if is_foreign else 0,
        wall_ns=-age,  # made absolute by the test: days before now
        realised_e8=price * 11 if index == PERP else None,
    )


DRAWS = st.tuples(
    st.integers(0, 7), st.integers(0, 1), st.integers(1, 400), st.integers(-300, 300), st.integers(0, 2)
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(draws=st.lists(DRAWS, max_size=60), cut=st.integers(0, 60), payments=st.lists(st.integers(-900, 900), max_size=6))
def test_any_history_cut_anywhere_gives_the_same_books(
    draws: list[tuple[int, int, int, int, int]], cut: int, payments: list[int]
) -> None:
    now_ns = Room().clock.realtime_ns()
    ages = sorted((draw[4] for draw in draws), reverse=True)
    fills = [
        replace(fill_of(number, draw), wall_ns=now_ns - age * DAY_NS - (len(draws) - number))
        for number, (draw, age) in enumerate(zip(draws, ages, strict=True))
    ]
    fundings = [
        RememberedFunding(
            PERP, "USDT", amount, now_ns - (9 - number) * 3_600 * 10**9, 50 + number, flags=number % 2 * FLAG_LIQUIDATION
        )
        for number, amount in enumerate(payments)
    ]
    cut = min(cut, len(fills))
    cut_payments = min(cut, len(fundings))
    sequence = max([fill.pair_sequence for fill in fills], default=0)
    whole = History(
        epoch=8,
        fills=tuple(fills),
        fundings=tuple(fundings),
        pairs=(RememberedPair(0, sequence, int(PairState.OPEN), -1),) if sequence else (),
        balances=(RememberedBalance(INSTRUMENTS[SPOT].venue, "USDT", 10**13, BASELINE, 5),),
    )
    before = replace(whole, fills=tuple(fills[:cut]), fundings=tuple(fundings[:cut_payments]))
    after = replace(
        whole,
        fills=tuple(fills[cut:]),
        fundings=tuple(fundings[cut_payments:]),
        checkpoint=Room(history=before).checkpoints[0],
        booked=tuple((fill.instrument_index, fill.trade_id, fill.side) for fill in fills[:cut]),
    )
    assert books(Room(history=after)) == books(Room(history=whole))


# -- in the file


def lived(room: Room, journal: Journal) -> Room:
    """Round trips, a death, round trips: all of it in the journal."""
    for _ in range(3):
        room.open()
        room.settle()
        room.close()
        room.settle()
    room = restart(room, journal)
    room.run(3_000)
    room.open()
    room.settle()
    journal.write(room)
    return room


def start(path: Path, *, uses_checkpoint: bool = True) -> tuple[Room, History, Mark]:
    """The books of a start from this file."""
    clock = Room().clock
    history, _, mark = read_start(
        path, INSTRUMENTS, PAIRS, 99, wall_ns=clock.realtime_ns, uses_checkpoint=uses_checkpoint
    )  # fmt: skip
    return Room(history=history), history, mark


def keep(path: Path, room: Room, mark: Mark, pairs: Sequence[tuple[int, int]] = PAIRS) -> None:
    """Writes its checkpoint."""
    write_checkpoint(path, plan_text(INSTRUMENTS, pairs), mark, room.checkpoints[0], 1)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_a_start_reads_only_what_came_after_the_last_checkpoint(room: Room, journal: Journal) -> None:
    room = lived(room, journal)
    first, history, mark = start(journal.path)
    assert history.checkpoint == ""
    assert len(history.fills) > 10
    keep(journal.path, first, mark)
    second, history, mark = start(journal.path)
    assert history.checkpoint
    assert (history.fills, history.fundings) == ((), ())
    assert books(second) == books(first)
    keep_again = mark
    room.close()
    room.settle()
    journal.write(room)
    third, history, mark = start(journal.path)
    assert 0 < len(history.fills) <= 4
    assert mark.fill_row > keep_again.fill_row
    assert books(third) == books(start(journal.path, uses_checkpoint=False)[0])


def test_a_checkpoint_of_another_plan_or_with_a_wrong_sum_is_not_used(room: Room, journal: Journal) -> None:
    lived(room, journal)
    first, _, mark = start(journal.path)
    keep(journal.path, first, mark, pairs=())
    assert start(journal.path)[1].checkpoint == ""
    keep(journal.path, first, mark)
    assert start(journal.path)[1].checkpoint
    with sqlite3.connect(journal.path) as connection:
        connection.execute("UPDATE checkpoints SET state = replace(state, '\"fills_booked\": ', '\"fills_booked\": 1')")
    assert start(journal.path)[1].checkpoint == ""


def test_a_journal_cut_at_any_byte_gives_the_books_of_what_is_left(room: Room, journal: Journal, tmp_path: Path) -> None:
    wal = journal.path.with_name(journal.path.name + "-wal")
    room = lived(room, journal)
    first, history, mark = start(journal.path)
    begun = wal.stat().st_size
    keep(journal.path, first, mark)
    room.close()
    room.settle()
    journal.write(room)
    data, log = journal.path.read_bytes(), wal.read_bytes()
    assert len(log) > begun, "the checkpoint and what came after it are in the log"
    used = set()
    for number, size in enumerate([*range(begun, len(log), 521), len(log)]):
        torn = tmp_path / f"torn{number}" / "journal.sqlite"
        torn.parent.mkdir()
        torn.write_bytes(data)
        torn.with_name("journal.sqlite-wal").write_bytes(log[:size])
        sqlite3.connect(torn).close()
        with_checkpoint, history, _ = start(torn)
        assert books(with_checkpoint) == books(start(torn, uses_checkpoint=False)[0]), f"cut at byte {size}"
        used.add(bool(history.checkpoint))
        shutil.rmtree(torn.parent)
    assert used == {True, False}, "some cuts lost the checkpoint, some did not"


def test_the_books_for_people_are_always_replayed_whole(room: Room, journal: Journal) -> None:
    lived(room, journal)
    first, history, mark = start(journal.path)
    keep(journal.path, first, mark)
    whole, _ = read_history(journal.path, INSTRUMENTS, PAIRS, 99)
    assert (whole.checkpoint, whole.fills) == ("", history.fills)
