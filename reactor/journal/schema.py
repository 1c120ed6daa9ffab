"""The tables, their version, where the file is, and who may write it.

Everything has wall_ns and time (when we wrote it down: integer and UTC text) and its origin (source, sequence). Prices and
quantities can be read twice: as the exact decimal text of the venue, and as the integers the system counts in (ticks,
lots; money in 1e-8 units, `_e8`). Side, states and reasons are words, with their numbers beside them where prepost needs them.

What comes often (orders, fills, quota) is kept as the bare numbers of the entry in tables called `_entries`; `orders`, `fills`
and `quota` are views that make the words of them.
"""

import fcntl
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from reactor.domain.errors import ConfigError, DataError
from reactor.domain.messages import FLAG_LIQUIDATION, FLAG_MAKER, NO_INSTRUMENT, NO_PAIR

SCHEMA_VERSION: Final = 2
NO_STATE: Final = 0xFFFF
UNKNOWN_INSTRUMENT: Final = 0x8000  # added to the number of an instrument that the writer's plan did not have
APPLICATION_ID: Final = 0x43545244  # "CTRD": file(1) and other tools can tell it from any other SQLite file.
SMALLEST_BYTES = 512  # SQLite takes a shorter file for a new one.
CHECKED_WHOLE_BYTES_MAX = 64 << 20  # About a third of a second.
BUSY_MS = 5_000  # Two writers (journal writer, epoch) meet for milliseconds; five seconds are a stuck process.

_ORIGIN = """
    wall_ns INTEGER NOT NULL,            -- CLOCK_REALTIME of the writer of the fact, ns since 1970 UTC
    time TEXT NOT NULL,                  -- the same, readable
    source INTEGER NOT NULL,             -- role that wrote it, by plan
    sequence INTEGER NOT NULL,           -- its number on the journal ring
"""

TABLES: Final[dict[str, str]] = {
    "order_entries": """-- one row per transition of an order, in numbers; to be read through `orders`
    id INTEGER PRIMARY KEY,
    wall_ns INTEGER NOT NULL, source INTEGER NOT NULL, sequence INTEGER NOT NULL,
    order_id INTEGER NOT NULL, client_order_id TEXT NOT NULL, instrument INTEGER NOT NULL,
    venue_order_id INTEGER NOT NULL, error_code INTEGER NOT NULL,
    price_ticks INTEGER NOT NULL, quantity_lots INTEGER NOT NULL, filled_lots INTEGER NOT NULL,
    reserved_lots INTEGER NOT NULL, reserved_capital_e8 INTEGER NOT NULL, filled_ticks_lots INTEGER NOT NULL,
    side_code INTEGER NOT NULL, order_type_code INTEGER NOT NULL, time_in_force_code INTEGER NOT NULL,
    state_from_code INTEGER NOT NULL, state_to_code INTEGER NOT NULL, event_code INTEGER NOT NULL, reason_code INTEGER NOT NULL,
    leg INTEGER NOT NULL, pair INTEGER NOT NULL, pair_sequence INTEGER NOT NULL, signal_id INTEGER NOT NULL,
    flags INTEGER NOT NULL, exchange_ns INTEGER NOT NULL, deadline_wall_ns INTEGER NOT NULL,
    -- where the decision had been when this was written (CLOCK_MONOTONIC of that boot, ns; 0: not yet, or not known): the
    -- place's own entry ends with command_ns, one that a report has caused has its place's send_ns, and of the report ack_ns
    -- (its frame left the socket) and report_ns (it was applied)
    receive_ns INTEGER NOT NULL, signal_ns INTEGER NOT NULL, event_ns INTEGER NOT NULL, command_ns INTEGER NOT NULL,
    send_ns INTEGER NOT NULL, ack_ns INTEGER NOT NULL, report_ns INTEGER NOT NULL,
    UNIQUE (order_id, wall_ns, sequence, source)""",  # the one index: for the life of an order, and against seeing it twice
    "fill_entries": """-- one row per trade id of the venue (two if both sides of it were ours), whoever told us and how often
    id INTEGER PRIMARY KEY,
    wall_ns INTEGER NOT NULL, source INTEGER NOT NULL, sequence INTEGER NOT NULL,
    instrument INTEGER NOT NULL, trade_id INTEGER NOT NULL,
    order_id INTEGER NOT NULL, client_order_id TEXT NOT NULL, venue_order_id INTEGER NOT NULL, fee_asset TEXT NOT NULL,
    realised_pnl_e8 INTEGER NOT NULL, fee_quote_e8 INTEGER NOT NULL, notional_e8 INTEGER NOT NULL,
    price_ticks INTEGER NOT NULL, quantity_lots INTEGER NOT NULL, filled_lots INTEGER NOT NULL, fee_e8 INTEGER NOT NULL,
    side_code INTEGER NOT NULL, position_lots INTEGER NOT NULL, entry_price_ticks_e8 INTEGER NOT NULL,
    leg INTEGER NOT NULL, pair INTEGER NOT NULL, pair_sequence INTEGER NOT NULL, signal_id INTEGER NOT NULL,
    flags INTEGER NOT NULL, exchange_ns INTEGER NOT NULL,
    UNIQUE (trade_id, instrument, side_code)""",
    "quota_entries": """-- quota that came back without a transition of its order; all other changes stand in order_entries
    id INTEGER PRIMARY KEY,
    wall_ns INTEGER NOT NULL, source INTEGER NOT NULL, sequence INTEGER NOT NULL,
    instrument INTEGER NOT NULL, order_id INTEGER NOT NULL,
    change_lots INTEGER NOT NULL, change_capital_e8 INTEGER NOT NULL,
    UNIQUE (source, sequence, wall_ns)""",
    "instruments": """-- what the instrument numbers of the entries mean; another tick or lot size is another number
    instrument INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL,
    tick_size INTEGER NOT NULL, price_decimals INTEGER NOT NULL, price_scale INTEGER NOT NULL,
    lot_size INTEGER NOT NULL, quantity_decimals INTEGER NOT NULL, quantity_scale INTEGER NOT NULL,
    UNIQUE (venue, symbol, tick_size, price_decimals, lot_size, quantity_decimals)""",
    "pairs": f"""-- one row per transition of an arbitrage pair
    id INTEGER PRIMARY KEY, {_ORIGIN}
    pair_id INTEGER NOT NULL, pair_sequence INTEGER NOT NULL,
    open_venue TEXT NOT NULL, open_symbol TEXT NOT NULL, hedge_venue TEXT NOT NULL, hedge_symbol TEXT NOT NULL,
    direction INTEGER NOT NULL,          -- -1: short perpetual and long spot; +1: the reverse
    state_from TEXT NOT NULL, state_to TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL,
    open_quantity TEXT NOT NULL, hedge_quantity TEXT NOT NULL,
    realised_pnl_e8 INTEGER NOT NULL, fees_e8 INTEGER NOT NULL, funding_e8 INTEGER NOT NULL, entry_spread_e8 INTEGER NOT NULL,
    open_lots INTEGER NOT NULL, hedge_lots INTEGER NOT NULL, carried_base_e8 INTEGER NOT NULL, opened_wall_ns INTEGER NOT NULL,
    state_from_code INTEGER NOT NULL, state_to_code INTEGER NOT NULL, reason_code INTEGER NOT NULL, flags INTEGER NOT NULL,
    UNIQUE (source, sequence, wall_ns)""",
    "funding": f"""-- one row per funding payment
    id INTEGER PRIMARY KEY, {_ORIGIN}
    venue TEXT NOT NULL, symbol TEXT NOT NULL, asset TEXT NOT NULL, amount TEXT NOT NULL,
    amount_e8 INTEGER NOT NULL, amount_quote_e8 INTEGER NOT NULL, rate_e8 INTEGER NOT NULL,
    transaction_id INTEGER NOT NULL, exchange_ns INTEGER NOT NULL,
    pair_id INTEGER, pair_sequence INTEGER NOT NULL, flags INTEGER NOT NULL,
    UNIQUE (venue, symbol, asset, transaction_id, exchange_ns)""",
    "operator_actions": f"""-- halt, reduce-only, resume, reload, … and who asked
    id INTEGER PRIMARY KEY, {_ORIGIN}
    action TEXT NOT NULL, venue TEXT NOT NULL, symbol TEXT NOT NULL,
    kill_switch_from TEXT NOT NULL, kill_switch_to TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL,
    action_code INTEGER NOT NULL, kill_switch_from_code INTEGER NOT NULL, kill_switch_to_code INTEGER NOT NULL,
    reason_code INTEGER NOT NULL,
    UNIQUE (source, sequence, wall_ns)""",
    "epochs": """-- one row per start of prepost; client order ids carry the epoch
    epoch INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, time TEXT NOT NULL, text TEXT NOT NULL""",
    "balances": f"""-- baselines, corrections, snapshots
    id INTEGER PRIMARY KEY, {_ORIGIN}
    venue TEXT NOT NULL, asset TEXT NOT NULL, free TEXT NOT NULL, locked TEXT NOT NULL,
    free_e8 INTEGER NOT NULL, locked_e8 INTEGER NOT NULL, unrealised_pnl_e8 INTEGER NOT NULL, entry_kind INTEGER NOT NULL,
    text TEXT NOT NULL, flags INTEGER NOT NULL,
    UNIQUE (source, sequence, wall_ns)""",
    "damaged": f"""-- entries that could not be written as a row: their bytes, and why
    id INTEGER PRIMARY KEY, {_ORIGIN}
    kind INTEGER NOT NULL, error TEXT NOT NULL, message BLOB NOT NULL,
    UNIQUE (source, sequence, wall_ns, kind)""",
    "words": """-- what the numbers of states mean, and which states are final
    kind TEXT NOT NULL, code INTEGER NOT NULL, name TEXT NOT NULL, is_final INTEGER NOT NULL,
    PRIMARY KEY (kind, code)""",
}

INDEXES: Final = (
    "CREATE INDEX fills_by_order ON fill_entries (order_id)",
    "CREATE INDEX pairs_by_pair ON pairs (pair_id, pair_sequence, id)",
)

# Entries come by the ten thousand a second, so what is written is the numbers; their words are made when somebody reads them.
_WHO: Final = """e.wall_ns, strftime('%Y-%m-%dT%H:%M:%S', e.wall_ns / 1000000000, 'unixepoch')
    || printf('.%06dZ', e.wall_ns % 1000000000 / 1000) AS time, e.source, e.sequence"""
_WHAT: Final = f"""
    coalesce(i.venue, '') AS venue,
    coalesce(i.symbol, CASE e.instrument WHEN {NO_INSTRUMENT} THEN '' ELSE '#' || (e.instrument - {UNKNOWN_INSTRUMENT}) END)
        AS symbol"""
_SIDE: Final = "CASE WHEN e.side_code > 0 THEN 'buy' WHEN e.side_code < 0 THEN 'sell' ELSE '' END AS side"
_PAIR: Final = f"nullif(e.pair, {NO_PAIR}) AS pair_id, e.pair_sequence"
_OF: Final = "AS e LEFT JOIN instruments AS i ON i.instrument = e.instrument"


def _decimal(value: str, decimals: str, scale: str) -> str:
    """SQL for the exact text of value / scale."""
    return f"""CASE {decimals} WHEN 0 THEN CAST({value} AS TEXT) ELSE printf('%s%d.%0*d',
        CASE WHEN {value} < 0 THEN '-' ELSE '' END, abs({value}) / {scale}, {decimals}, abs({value}) % {scale}) END"""


def _counted(column: str, name: str, unit: str, size: str, decimals: str, scale: str) -> str:
    """SQL for a number of ticks or lots as the venue writes it; of an unknown instrument, as we count it."""
    text = _decimal(f"({column} * i.{size})", f"i.{decimals}", f"i.{scale}")
    return f"CASE WHEN i.instrument IS NULL THEN {column} || ' {unit}' ELSE {text} END AS {name}"


def _price(column: str, name: str) -> str:
    return _counted(column, name, "ticks", "tick_size", "price_decimals", "price_scale")


def _quantity(column: str, name: str) -> str:
    return _counted(column, name, "lots", "lot_size", "quantity_decimals", "quantity_scale")


def _word(kind: str, column: str, name: str, none: int = -1) -> str:
    """SQL for the word of a number; `none` has none, and one that nobody knows stays a number."""
    word = f"(SELECT w.name FROM words AS w WHERE w.kind = '{kind}' AND w.code = e.{column})"
    return f"CASE e.{column} WHEN {none} THEN '' ELSE coalesce({word}, CAST(e.{column} AS TEXT)) END AS {name}"


VIEWS: Final = (
    f"""CREATE VIEW orders AS -- one row per transition of an order
    SELECT e.id, {_WHO}, e.order_id, e.client_order_id, {_WHAT}, {_SIDE},
        {_word("order_type", "order_type_code", "order_type")},
        {_word("time_in_force", "time_in_force_code", "time_in_force")},
        {_price("e.price_ticks", "price")},
        {_quantity("e.quantity_lots", "quantity")},
        {_quantity("e.filled_lots", "filled")},
        {_word("order_state", "state_from_code", "state_from", NO_STATE)},
        {_word("order_state", "state_to_code", "state_to", NO_STATE)},
        {_word("order_event", "event_code", "event")},
        {_word("reason", "reason_code", "reason", 0)},
        e.venue_order_id, e.error_code, e.price_ticks, e.quantity_lots, e.filled_lots, e.reserved_lots, e.reserved_capital_e8,
        e.filled_ticks_lots, e.side_code, e.order_type_code, e.time_in_force_code, e.state_from_code, e.state_to_code,
        e.event_code, e.reason_code, e.leg, {_PAIR}, e.signal_id, e.flags, e.exchange_ns, e.deadline_wall_ns,
        e.receive_ns, e.signal_ns, e.event_ns, e.command_ns, e.send_ns, e.ack_ns, e.report_ns
    FROM order_entries {_OF}""",
    f"""CREATE VIEW fills AS -- one row per fill
    SELECT e.id, {_WHO}, {_WHAT}, e.trade_id, e.order_id, e.client_order_id, e.venue_order_id, {_SIDE},
        {_price("e.price_ticks", "price")},
        {_quantity("e.quantity_lots", "quantity")},
        {_decimal("e.fee_e8", "8", "100000000")} AS fee, e.fee_asset,
        (e.flags & {FLAG_MAKER}) <> 0 AS is_maker, (e.flags & {FLAG_LIQUIDATION}) <> 0 AS is_liquidation,
        e.realised_pnl_e8, e.fee_quote_e8, e.notional_e8, e.price_ticks, e.quantity_lots, e.filled_lots, e.fee_e8, e.side_code,
        e.position_lots, e.entry_price_ticks_e8, e.leg, {_PAIR}, e.signal_id, e.flags, e.exchange_ns
    FROM fill_entries {_OF}""",
    f"""CREATE VIEW quota AS -- reserved (> 0) and returned (< 0): what each transition changed, and what came back by itself
    SELECT {_WHO}, {_WHAT}, e.order_id, e.change_lots, e.change_capital_e8,
        sum(e.change_lots) OVER w AS reserved_lots, sum(e.change_capital_e8) OVER w AS capital_used_e8
    FROM (
        SELECT wall_ns, source, sequence, instrument, order_id,
            reserved_lots - lag(reserved_lots, 1, 0) OVER o AS change_lots,
            reserved_capital_e8 - lag(reserved_capital_e8, 1, 0) OVER o AS change_capital_e8
        FROM (
            SELECT wall_ns, source, sequence, instrument, order_id, reserved_lots, reserved_capital_e8 FROM order_entries
            UNION ALL
            SELECT wall_ns, source, sequence, instrument, order_id, 0, 0 FROM quota_entries
        )
        WINDOW o AS (PARTITION BY order_id ORDER BY wall_ns, sequence)
    ) {_OF}
    WHERE e.change_lots <> 0 OR e.change_capital_e8 <> 0
    WINDOW w AS (PARTITION BY e.instrument ORDER BY e.wall_ns, e.sequence)""",
    """CREATE VIEW orders_last AS -- each order as it stands now
    SELECT * FROM orders WHERE id IN (SELECT max(id) FROM order_entries GROUP BY order_id)""",
    """CREATE VIEW pairs_last AS -- each round trip of a pair as it stands now
    SELECT *, (realised_pnl_e8 - fees_e8 + funding_e8) / 1e8 AS pnl_approximate
    FROM pairs WHERE id IN (SELECT max(id) FROM pairs GROUP BY pair_id, pair_sequence)""",
    """CREATE VIEW days AS -- PnL by UTC day, in quote units (rounded by the division; the e8 columns are exact)
    SELECT day, sum(fills) AS fills, sum(notional_e8) AS notional_e8, sum(realised_pnl_e8) AS realised_pnl_e8,
           sum(fees_e8) AS fees_e8, sum(funding_e8) AS funding_e8,
           sum(realised_pnl_e8 - fees_e8 + funding_e8) AS pnl_e8,
           sum(realised_pnl_e8 - fees_e8 + funding_e8) / 1e8 AS pnl_approximate
    FROM (
        SELECT date(coalesce(nullif(exchange_ns, 0), wall_ns) / 1000000000, 'unixepoch') AS day, 1 AS fills,
               abs(notional_e8) AS notional_e8, realised_pnl_e8, fee_quote_e8 AS fees_e8, 0 AS funding_e8 FROM fill_entries
        UNION ALL
        SELECT date(coalesce(nullif(exchange_ns, 0), wall_ns) / 1000000000, 'unixepoch'), 0, 0, 0, 0, amount_quote_e8
        FROM funding
    ) GROUP BY day ORDER BY day""",
)


@dataclass(frozen=True)
class Words:
    """What prepost's state numbers mean. The journal stands left of prepost, so the wiring hands them in."""

    order_states: Mapping[int, str] = field(default_factory=dict)
    order_events: Mapping[int, str] = field(default_factory=dict)
    pair_states: Mapping[int, str] = field(default_factory=dict)
    actions: Mapping[int, str] = field(default_factory=dict)  # on the kill switch
    final_order_states: frozenset[int] = frozenset()
    final_pair_states: frozenset[int] = frozenset()


NO_WORDS: Final = Words()


def names_of(enum: type[IntEnum]) -> dict[int, str]:
    """The words of an enum: number → name in lower case."""
    return {int(member): member.name.lower() for member in enum}


def journal_path(directory: str | Path, instance: str) -> Path:
    """Where an instance keeps its journal: two instances never share one."""
    return Path(directory).expanduser() / instance / "journal.sqlite"


def connect(path: Path, *, is_durable: bool = False) -> sqlite3.Connection:
    """Opens the journal for writing; makes it if it is not there.

    `is_durable`: every commit waits for the disk (synchronous=FULL); otherwise checkpoints do (NORMAL).

    Raises:
        ConfigError: the place cannot be written.
        DataError: the file is damaged, of a newer version, or not a journal.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"journal: cannot make {path.parent}: {error.strerror}; choose a directory you may write") from error
    was_there = path.exists()
    if was_there and 0 < path.stat().st_size < SMALLEST_BYTES:
        raise damaged(path, "cut to a few bytes")
    try:
        connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise ConfigError(f"journal: cannot open {path}: {error}; choose a directory you may write") from error
    try:
        _prepare(connection, path, is_durable)
    except sqlite3.Error as error:
        connection.close()
        if not was_there:
            raise ConfigError(f"journal: cannot write {path}: {error}; is the disk full or the directory read-only?") from error
        raise _cannot(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _cannot(path: Path, error: sqlite3.Error) -> ConfigError | DataError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error))
    return ConfigError(
        f"journal: cannot use {path}: {error}; is the disk full, the file read-only, or locked by another program?"
    )


def damaged(path: Path, what: str) -> DataError:
    """What to tell the trader about a journal that cannot be read."""
    return DataError(
        str(path),
        f"the journal is damaged ({what}); restore it from a backup, or move it and its -wal and -shm files away: "
        "the next start makes a new one and takes orders, fills and positions from the venue",
    )


def _prepare(connection: sqlite3.Connection, path: Path, is_durable: bool) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    has_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if application != APPLICATION_ID and (has_tables or version):
        raise ConfigError(f"journal: {path} is an SQLite file of something else; name another file")
    if version > SCHEMA_VERSION:
        raise DataError(str(path), f"written by a newer release (schema {version}, this one knows {SCHEMA_VERSION}); update")
    if has_tables and version < SCHEMA_VERSION:
        raise DataError(
            str(path),
            f"written by an earlier release (schema {version}, this one writes {SCHEMA_VERSION}); move it and its -wal and "
            "-shm files away: the next start makes a new one and takes orders, fills and positions from the venue",
        )
    if has_tables:
        # The quick one does not compare indexes with their tables: a last page that was cut may be an index.
        check = "integrity_check" if path.stat().st_size < CHECKED_WHOLE_BYTES_MAX else "quick_check"
        complaint = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
        if complaint != "ok":
            raise damaged(path, str(complaint).splitlines()[-1])
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # The store does it, in its own time.
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA temp_store = MEMORY")
    if not has_tables:
        _create(connection)


def _create(connection: sqlite3.Connection) -> None:
    """All tables in one transaction, synchronously: a journal is there whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:  # Another process may have been first.
            for name, columns in TABLES.items():
                connection.execute(f"CREATE TABLE {name} ({columns}\n)")
            for statement in (*INDEXES, *VIEWS):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


class JournalLock:
    """One system per journal. The kernel lets go of it when its holder dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._fd = -1

    def try_take(self) -> bool:
        """True: it is ours. False: somebody else has it.

        Raises:
            ConfigError: the directory cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"journal: cannot write in {self._path.parent}: {error.strerror}; choose another directory"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return True

    def holder(self) -> str:
        """Who has it, for the message."""
        try:
            return self._path.read_text().strip() or "unknown"
        except OSError:
            return "unknown"

    def release(self) -> None:
        """Lets go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
