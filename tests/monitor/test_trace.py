"""Which decision an id names, and what the page says."""

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, JournalKind, Stage, Venue, new, put_text, raw_bytes
from reactor.journal.history import Reader
from reactor.journal.schema import Words, names_of
from reactor.journal.store import Store, StoreParameters
from reactor.monitor.commands import trace
from reactor.monitor.trace import find, read, show
from reactor.prepost.orders import Leg, OrderEvent, OrderState

WALL_NS = 1_764_000_000_000_000_000  # 2025-11-24T16:00:00Z
EPOCH = 7 << 40
SPOT = Instrument(0, int(Venue.BINANCE_SPOT), "BTCUSDT", "BTC", "USDT", 2, 5, 1, 1, 10, 10**9, 10**9, 1, 10**12, 5, 1, 1)
WORDS = Words(names_of(OrderState), names_of(OrderEvent))


class Writer:
    """A journal in the making."""

    def __init__(self) -> None:
        self.batch = b""
        self.sequence = 0

    def order(
        self, number: int, event: OrderEvent, at_us: int, *, signal: int = 0, leg: Leg = Leg.SINGLE, round_trip: int = 0,
        venue_order_id: int = 0, tick_us: int = 0, epoch: int = EPOCH,
    ) -> None:  # fmt: skip
        entry = new("journal")
        header = entry.header
        self.sequence += 1
        header.kind, header.sequence, header.hedge_instrument_index = JournalKind.ORDER, self.sequence, NO_INSTRUMENT
        header.order_id, header.signal_id = epoch + number, signal
        header.pair_id, header.pair_sequence = (1, round_trip) if round_trip else (NO_PAIR, 0)
        entry.wall_ns = WALL_NS + at_us * 1_000
        entry.side, entry.price_ticks, entry.quantity_lots, entry.values[4] = 1, 6_000_001, 84, int(leg)
        entry.event, entry.venue_order_id = int(event), venue_order_id
        entry.state_to = int(OrderState.SUBMITTED if event == OrderEvent.SUBMIT else OrderState.ACKNOWLEDGED)
        put_text(entry.client_order_id, f"ct{(epoch >> 40) * 100 + number}")
        if tick_us:
            header.stage_ns[Stage.RECEIVE] = tick_us * 1_000
            header.stage_ns[Stage.COMMAND if event == OrderEvent.SUBMIT else Stage.REPORT] = at_us * 1_000
        self.batch += raw_bytes(entry, "journal")

    def reader(self, folder: Path) -> Reader:
        store = Store(folder / "journal.sqlite", StoreParameters(), Instruments([SPOT]), WORDS)
        if self.batch:
            store.write(self.batch)
        store.close()
        return Reader(folder / "journal.sqlite")


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """An opening with its hedge, a grid of two, a close that prepost decided by itself, and a lone order."""
    writer = Writer()
    writer.order(1, OrderEvent.SUBMIT, 105, signal=77, leg=Leg.OPEN, round_trip=3, tick_us=10)
    writer.order(1, OrderEvent.ACK, 900, signal=77, leg=Leg.OPEN, round_trip=3, tick_us=10, venue_order_id=555)
    writer.order(2, OrderEvent.SUBMIT, 2_000, signal=77, leg=Leg.HEDGE, round_trip=3, tick_us=1_800)
    writer.order(2, OrderEvent.ACK, 2_900, signal=77, leg=Leg.HEDGE, round_trip=3, tick_us=1_800, venue_order_id=600)
    writer.order(3, OrderEvent.SUBMIT, 5_000, signal=78, leg=Leg.QUOTE, tick_us=4_900)
    writer.order(4, OrderEvent.SUBMIT, 5_000, signal=78, leg=Leg.QUOTE, tick_us=4_900)
    writer.order(5, OrderEvent.SUBMIT, 7_000, leg=Leg.UNWIND, round_trip=3)
    writer.order(6, OrderEvent.SUBMIT, 7_000, leg=Leg.HEDGE, round_trip=3)
    writer.order(7, OrderEvent.SUBMIT, 9_000, venue_order_id=600)
    return writer.reader(tmp_path)


@pytest.mark.parametrize("text", ["ct701", "ct702", "77", str(EPOCH + 1), str(EPOCH + 2), "555", hex(EPOCH + 2)])
def test_every_id_of_a_decision_names_it_whole(reader: Reader, text: str) -> None:
    assert find(reader, text) == (EPOCH + 1, EPOCH + 2)


def test_the_orders_of_a_grid_are_one_decision(reader: Reader) -> None:
    assert find(reader, "ct704") == (EPOCH + 3, EPOCH + 4)


def test_both_legs_of_a_close_are_one_decision(reader: Reader) -> None:
    assert find(reader, "ct706") == (EPOCH + 5, EPOCH + 6)


def test_an_order_of_nobodys_signal_stands_alone_and_last_is_the_newest(reader: Reader) -> None:
    assert find(reader, "ct707") == find(reader, "last") == (EPOCH + 7,)


def test_an_id_of_two_decisions_is_not_guessed(reader: Reader) -> None:
    with pytest.raises(ConfigError, match=r"600 is an id of 2 decisions; .*: ct701 \(2025-11-24 16:00:00\), ct707"):
        find(reader, "600")


def test_a_signal_id_that_came_again_after_a_start_is_not_guessed(tmp_path: Path) -> None:
    writer = Writer()
    for epoch in (EPOCH, EPOCH + (1 << 40)):
        writer.order(1, OrderEvent.SUBMIT, 105, signal=77, tick_us=10, epoch=epoch)
    reader = writer.reader(tmp_path)
    assert find(reader, "ct801") == (EPOCH + (1 << 40) + 1,)
    with pytest.raises(ConfigError, match="77 is an id of 2 decisions"):
        find(reader, "77")


@pytest.mark.parametrize("text", ["ct999", "4711", "0", "", "-1"])
def test_an_unknown_id_is_told(reader: Reader, text: str) -> None:
    with pytest.raises(ConfigError, match="knows no id"):
        find(reader, text)


def test_a_journal_without_orders_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no order yet"):
        find(Writer().reader(tmp_path), "last")


def test_the_page_names_the_orders_and_every_stage(reader: Reader) -> None:
    console = Console(width=180, file=io.StringIO(), force_terminal=False)
    show(read(reader, find(reader, "77")), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("2025-11-24: decision 77, pair 1, round trip 3", "ct701", "binance_spot:BTCUSDT", "buy 0.00084", "fill seen"):
        assert word in text
    rows = [line.split() for line in text.splitlines()]
    assert ["16:00:00.000105", "95.0", "95.0", "open", "command"] in rows


def test_the_command_prints_for_people_and_for_programs(reader: Reader, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(trace)
    journal = ["--journal", str(tmp_path / "journal.sqlite")]
    assert "decision 78" in CliRunner().invoke(app, ["ct703", *journal]).output
    story = json.loads(CliRunner().invoke(app, ["ct703", "--json", *journal]).output)
    assert [order["client_order_id"] for order in story["orders"]] == ["ct703", "ct704"]
    assert story["steps"][0] | {"stage": "tick", "since_tick_ns": 0, "time": "2025-11-24T16:00:00.004900Z"} == story["steps"][0]


def test_no_journal_is_told(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(trace)
    done = CliRunner().invoke(app, ["last", "--directory", str(tmp_path)])
    assert isinstance(done.exception, ConfigError)
    assert "trace: no journal below" in str(done.exception)
