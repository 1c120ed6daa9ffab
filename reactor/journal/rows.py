"""One journal message → one row of its table. Pure.

A row is (statement, values). What a statement does when the row is there already is part of its meaning: an entry seen
again changes nothing; a fill seen again may bring the fee that was not known the first time.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from reactor.domain.instrument import VENUE_NAMES, Instrument, Instruments
from reactor.domain.messages import (
    FLAG_LIQUIDATION,
    FLAG_MAKER,
    NO_INSTRUMENT,
    NO_PAIR,
    CloseReason,
    ControlKind,
    JournalKind,
    KillSwitch,
    OrderType,
    Reason,
    TimeInForce,
    raw_bytes,
    text_of,
)
from reactor.domain.units import format_e8
from reactor.journal.schema import Words, names_of

NO_STATE = 0xFFFF
SECOND_NS = 1_000_000_000
INTEGER_MAX = 2**63 - 1

Value = int | str | bytes | None
Row = tuple[str, tuple[Value, ...]]
Leg = tuple[str, str, Instrument | None]

_ORIGIN = ("wall_ns", "time", "source", "sequence")
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "orders": (
        *_ORIGIN, "order_id", "client_order_id", "venue", "symbol", "side", "order_type", "time_in_force", "price", "quantity",
        "filled", "state_from", "state_to", "event", "reason", "text", "venue_order_id", "error_code", "price_ticks",
        "quantity_lots", "filled_lots", "reserved_lots", "reserved_capital_e8", "filled_ticks_lots", "side_code",
        "order_type_code", "time_in_force_code", "state_from_code", "state_to_code", "event_code", "reason_code", "leg",
        "pair_id", "pair_sequence", "signal_id", "flags", "exchange_ns", "deadline_wall_ns", "receive_ns", "signal_ns",
        "event_ns", "command_ns", "send_ns", "ack_ns", "report_ns",
    ),
    "fills": (
        *_ORIGIN, "venue", "symbol", "trade_id", "order_id", "client_order_id", "venue_order_id", "side", "price", "quantity",
        "fee", "fee_asset", "is_maker", "is_liquidation", "realised_pnl_e8", "fee_quote_e8", "notional_e8", "price_ticks",
        "quantity_lots", "filled_lots", "fee_e8", "side_code", "position_lots", "entry_price_ticks_e8", "leg", "pair_id",
        "pair_sequence", "signal_id", "flags", "exchange_ns",
    ),
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
    "quota": (
        *_ORIGIN, "venue", "symbol", "order_id", "change_lots", "change_capital_e8", "reserved_lots", "capital_used_e8",
        "pending_orders", "trades_today", "reason", "reason_code",
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

# A fill that came first without its fee is completed when it comes again with it. Nothing else ever changes a row. What it
# realised is completed, too: ours was a preview, the venue's figure is what moved the wallet, and it rounds in its own way.
_COMPLETED = ("fee", "fee_asset", "fee_e8", "fee_quote_e8", "realised_pnl_e8", "is_maker", "flags")
_ON_CONFLICT: Final[Mapping[str, str]] = {
    "fills": "(venue, symbol, trade_id, side_code) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COMPLETED)
    + " WHERE fills.fee_asset = '' AND excluded.fee_asset <> ''",
    "funding": "(venue, symbol, asset, transaction_id, exchange_ns) DO NOTHING",
    "damaged": "(source, sequence, wall_ns, kind) DO NOTHING",
}


def _insert(table: str) -> str:
    columns = _COLUMNS[table]
    on_conflict = _ON_CONFLICT.get(table, "(source, sequence, wall_ns) DO NOTHING")
    places = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT {on_conflict}"


INSERT: Final[Mapping[str, str]] = {table: _insert(table) for table in _COLUMNS}


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


class RowMaker:
    """Knows the instruments and the words; everything else is in the message."""

    def __init__(self, instruments: Instruments, words: Words) -> None:
        self._known: Sequence[Leg] = tuple((VENUE_NAMES[row.venue], row.symbol, row) for row in instruments)
        self._words = words
        self._makers: dict[int, Callable[[Any, Any, tuple[Value, ...]], Row]] = {
            int(JournalKind.ORDER): self._order,
            int(JournalKind.FILL): self._fill,
            int(JournalKind.PAIR): self._pair,
            int(JournalKind.FUNDING): self._funding,
            int(JournalKind.QUOTA): self._quota,
            int(JournalKind.OPERATOR): self._operator,
            int(JournalKind.BALANCE): self._balance,
        }

    def row(self, message: Any) -> Row:
        """The row of a journal_message_t. One that makes no sense becomes a row of `damaged`: never lost, never in the way."""
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

    def _order(self, message: Any, header: Any, origin: tuple[Value, ...]) -> Row:
        venue, symbol, instrument = self._legs(header.instrument_index, message.venue)
        values = message.values
        words = self._words
        return INSERT["orders"], (
            *origin, signed(header.order_id), text_of(message.client_order_id), venue, symbol, _side(message.side),
            _name(ORDER_TYPES, message.order_type), _name(TIMES_IN_FORCE, message.time_in_force),
            _price(instrument, message.price_ticks), _quantity(instrument, message.quantity_lots),
            _quantity(instrument, message.cumulative_lots), _state(words.order_states, message.state_from),
            _state(words.order_states, message.state_to), words.order_events.get(message.event, str(message.event)),
            self._reason(message.reason), text_of(message.text), message.venue_order_id, values[3], message.price_ticks,
            message.quantity_lots, message.cumulative_lots, values[0], values[1], values[2], message.side, message.order_type,
            message.time_in_force, message.state_from, message.state_to, message.event, message.reason, values[4],
            _pair_id(header), signed(header.pair_sequence), signed(header.signal_id), header.flags, header.exchange_ns,
            values[5], *header.stage_ns,
        )  # fmt: skip

    def _fill(self, message: Any, header: Any, origin: tuple[Value, ...]) -> Row:
        venue, symbol, instrument = self._legs(header.instrument_index, message.venue)
        values = message.values
        flags = header.flags
        return INSERT["fills"], (
            *origin, venue, symbol, message.trade_id, signed(header.order_id), text_of(message.client_order_id),
            message.venue_order_id, _side(message.side), _price(instrument, message.price_ticks),
            _quantity(instrument, message.quantity_lots), format_e8(message.fee_e8), text_of(message.asset),
            int(bool(flags & FLAG_MAKER)), int(bool(flags & FLAG_LIQUIDATION)), message.amount_e8, values[2], values[3],
            message.price_ticks, message.quantity_lots, message.cumulative_lots, message.fee_e8, message.side, values[0],
            values[1], values[4], _pair_id(header), signed(header.pair_sequence), signed(header.signal_id), flags,
            header.exchange_ns,
        )  # fmt: skip

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

    def _quota(self, message: Any, header: Any, origin: tuple[Value, ...]) -> Row:
        venue, symbol, _ = self._legs(header.instrument_index, message.venue)
        values = message.values
        return INSERT["quota"], (
            *origin, venue, symbol, signed(header.order_id), message.quantity_lots, message.amount_e8, values[0], values[1],
            values[2], values[3], self._reason(message.reason), message.reason,
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


def _side(side: int) -> str:
    return "buy" if side > 0 else "sell" if side < 0 else ""


def _state(names: Mapping[int, str], code: int) -> str:
    return "" if code == NO_STATE else names.get(code, str(code))


def _price(instrument: Instrument | None, ticks: int) -> str:
    return instrument.price_text(ticks) if instrument is not None else f"{ticks} ticks"


def _quantity(instrument: Instrument | None, lots: int) -> str:
    return instrument.quantity_text(lots) if instrument is not None else f"{lots} lots"


def _pair_id(header: Any) -> int | None:
    pair_id: int = header.pair_id
    return None if pair_id == NO_PAIR else pair_id
