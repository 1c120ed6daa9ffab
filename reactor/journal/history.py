"""What the journal remembers: for prepost before its first order, and for people who ask.

    next_epoch(path)         the epoch of this start, on the disk before it is returned
    read_history(path, …)    everything prepost rebuilds itself from
    Reader(path)             orders, fills, pairs, funding, days; export

Reading does not disturb the writer (WAL), nor does it need one.
"""

import csv
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from reactor.domain.errors import ConfigError, DataError
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import NO_PAIR, KillSwitch
from reactor.journal.checkpoint import Checkpoint, Mark, plan_text, read_checkpoint
from reactor.journal.memory import (
    History,
    RememberedBalance,
    RememberedFill,
    RememberedFunding,
    RememberedOrder,
    RememberedPair,
)
from reactor.journal.rows import signed, unsigned, utc_text
from reactor.journal.schema import APPLICATION_ID, BUSY_MS, SCHEMA_VERSION, connect, damaged

EPOCH_MAX = 2**23 - 1  # order_id = epoch << 40 | number stays positive in SQLite: minutes enough until 2041
EPOCH_ZERO_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
MINUTE_NS = 60_000_000_000
EXPORTED = ("orders", "fills", "pairs", "funding", "quota", "operator_actions", "epochs", "balances", "days")
ROWS_PER_FETCH = 1_000
BOOKED_MAX = 50_000  # trades before a checkpoint that a start remembers by their ids: as many as prepost keeps
LAST_OF_ORDERS = """SELECT max(id) FROM order_entries WHERE id > ?1 OR order_id IN (SELECT value FROM json_each(?2))
    GROUP BY order_id"""


def next_epoch(path: Path, text: str = "", wall_ns: Callable[[], int] = time.time_ns) -> int:
    """A new epoch, larger than every one before, already on the disk. The journal is made if it is not there.

    It is at least the number of minutes since 2026, so that a journal that was lost, or moved away, does not make ids that
    were used before.

    Raises:
        ConfigError: it cannot be written, so no order may be made.
        DataError: the journal is damaged.
    """
    connection = connect(path, is_durable=True)
    try:
        connection.execute("BEGIN IMMEDIATE")
        last: int = connection.execute("SELECT coalesce(max(epoch), 0) FROM epochs").fetchone()[0]
        # Orders know epochs too: a journal whose last page was lost must not give one out twice.
        used: int = connection.execute("SELECT coalesce(max(order_id), 0) >> 40 FROM order_entries").fetchone()[0]
        now_ns = wall_ns()
        epoch = max(last + 1, used + 1, (now_ns - EPOCH_ZERO_NS) // MINUTE_NS)
        if epoch > EPOCH_MAX:
            raise ConfigError(f"journal: no epoch is left after {last} in {path}; begin a new one with another order id prefix")
        row = (epoch, now_ns, utc_text(now_ns), text)
        connection.execute("INSERT INTO epochs (epoch, wall_ns, time, text) VALUES (?, ?, ?, ?)", row)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise ConfigError(f"journal: cannot write the epoch to {path}: {error}; no order is made without it") from error
    finally:
        connection.close()
    return epoch


@dataclass(frozen=True)
class Forgotten:
    """What is in the journal and not in the plan: rows of instruments or pairs that are no longer configured."""

    instruments: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


def read_history(
    path: Path,
    instruments: Instruments,
    pairs: Sequence[tuple[int, int]],
    epoch: int,
    closed_orders_age_ns: int = 3_600_000_000_000,
    wall_ns: Callable[[], int] = time.time_ns,
) -> tuple[History, Forgotten]:
    """Everything there ever was that prepost can rebuild itself from, and what it will not find again.

    Orders: those that are not final, and final ones of the last hour, whose late fills may still come. Call it when the
    journal writer has emptied the ring (`Producer.free() == capacity`), otherwise what is still in it is missing.

    Raises:
        ConfigError, DataError: see Reader.
    """
    return read_start(path, instruments, pairs, epoch, closed_orders_age_ns, wall_ns, uses_checkpoint=False)[:2]


def read_start(
    path: Path,
    instruments: Instruments,
    pairs: Sequence[tuple[int, int]],
    epoch: int,
    closed_orders_age_ns: int = 3_600_000_000_000,
    wall_ns: Callable[[], int] = time.time_ns,
    *,
    uses_checkpoint: bool = True,
) -> tuple[History, Forgotten, Mark]:
    """As `read_history`, from the newest checkpoint on; and how far it has read, for the next checkpoint.

    Raises:
        ConfigError, DataError: see Reader.
    """
    with Reader(path) as reader:
        replay = _Replay(instruments, pairs)
        checkpoint = reader.checkpoint(plan_text(instruments, pairs)) if uses_checkpoint else None
        since = Mark() if checkpoint is None else checkpoint.mark
        orders = tuple(replay.orders(reader, wall_ns() - closed_orders_age_ns, since))
        booked = tuple(replay.booked(reader, since))
        history = History(
            epoch=epoch,
            orders=orders,
            fills=tuple(replay.fills(reader, since)),
            fundings=tuple(replay.fundings(reader, since)),
            pairs=tuple(replay.pairs(reader, since)),
            checkpoint="" if checkpoint is None else checkpoint.state,
            booked=booked,
            is_booked_whole=len(booked) < BOOKED_MAX,
            balances=tuple(replay.balances(reader)),
            kill_switch=replay.kill_switch(reader),
            halted_instruments=tuple(replay.halted(reader)),
        )
        mark = reader.mark(since, tuple(signed(order.order_id) for order in orders))
        return history, Forgotten(tuple(sorted(replay.unknown)), tuple(sorted(replay.unknown_pairs))), mark


class _Replay:
    """Rows with names → rows with the indexes of today's plan."""

    def __init__(self, instruments: Instruments, pairs: Sequence[tuple[int, int]]) -> None:
        self._indexes = {(VENUE_NAMES[row.venue], row.symbol): row.instrument_index for row in instruments}
        self._venues = {name: venue for venue, name in enumerate(VENUE_NAMES)}
        self._pairs = {legs: pair_id for pair_id, legs in enumerate(pairs)}
        self._pair_ids: dict[int, int] = {}  # of the journal → of today, by the legs it had last
        self.unknown: set[str] = set()
        self.unknown_pairs: set[str] = set()

    def orders(self, reader: "Reader", closed_since_ns: int, since: Mark) -> Iterator[RememberedOrder]:
        self._learn_pairs(reader, since)
        rows = reader.rows(
            f"SELECT * FROM orders WHERE id IN ({LAST_OF_ORDERS}) AND (wall_ns >= ?3 OR state_to_code NOT IN "
            "(SELECT code FROM words WHERE kind = 'order_state' AND is_final)) ORDER BY id",
            (since.order_row, json.dumps(since.orders), closed_since_ns),
        )
        for row in rows:
            index = self._index(row["venue"], row["symbol"])
            if index is None:
                continue
            yield RememberedOrder(
                order_id=unsigned(row["order_id"]),
                instrument_index=index,
                side=row["side_code"],
                order_type=row["order_type_code"],
                time_in_force=row["time_in_force_code"],
                price_ticks=row["price_ticks"],
                quantity_lots=row["quantity_lots"],
                state=row["state_to_code"],
                venue_order_id=row["venue_order_id"],
                filled_lots=row["filled_lots"],
                leg=row["leg"],
                pair_id=self._pair_id(row["pair_id"]),
                pair_sequence=unsigned(row["pair_sequence"]),
                signal_id=unsigned(row["signal_id"]),
                flags=row["flags"],
                client_order_id=row["client_order_id"],
            )

    def booked(self, reader: "Reader", since: Mark) -> list[tuple[int, int, int]]:
        """The last trades up to the mark, oldest first: some of them may be told again."""
        if not since.fill_row:
            return []
        query = "SELECT venue, symbol, trade_id, side_code FROM fills WHERE id <= ? ORDER BY id DESC LIMIT ?"
        found = []
        for row in reader.rows(query, (since.fill_row, BOOKED_MAX)):
            index = self._index(row["venue"], row["symbol"])
            if index is not None:
                found.append((index, row["trade_id"], row["side_code"]))
        found.reverse()
        return found

    def fills(self, reader: "Reader", since: Mark) -> Iterator[RememberedFill]:
        for row in reader.rows("SELECT * FROM fills WHERE id > ? ORDER BY id", (since.fill_row,)):
            index = self._index(row["venue"], row["symbol"])
            if index is None:
                continue
            yield RememberedFill(
                instrument_index=index,
                trade_id=row["trade_id"],
                side=row["side_code"],
                price_ticks=row["price_ticks"],
                quantity_lots=row["quantity_lots"],
                fee_e8=row["fee_e8"],
                asset=row["fee_asset"],
                order_id=unsigned(row["order_id"]),
                leg=row["leg"],
                pair_id=self._pair_id(row["pair_id"]),
                pair_sequence=unsigned(row["pair_sequence"]),
                flags=row["flags"],
                wall_ns=row["wall_ns"],
                venue_order_id=row["venue_order_id"],
                realised_e8=row["realised_pnl_e8"],
            )

    def fundings(self, reader: "Reader", since: Mark) -> Iterator[RememberedFunding]:
        for row in reader.rows("SELECT * FROM funding WHERE id > ? ORDER BY id", (since.funding_row,)):
            index = self._index(row["venue"], row["symbol"])
            if index is None:
                continue
            yield RememberedFunding(
                instrument_index=index,
                asset=row["asset"],
                amount_e8=row["amount_e8"],
                exchange_ns=row["exchange_ns"],
                trade_id=row["transaction_id"],
                pair_id=self._pair_id(row["pair_id"]),
                wall_ns=row["wall_ns"],
                flags=row["flags"],
            )

    def pairs(self, reader: "Reader", since: Mark) -> Iterator[RememberedPair]:
        """The newest round trip of every pair of today's plan."""
        for row in reader.last_pairs(since):
            pair_id = self._pair_id(row["pair_id"])
            if pair_id == NO_PAIR:
                continue
            yield RememberedPair(
                pair_id=pair_id,
                pair_sequence=unsigned(row["pair_sequence"]),
                state=row["state_to_code"],
                direction=row["direction"],
                entry_spread_e8=row["entry_spread_e8"],
                opened_wall_ns=row["opened_wall_ns"],
            )

    def balances(self, reader: "Reader") -> Iterator[RememberedBalance]:
        for row in reader.rows("SELECT * FROM balances WHERE entry_kind > 0 ORDER BY id"):
            venue = self._venues.get(row["venue"])
            if venue is not None:
                yield RememberedBalance(venue, row["asset"], row["free_e8"], row["entry_kind"], row["wall_ns"])

    def kill_switch(self, reader: "Reader") -> int:
        """Where it stood, as the last action on everything left it."""
        for row in reader.rows("SELECT kill_switch_to_code FROM operator_actions WHERE symbol = '' ORDER BY id DESC LIMIT 1"):
            return int(row["kill_switch_to_code"])
        return int(KillSwitch.RUNNING)

    def halted(self, reader: "Reader") -> Iterator[int]:
        """Instruments that were halted for themselves since everything was last allowed to run."""
        rows = reader.rows(
            "SELECT DISTINCT venue, symbol FROM operator_actions WHERE symbol <> '' AND id > "
            "(SELECT coalesce(max(id), 0) FROM operator_actions WHERE symbol = '' AND kill_switch_to_code = ?)",
            (int(KillSwitch.RUNNING),),
        )
        for row in rows:
            index = self._index(row["venue"], row["symbol"])
            if index is not None:
                yield index

    def _learn_pairs(self, reader: "Reader", since: Mark) -> None:
        for row in reader.last_pairs(since):
            legs = (
                self._index(row["open_venue"], row["open_symbol"]),
                self._index(row["hedge_venue"], row["hedge_symbol"]),
            )
            pair_id = self._pairs.get(legs, NO_PAIR)  # type: ignore[arg-type]  # A leg that is None is in no pair.
            self._pair_ids[row["pair_id"]] = pair_id
            if pair_id == NO_PAIR:
                self.unknown_pairs.add(f"{row['open_venue']}:{row['open_symbol']} / {row['hedge_venue']}:{row['hedge_symbol']}")

    def _index(self, venue: str, symbol: str) -> int | None:
        index = self._indexes.get((venue, symbol))
        if index is None:
            self.unknown.add(f"{venue}:{symbol}")
        return index

    def _pair_id(self, journaled: int | None) -> int:
        if journaled is None:
            return NO_PAIR
        return self._pair_ids.get(journaled, journaled)


@dataclass(frozen=True)
class Span:
    """What part of the history: from day to day (UTC, `2026-11-21`; empty: open), of one symbol or all, at most `rows_max`."""

    since: str = ""
    until: str = ""
    symbol: str = ""
    rows_max: int = 100


@dataclass(frozen=True)
class Day:
    """One UTC day, in 1e-8 quote units."""

    day: str
    fills: int
    notional_e8: int
    realised_pnl_e8: int
    fees_e8: int
    funding_e8: int

    @property
    def pnl_e8(self) -> int:
        """What the day brought: prices − fees + funding."""
        return self.realised_pnl_e8 - self.fees_e8 + self.funding_e8


Row = sqlite3.Row  # row["symbol"], by the column names of schema.py


class Reader:
    """The journal, read-only. Closes with `with`."""

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            ConfigError: it is not there, or not a journal.
            DataError: it is damaged, or of another version.
        """
        if not path.is_file():
            raise ConfigError(f"journal: there is none at {path}; it is made when this instance first runs")
        self._path = path
        try:
            self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_MS / 1000)
            self._connection.row_factory = sqlite3.Row
            application = self._connection.execute("PRAGMA application_id").fetchone()[0]
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise self._problem(error) from error
        if application != APPLICATION_ID:
            raise ConfigError(f"journal: {path} is an SQLite file of something else")
        if version != SCHEMA_VERSION:
            raise DataError(str(path), f"schema {version}; this release knows {SCHEMA_VERSION}")

    def rows(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """The rows of a query.

        Raises:
            DataError: the file is damaged.
        """
        try:
            cursor = self._connection.execute(query, tuple(values))
            while rows := cursor.fetchmany(ROWS_PER_FETCH):
                yield from rows
        except sqlite3.Error as error:
            raise self._problem(error) from error

    # -- for a start -----------------------------------------------------------------------------------------

    def checkpoint(self, plan: str) -> Checkpoint | None:
        """The newest that a start with this plan can begin with."""
        if not list(self.rows("SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'")):
            return None
        return read_checkpoint(self.rows("SELECT * FROM checkpoints ORDER BY id DESC"), plan)

    def last_pairs(self, since: Mark) -> list[Row]:
        """The newest row of every pair."""
        query = (
            "SELECT * FROM pairs WHERE id IN (SELECT max(id) FROM pairs WHERE id > ? OR id IN (SELECT value FROM json_each(?))"
            " GROUP BY pair_id) ORDER BY id"
        )
        return list(self.rows(query, (since.pair_row, json.dumps(since.pairs))))

    def mark(self, since: Mark, orders: tuple[int, ...]) -> Mark:
        """How far the file goes now. Only right while nobody writes: see `read_history`."""
        tables = ("fill_entries", "funding", "order_entries", "pairs")
        fills, fundings, entries, pairs = (
            int(next(self.rows(f"SELECT coalesce(max(id), 0) AS last FROM {table}"))["last"]) for table in tables
        )
        return Mark(fills, fundings, entries, pairs, orders, tuple(row["id"] for row in self.last_pairs(since)))

    # -- for people ------------------------------------------------------------------------------------------

    def orders(self, span: Span) -> list[Row]:
        """Orders as they stand now, newest first."""
        return self._latest("orders_last", span, "symbol")

    def transitions(self, client_order_id: str) -> list[Row]:
        """The whole life of one order."""
        return list(self.rows("SELECT * FROM orders WHERE client_order_id = ? ORDER BY id", (client_order_id,)))

    def decision(self, signal_id: int) -> list[Row]:
        """Every order transition that one signal caused."""
        return list(self.rows("SELECT * FROM orders WHERE signal_id = ? ORDER BY id", (signal_id,)))

    def fills(self, span: Span) -> list[Row]:
        """Fills, newest first."""
        return self._latest("fills", span, "symbol")

    def pairs(self, span: Span) -> list[Row]:
        """Round trips of pairs as they stand now, newest first."""
        return self._latest("pairs_last", span, "open_symbol")

    def actions(self, span: Span) -> list[Row]:
        """What operators did, newest first."""
        return self._latest("operator_actions", span, "symbol")

    def days(self, span: Span) -> list[Day]:
        """PnL by UTC day, oldest first; over all symbols."""
        rows = self.rows(
            "SELECT * FROM days WHERE day >= ? AND day <= ? ORDER BY day", (span.since or "0000", span.until or "9999")
        )
        return [
            Day(row["day"], row["fills"], row["notional_e8"], row["realised_pnl_e8"], row["fees_e8"], row["funding_e8"])
            for row in rows
        ]

    def export_csv(self, table: str, stream: TextIO) -> int:
        """Writes a whole table; returns the number of rows.

        Raises:
            ConfigError: no such table.
        """
        names = self._columns(table)
        writer = csv.writer(stream)
        writer.writerow(names)
        count = 0
        for row in self.rows(f"SELECT * FROM {table}"):
            writer.writerow(row[name] for name in names)
            count += 1
        return count

    def export_parquet(self, table: str, target: Path) -> int:
        """Writes a whole table; returns the number of rows.

        Raises:
            ConfigError: no such table, or pyarrow is not installed.
        """
        names = self._columns(table)
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ConfigError("history: Parquet needs pyarrow; install it with: pip install 'crypto-trade[parquet]'") from error
        rows = list(self.rows(f"SELECT * FROM {table}"))
        columns = {name: [row[name] for row in rows] for name in names}
        pyarrow.parquet.write_table(pyarrow.table(columns), target)
        return len(rows)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _latest(self, table: str, span: Span, symbol_column: str) -> list[Row]:
        # Days compare as text: the time column begins with the day.
        query = (
            f"SELECT * FROM {table} WHERE time >= ? AND time < ? AND (? = '' OR {symbol_column} = ?) ORDER BY id DESC LIMIT ?"
        )
        until = f"{span.until}~" if span.until else "~"
        return list(self.rows(query, (span.since, until, span.symbol, span.symbol, span.rows_max)))

    def _columns(self, table: str) -> tuple[str, ...]:
        if table not in EXPORTED:
            raise ConfigError(f"history: no table {table!r}; there are {', '.join(EXPORTED)}")
        return tuple(column[0] for column in self._connection.execute(f"SELECT * FROM {table} LIMIT 0").description)

    def _problem(self, error: sqlite3.Error) -> ConfigError | DataError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return damaged(self._path, str(error))
        return ConfigError(f"journal: cannot read {self._path}: {error}")
