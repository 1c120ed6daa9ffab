"""Where a start may begin to read: what prepost had booked up to a row, so that no start replays everything.

    a start:  newest checkpoint + the rows after it ─▶ prepost's books ─▶ a new checkpoint, if many rows were read

A checkpoint is a row of the journal like any other: committed as a whole, lost as a whole, never ahead of the rows that it
speaks for. What stands in it is prepost's (prepost/checkpoint.py); here it is text, with its own sum, and the plan (the
instruments and pairs) for which it was made: another plan does not use it and replays everything.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.journal.schema import connect

FILLS_MIN: Final = 1_000  # A start that has read so many makes a new checkpoint: below it replays for 10 ms.
KEPT_MAX: Final = 3  # checkpoints in the journal
FORMAT: Final = 1  # of the state; another one is not read
_TABLE: Final = """CREATE TABLE IF NOT EXISTS checkpoints ( -- what prepost had booked up to these rows; the newest counts
    id INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, format INTEGER NOT NULL, plan TEXT NOT NULL,
    fill_row INTEGER NOT NULL, funding_row INTEGER NOT NULL, order_row INTEGER NOT NULL, pair_row INTEGER NOT NULL,
    orders TEXT NOT NULL, pairs TEXT NOT NULL, state TEXT NOT NULL, checksum INTEGER NOT NULL)"""


@dataclass(frozen=True)
class Mark:
    """How far a start has read, and what must be read besides the rows after it."""

    fill_row: int = 0
    funding_row: int = 0
    order_row: int = 0
    pair_row: int = 0
    orders: tuple[int, ...] = ()  # order ids (as SQLite has them) that were not over, or late fills of which may still come
    pairs: tuple[int, ...] = ()  # rows: the last one of every pair


@dataclass(frozen=True)
class Checkpoint:
    """One row of the table."""

    mark: Mark
    state: str


def plan_text(instruments: Instruments, pairs: Sequence[tuple[int, int]]) -> str:
    """What the numbers in a state stand for."""
    rows = [
        (
            VENUE_NAMES[row.venue], row.symbol, row.tick_size, row.price_decimals, row.lot_size, row.quantity_decimals,
            row.contract_size_e8, row.is_perpetual,
        )
        for row in instruments
    ]  # fmt: skip
    return json.dumps([rows, [list(pair) for pair in pairs]])


def read_checkpoint(rows: Iterable[sqlite3.Row], plan: str) -> Checkpoint | None:
    """The newest one that is for this plan and whole; None: everything is to be replayed."""
    for row in rows:
        if row["format"] != FORMAT or row["plan"] != plan or zlib.crc32(row["state"].encode()) != row["checksum"]:
            continue
        mark = Mark(
            row["fill_row"], row["funding_row"], row["order_row"], row["pair_row"],
            tuple(json.loads(row["orders"])), tuple(json.loads(row["pairs"])),
        )  # fmt: skip
        return Checkpoint(mark, row["state"])
    return None


def write_checkpoint(path: Path, plan: str, mark: Mark, state: str, wall_ns: int) -> None:
    """One transaction.

    Raises:
        ConfigError: it cannot be written; nothing is lost, the next start reads more.
        DataError: the journal is damaged.
    """
    connection = connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        values = (
            wall_ns, FORMAT, plan, mark.fill_row, mark.funding_row, mark.order_row, mark.pair_row,
            json.dumps(mark.orders), json.dumps(mark.pairs), state, zlib.crc32(state.encode()),
        )  # fmt: skip
        connection.execute(
            "INSERT INTO checkpoints (wall_ns, format, plan, fill_row, funding_row, order_row, pair_row, orders, pairs, state,"
            " checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        connection.execute(
            "DELETE FROM checkpoints WHERE id NOT IN (SELECT id FROM checkpoints ORDER BY id DESC LIMIT ?)", (KEPT_MAX,)
        )
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise ConfigError(f"journal: cannot write a checkpoint to {path}: {error}") from error
    finally:
        connection.close()
