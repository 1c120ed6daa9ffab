"""What a trader reads when he asks for the history."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, JournalKind, Venue, new, put_text, raw_bytes
from reactor.journal.history import Reader, Span
from reactor.journal.schema import Words
from reactor.journal.store import Store, StoreParameters
from reactor.monitor.history import export, money, show, show_order, span_of

WALL_NS = 1_764_000_000_000_000_000  # 2025-11-24T16:00:00Z
BTC = Instrument(0, int(Venue.BINANCE_SPOT), "BTCUSDT", "BTC", "USDT", 2, 5, 1, 1, 10, 10**9, 10**9, 1, 10**12, 5, 1, 1)
WORDS = Words({3: "submitted", 6: "filled"}, {6: "fill"}, {2: "open"}, {2: "halt"})


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    batch = b""
    for number, kind in enumerate((JournalKind.ORDER, JournalKind.FILL, JournalKind.PAIR, JournalKind.OPERATOR)):
        entry = new("journal")
        entry.header.kind, entry.header.sequence, entry.header.hedge_instrument_index = kind, number + 1, NO_INSTRUMENT
        entry.header.pair_id = NO_PAIR
        entry.wall_ns = WALL_NS
        entry.side, entry.price_ticks, entry.quantity_lots, entry.trade_id = 1, 6_000_001, 84, 55
        entry.state_from, entry.state_to, entry.event = (3, 6, 6) if kind == JournalKind.ORDER else (0, 2, 2)
        entry.amount_e8 = -150_000_000
        entry.fee_e8 = 84_000
        put_text(entry.asset, "BTC")
        put_text(entry.client_order_id, "ct1")
        entry.header.stage_ns[0], entry.header.stage_ns[4] = 1_000_000, 1_083_000
        batch += raw_bytes(entry, "journal")
    store = Store(tmp_path / "journal.sqlite", StoreParameters(), Instruments([BTC]), WORDS)
    store.write(batch)
    store.close()
    return Reader(tmp_path / "journal.sqlite")


def screen(reader: Reader, what: str) -> str:
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    show(reader, what, Span(), console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("orders", ["ct1", "binance_spot:BTCUSDT", "buy", "60000.01", "0.00084", "filled", "2025-11-24 16:00:00"]),
        ("fills", ["55", "0.00084000 BTC", "-1.5000"]),
        ("pairs", ["open", "long perpetual"]),
        ("days", ["2025-11-24", "-1.5000"]),
        ("actions", ["halt", "binance_spot:BTCUSDT"]),
    ],
)
def test_a_table_says_what_happened(reader: Reader, what: str, words: list[str]) -> None:
    text = screen(reader, what)
    for word in words:
        assert word in text


def test_the_life_of_an_order_shows_where_the_time_went(reader: Reader) -> None:
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    show_order(reader, "ct1", console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "submitted" in text
    assert "send 83" in text
    with pytest.raises(ConfigError, match="no order 'ct2'"):
        show_order(reader, "ct2", console)


def test_an_unknown_table_is_told(reader: Reader) -> None:
    with pytest.raises(ConfigError, match="no table 'trades'"):
        show(reader, "trades", Span(), Console(file=io.StringIO()))


def test_export_goes_where_the_ending_says(reader: Reader, tmp_path: Path) -> None:
    stream = io.StringIO()
    assert export(reader, "fills", "-", stream) == 1
    assert "60000.01" in stream.getvalue()
    assert export(reader, "orders", str(tmp_path / "orders.csv"), stream) == 1
    assert "ct1" in (tmp_path / "orders.csv").read_text()
    with pytest.raises(ConfigError, match="the ending says the format"):
        export(reader, "orders", str(tmp_path / "orders.xls"), stream)
    with pytest.raises(ConfigError, match="cannot write"):
        export(reader, "orders", str(tmp_path / "nowhere" / "orders.csv"), stream)


@pytest.mark.parametrize(
    ("amount_e8", "text"),
    [
        (0, "0.0000"),
        (1, "0.0000"),
        (4_999, "0.0000"),
        (5_000, "0.0001"),
        (10_000, "0.0001"),
        (-150_000_000, "-1.5000"),
        (-1, "0.0000"),
        (123_456_789_012_345, "1,234,567.8901"),
    ],
)
def test_money_is_rounded_for_the_eye(amount_e8: int, text: str) -> None:
    assert money(amount_e8) == text


def test_what_somebody_typed_is_checked() -> None:
    assert span_of("2026-11-21", "", "binance_spot:btcusdt", 5) == Span("2026-11-21", "", "BTCUSDT", 5)
    with pytest.raises(ConfigError) as raised:
        span_of("yesterday", "2026-13-01", "", 0)
    assert len(raised.value.problems) == 3
