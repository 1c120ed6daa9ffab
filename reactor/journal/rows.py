"""Journal messages → rows of their tables. Pure.

    batch (whole messages behind one another) ──▶ [(statement, [values, values, …]), …]: one statement per table

Entries that come often (order, fill, quota) are picked out of the message's bytes as the numbers that they are, by one format
per kind that shm/layout.py derives from the layout; the views of schema.py make words of them. Of the others words are made
here. What a statement does when the row is there already is part of its meaning: an entry seen again changes nothing; a fill
seen again may bring the fee that was not known the first time.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from reactor.domain.instrument import VENUE_NAMES, Instrument, Instruments
from reactor.domain.messages import (
    NO_INSTRUMENT,
    NO_PAIR,
    SIZE,
    CloseReason,
    ControlKind,
    JournalKind,
    KillSwitch,
    OrderType,
    Reason,
    TimeInForce,
    raw_bytes,
    struct_format,
    text_of,
    view_in,
)
from reactor.domain.units import format_e8
from reactor.journal.schema import NO_STATE, UNKNOWN_INSTRUMENT, Words, names_of

SECOND_NS = 1_000_000_000
INTEGER_MAX = 2**63 - 1

Value = int | str | bytes | None
Row = tuple[str, tuple[Value, ...]]
Rows = list[tuple[str, list[tuple[Value, ...]]]]
Batch = bytes | bytearray | memoryview  # whole journal_message_t behind one another
Leg = tuple[str, str, Instrument | None]

_ORIGIN = ("wall_ns", "time", "source", "sequence")
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "pairs": (
        *_ORIGIN, "pair_id", "pair_sequence", "open_venue", "open_symbol", "hedge_venue", "hedge_symbol", "direction",
        "state_from", "state_to", "reason", "text", "open_quantity", "hedge_quantity", "realised_pnl_e8", "fees_e8",
        "funding_e8", "entry_spread_e8", "open_lots", "hedge_lots", "carried_base_e8", "opened_wall_ns", "state_from_code",
        "state_to_code", "reason_code", "flags",
    ),
    "funding": (
        *_ORIGIN, "venue", "symbol", "asset", "amount", "amount_e8", "amount_quote_e8", "rate_e8", "transaction_id",
        "exchange_ns", "pair_id", "pair_sequence", "flags",
    ),
    "operator_actions": (
        *_ORIGIN, "action", "venue", "symbol", "kill_switch_from", "kill_switch_to", "reason", "text", "action_code",
        "kill_switch_from_code", "kill_switch_to_code", "reason_code",
    ),
    "balances": (
        *_ORIGIN, "venue", "asset", "free", "locked", "free_e8", "locked_e8", "unrealised_pnl_e8", "entry_kind", "text",
        "flags",
    ),
    "damaged": (*_ORIGIN, "kind", "error", "message"),
}  # fmt: skip

_ENTRY: Final = {
    "wall_ns": "wall_ns", "source": "header.source", "sequence": "header.sequence", "order_id": "header.order_id",
    "instrument": "header.instrument_index",
}  # fmt: skip
_TRADE: Final = _ENTRY | {
    "client_order_id": "client_order_id", "venue_order_id": "venue_order_id", "price_ticks": "price_ticks",
    "quantity_lots": "quantity_lots", "filled_lots": "cumulative_lots", "side_code": "side", "leg": "values[4]",
    "pair": "header.pair_id", "pair_sequence": "header.pair_sequence", "signal_id": "header.signal_id",
    "flags": "header.flags", "exchange_ns": "header.exchange_ns",
}  # fmt: skip
# Table → its columns and where each stands in the message. What the fields mean by kind: journal_kind_e in messages.h.
_PICKED: Final[Mapping[str, Mapping[str, str]]] = {
    "order_entries": _TRADE | {
        "error_code": "values[3]", "reserved_lots": "values[0]", "reserved_capital_e8": "values[1]",
        "filled_ticks_lots": "values[2]", "order_type_code": "order_type", "time_in_force_code": "time_in_force",
        "state_from_code": "state_from", "state_to_code": "state_to", "event_code": "event", "reason_code": "reason",
        "deadline_wall_ns": "values[5]", "receive_ns": "header.stage_ns[0]", "signal_ns": "header.stage_ns[1]",
        "event_ns": "header.stage_ns[2]", "command_ns": "header.stage_ns[3]", "send_ns": "header.stage_ns[4]",
        "ack_ns": "header.stage_ns[5]", "report_ns": "header.stage_ns[6]",
    },
    "fill_entries": _TRADE | {
        "trade_id": "trade_id", "fee_asset": "asset", "realised_pnl_e8": "amount_e8", "fee_quote_e8": "values[2]",
        "notional_e8": "values[3]", "fee_e8": "fee_e8", "position_lots": "values[0]", "entry_price_ticks_e8": "values[1]",
    },
    "quota_entries": _ENTRY | {"change_lots": "quantity_lots", "change_capital_e8": "amount_e8"},
}  # fmt: skip
_TEXTS: Final = ("client_order_id", "fee_asset")
_PICKED_KINDS: Final = {
    int(JournalKind.ORDER): "order_entries", int(JournalKind.FILL): "fill_entries", int(JournalKind.QUOTA): "quota_entries",
}  # fmt: skip

# A fill that came first without its fee is completed when it comes again with it. Nothing else ever changes a row. What it
# realised is completed, too: ours was a preview, the venue's figure is what moved the wallet, and it rounds in its own way.
_COMPLETED = ("fee_asset", "fee_e8", "fee_quote_e8", "realised_pnl_e8", "flags")
_ON_CONFLICT: Final[Mapping[str, str]] = {
    "order_entries": "(order_id, wall_ns, sequence, source) DO NOTHING",
    "fill_entries": "(trade_id, instrument, side_code) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COMPLETED)
    + " WHERE fill_entries.fee_asset = '' AND excluded.fee_asset <> ''",
    "funding": "(venue, symbol, asset, transaction_id, exchange_ns) DO NOTHING",
    "damaged": "(source, sequence, wall_ns, kind) DO NOTHING",
}


def _insert(table: str, columns: Sequence[str]) -> str:
    on_conflict = _ON_CONFLICT.get(table, "(source, sequence, wall_ns) DO NOTHING")
    # A text comes as the whole field: printf() ends it at its first NUL.
    places = ", ".join("printf('%s', ?)" if table in _PICKED and column in _TEXTS else "?" for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT {on_conflict}"


class _Picker:
    """Reads the row of one table out of the bytes of a message."""

    def __init__(self, table: str) -> None:
        columns = {field: column for column, field in _PICKED[table].items()}
        text, fields = struct_format("journal", tuple(columns), is_signed=True)
        self.unpack_from: Callable[[Batch, int], tuple[Value, ...]] = struct.Struct(text).unpack_from
        self.columns = tuple(columns[field] for field in fields)
        self.instrument_place = self.columns.index("instrument")
        self.statement = _insert(table, self.columns)


PICKERS: Final = {kind: _Picker(table) for kind, table in _PICKED_KINDS.items()}
INSERT: Final[Mapping[str, str]] = {table: _insert(table, columns) for table, columns in _COLUMNS.items()}
_MESSAGE_SIZE: Final = SIZE["journal"]
_read_head: Final = struct.Struct(struct_format("journal", ("header.kind", "header.instrument_index"))[0]).unpack_from


def utc_text(wall_ns: int) -> str:
    """`2026-11-21T04:15:00.123456Z`, or the bare number for a time no calendar knows."""
    seconds, rest = divmod(wall_ns, SECOND_NS)
    text = _second(seconds)
    return f"{text}.{rest // 1000:06d}Z" if text else str(wall_ns)


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """The entries of one batch are of one second or two, and a calendar costs 3 µs."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return ""


def signed(value: int) -> int:
    """An unsigned 64-bit number as SQLite keeps it; `unsigned` is the way back."""
    return value - (1 << 64) if value > INTEGER_MAX else value


def unsigned(value: int) -> int:
    """What `signed` made, back."""
    return value + (1 << 64) if value < 0 else value


def _name(names: Mapping[int, str], code: int) -> str:
    return names.get(code) or str(code)


ORDER_TYPES: Final = names_of(OrderType)
TIMES_IN_FORCE: Final = names_of(TimeInForce)
KILL_SWITCHES: Final = names_of(KillSwitch)
CONTROLS: Final = names_of(ControlKind)
REASONS: Final = names_of(Reason)
PAIR_REASONS: Final = REASONS | names_of(CloseReason)


CODES: Final = {"order_type": ORDER_TYPES, "time_in_force": TIMES_IN_FORCE, "reason": REASONS}  # words of the entries


class RowMaker:
    """Knows the instruments and the words; everything else is in the message.

    `numbers`: the journal's number of each instrument of the plan; without them, the plan's own.
    """

    def __init__(self, instruments: Instruments, words: Words, numbers: Sequence[int] | None = None) -> None:
        self._known: Sequence[Leg] = tuple((VENUE_NAMES[row.venue], row.symbol, row) for row in instruments)
        self._words = words
        self._numbers = tuple(range(len(self._known)) if numbers is None else numbers)
        self._makers: dict[int, Callable[[Any, Any, tuple[Value, ...]], Row]] = {
            int(JournalKind.PAIR): self._pair,
            int(JournalKind.FUNDING): self._funding,
            int(JournalKind.OPERATOR): self._operator,
            int(JournalKind.BALANCE): self._balance,
        }

    def rows(self, batch: Batch) -> Rows:
        """The rows of a batch, in order, by table."""
        tables: dict[str, list[tuple[Value, ...]]] = {}
        numbers = self._numbers
        for at in range(0, len(batch), _MESSAGE_SIZE):
            kind, instrument = _read_head(batch, at)
            picker = PICKERS.get(kind)
            if picker is not None:
                statement, values = picker.statement, picker.unpack_from(batch, at)
                number = numbers[instrument] if instrument < len(numbers) else instrument | UNKNOWN_INSTRUMENT
                if number != instrument:
                    place = picker.instrument_place
                    values = (*values[:place], number, *values[place + 1 :])
            else:
                statement, values = self._row(view_in(batch, at // _MESSAGE_SIZE, "journal"))
            rows = tables.get(statement)
            if rows is None:
                tables[statement] = [values]
            else:
                rows.append(values)
        return list(tables.items())

    def _row(self, message: Any) -> Row:
        """The row of a message that comes seldom. One that makes no sense becomes a row of `damaged`: never lost, never in
        the way."""
        header = message.header
        wall_ns = message.wall_ns
        origin = (wall_ns, utc_text(wall_ns), header.source, signed(header.sequence))
        maker = self._makers.get(header.kind)
        if maker is None:
            return self._damaged(message, origin, f"no journal kind {header.kind}")
        try:
            return maker(message, header, origin)
        except Exception as error:
            return self._damaged(message, origin, f"{type(error).__name__}: {error}")

    def damaged(self, message: bytes, kind: int, origin: tuple[Value, ...], error: str) -> Row:
        """The row for something that the database refused."""
        return INSERT["damaged"], (*origin, kind, error, message)

    def _damaged(self, message: Any, origin: tuple[Value, ...], error: str) -> Row:
        return self.damaged(raw_bytes(message, "journal"), message.header.kind, origin, error)

    # -- one table each ----------------------------------------------------------------------------------------

    def _pair(self, message: Any, header: Any, origin: tuple[Value, ...]) -> Row:
        open_venue, open_symbol, open_leg = self._legs(header.instrument_index, message.venue)
        hedge_venue, hedge_symbol, hedge_leg = self._legs(header.hedge_instrument_index, message.venue)
        values = message.values
        states = self._words.pair_states
        return INSERT["pairs"], (
            *origin, header.pair_id, signed(header.pair_sequence), open_venue, open_symbol, hedge_venue, hedge_symbol,
            message.side, _state(states, message.state_from), _state(states, message.state_to),
            _name(PAIR_REASONS, message.reason) if message.reason else "",
            text_of(message.text), _quantity(open_leg, message.quantity_lots), _quantity(hedge_leg, message.cumulative_lots),
            values[0], values[1], values[2], values[3], message.quantity_lots, message.cumulative_lots, values[4], values[5],
            message.state_from, message.state_to, message.reason, header.flags,
        )  # fmt: skip

    def _funding(self, message: Any, header: Any, origin: tuple[Value, ...]) -> Row:
        venue, symbol, _ = self._legs(header.instrument_index, message.venue)
        values = message.values
        return INSERT["funding"], (
            *origin, venue, symbol, text_of(message.asset), format_e8(message.amount_e8), message.amount_e8, values[0],
            values[1], message.trade_id, header.exchange_ns, _pair_id(header), signed(header.pair_sequence), header.flags,
        )  # fmt: skip

    def _operator(self, message: Any, header: Any, origin: tuple[Value, ...]) -> Row:
        everything = header.instrument_index == NO_INSTRUMENT
        venue, symbol = ("", "") if everything else self._legs(header.instrument_index, message.venue)[:2]
        return INSERT["operator_actions"], (
            *origin, self._words.actions.get(message.event) or _name(CONTROLS, message.event), venue, symbol,
            _name(KILL_SWITCHES, message.state_from), _name(KILL_SWITCHES, message.state_to),
            self._reason(message.reason), text_of(message.text), message.event, message.state_from, message.state_to,
            message.reason,
        )  # fmt: skip

    def _balance(self, message: Any, header: Any, origin: tuple[Value, ...]) -> Row:
        values = message.values
        venue = VENUE_NAMES[message.venue]
        return INSERT["balances"], (
            *origin, venue, text_of(message.asset), format_e8(message.amount_e8), format_e8(values[0]), message.amount_e8,
            values[0], values[1], values[2], text_of(message.text), header.flags,
        )  # fmt: skip

    # -- words -------------------------------------------------------------------------------------------------

    def _legs(self, index: int, venue: int) -> Leg:
        """(venue, symbol, instrument); an instrument that the plan does not know keeps its number as a name."""
        if index < len(self._known):
            return self._known[index]
        return VENUE_NAMES[venue], "" if index == NO_INSTRUMENT else f"#{index}", None

    def _reason(self, code: int) -> str:
        return _name(REASONS, code) if code else ""


def _state(names: Mapping[int, str], code: int) -> str:
    return "" if code == NO_STATE else names.get(code, str(code))


def _quantity(instrument: Instrument | None, lots: int) -> str:
    return instrument.quantity_text(lots) if instrument is not None else f"{lots} lots"


def _pair_id(header: Any) -> int | None:
    pair_id: int = header.pair_id
    return None if pair_id == NO_PAIR else pair_id
