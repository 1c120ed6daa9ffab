"""What C reads of private frames, the Python codec reads alike, byte for byte of the report; and C reads the usual ones."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.domain.ids import ClientIds, order_id_of
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_OURS,
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    SIZE,
    VIEW,
    CommandKind,
    ReportKind,
    Venue,
    new,
    put_text,
    raw_bytes,
)
from reactor.engine.counters import Counter
from reactor.engine.reports import OrderMemory, ReportWriter
from reactor.exchanges.binance.executions import (
    PRIVATE_BROKEN,
    PRIVATE_CONTROL,
    PRIVATE_FRAME,
    PRIVATE_OFFSET,
    PRIVATE_READ,
    PRIVATE_STOP_SHIFT,
    ExecutionReader,
    PrivateBytes,
    private_take,
)
from reactor.exchanges.binance.orders import order_codec
from reactor.exchanges.binance.rules import LINES, endpoints_at
from reactor.exchanges.binance.user import BinanceUser
from reactor.exchanges.venue import Credentials, UserEvent
from reactor.loop.counters import Metrics
from shm.ring import heap_ring

SPOT, USDM = int(Venue.BINANCE_SPOT), int(Venue.BINANCE_USDM)
IDS = ClientIds("ct")
ORDER_ID = order_id_of(5, 77)
OURS = IDS.client_order_id(ORDER_ID)
RECEIVE_NS, REQUEST_ID, SESSION = 123_456_789, 4711, 3


def instrument(index: int, venue: int, symbol: str, price_decimals: int, quantity_decimals: int, tick: int) -> Instrument:
    common: dict[str, Any] = {"quantity_lots_min": 1, "quantity_lots_max": 10**12, "market_quantity_lots_max": 10**12}
    common |= {"price_ticks_min": 1, "price_ticks_max": 10**12, "notional_min_e8": 0, "maker_fee_e8": 0, "taker_fee_e8": 0}
    return Instrument(
        instrument_index=index, venue=venue, symbol=symbol, base_asset=symbol[:3], quote_asset=symbol[3:],
        price_decimals=price_decimals, quantity_decimals=quantity_decimals, tick_size=tick, lot_size=1, **common,
    )  # fmt: skip


INSTRUMENTS = Instruments(
    [
        instrument(0, SPOT, "BTCUSDT", 2, 5, 1),
        instrument(1, USDM, "BTCUSDT", 2, 3, 10),
        instrument(2, SPOT, "ETHBTC", 8, 8, 1),
        instrument(3, USDM, "ODDUSDT", 1, 0, 5),
    ]
)

EXECUTION: dict[str, Any] = {"e": "executionReport", "E": 1499405658658, "s": "BTCUSDT", "c": OURS, "S": "BUY", "o": "LIMIT"}
EXECUTION |= {"f": "GTC", "q": "1.00000", "p": "61234.50000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": ""}
EXECUTION |= {"x": "NEW", "X": "NEW", "r": "NONE", "i": 4293153, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000"}
EXECUTION |= {"n": "0", "N": None, "T": 1499405658657, "t": -1, "I": 8641984, "w": True, "m": False, "M": False, "V": "NONE"}
SPOT_FILL = {"x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.50000", "z": "0.50000", "L": "61234.51", "n": "0.00000100"}
SPOT_FILL |= {"N": "BNB", "t": 77, "m": True}

ORDER: dict[str, Any] = {"s": "BTCUSDT", "c": OURS, "S": "SELL", "o": "LIMIT", "f": "GTX", "q": "0.001", "p": "9000", "ap": "0"}
ORDER |= {"sp": "0", "x": "NEW", "X": "NEW", "i": 8886774, "l": "0", "z": "0", "L": "0", "N": "USDT", "n": "0"}
ORDER |= {"T": 1568879465650, "t": 0, "b": "0", "a": "9.91", "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT"}
ORDER |= {"ps": "BOTH", "cp": False, "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0}
USDM_FILL = {"x": "TRADE", "X": "FILLED", "l": "0.001", "z": "0.001", "L": "9000.10", "t": 77, "n": "-0.00180002", "rp": "-0.5"}

LITE: dict[str, Any] = {"e": "TRADE_LITE", "E": 1721895408092, "T": 1721895408214, "s": "BTCUSDT", "q": "0.001", "p": "0"}
LITE |= {"m": False, "c": OURS, "S": "BUY", "L": "64089.20", "l": "0.040", "t": 109100866, "i": 8886774}

SPOT_ACK: dict[str, Any] = {"symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": OURS}
SPOT_ACK |= {"transactTime": 1_700_000_000_123}
SPOT_ROW: dict[str, Any] = {"symbol": "BTCUSDT", "origClientOrderId": OURS, "orderId": 28, "clientOrderId": OURS + "c"}
SPOT_ROW |= {"transactTime": 1684804350068, "price": "61234.56000000", "origQty": "0.00123000", "executedQty": "0.00100000"}
SPOT_ROW |= {"cummulativeQuoteQty": "1.0", "status": "CANCELED", "timeInForce": "GTC", "type": "LIMIT_MAKER", "side": "SELL"}
USDM_ROW: dict[str, Any] = {
    "orderId": 325078477,
    "symbol": "BTCUSDT",
    "status": "NEW",
    "clientOrderId": OURS,
    "price": "43187.00",
}
USDM_ROW |= {"avgPrice": "0.00", "origQty": "0.100", "executedQty": "0.000", "cumQty": "0.000", "cumQuote": "0.00000"}
USDM_ROW |= {"timeInForce": "GTC", "type": "LIMIT", "reduceOnly": False, "closePosition": False, "side": "BUY"}
USDM_ROW |= {"positionSide": "BOTH", "stopPrice": "0.00", "workingType": "CONTRACT_PRICE", "updateTime": 1702555534435}


def spot(**fields: Any) -> dict[str, Any]:
    return {"subscriptionId": 0, "event": EXECUTION | fields}


def usdm(**fields: Any) -> dict[str, Any]:
    return {"e": "ORDER_TRADE_UPDATE", "E": 1568879465651, "T": 1568879465650, "o": ORDER | fields}


USUAL_EVENTS: dict[str, tuple[int, dict[str, Any]]] = {
    "spot new": (SPOT, spot()),
    "spot post-only": (SPOT, spot(o="LIMIT_MAKER")),
    "spot fill": (SPOT, spot(**SPOT_FILL)),
    "spot fill without fee": (SPOT, spot(**SPOT_FILL | {"N": None})),
    "spot cancelled": (SPOT, spot(x="CANCELED", X="CANCELED", c=OURS + "c", C=OURS, z="0.50000000")),
    "spot expired": (SPOT, spot(x="EXPIRED", X="EXPIRED", f="IOC")),
    "spot expired in match": (SPOT, spot(x="EXPIRED", X="EXPIRED_IN_MATCH", f="FOK", o="MARKET")),
    "spot, not wrapped": (SPOT, EXECUTION),
    "usdm new": (USDM, usdm()),
    "usdm fill": (USDM, usdm(**USDM_FILL)),
    "usdm fill by us as maker": (USDM, usdm(**USDM_FILL | {"m": True})),
    "usdm without fee fields": (USDM, usdm(N=None, n=None)),
    "usdm cancelled": (USDM, usdm(x="CANCELED", X="CANCELED")),
    "usdm expired": (USDM, usdm(x="EXPIRED", X="EXPIRED", f="IOC")),
    "usdm behind a stream name": (USDM, {"stream": "KEY", "data": usdm(**USDM_FILL)}),
    "usdm on odd grids": (USDM, usdm(s="ODDUSDT", p="10.5", q="3")),
    "usdm lite": (USDM, LITE),
}
UNUSUAL_EVENTS: dict[str, tuple[int, Any]] = {
    "rejected": (SPOT, spot(x="REJECTED", X="REJECTED", r="INSUFFICIENT_BALANCE")),
    "prevention": (SPOT, spot(x="TRADE_PREVENTION", X="PARTIALLY_FILLED")),
    "liquidation": (USDM, usdm(**USDM_FILL | {"x": "CALCULATED", "c": "autoclose-123"})),
    "somebody else's": (SPOT, spot(c="android_123")),
    "another instance's": (SPOT, spot(c="xx" + OURS[2:])),
    "ours in capitals": (SPOT, spot(c=OURS.upper())),
    "an unknown symbol": (SPOT, spot(s="NOSUCH")),
    "an unknown status": (SPOT, spot(X="PENDING_REVIEW")),
    "an unknown type": (SPOT, spot(o="STOP_LOSS_LIMIT")),
    "off the grid": (USDM, usdm(p="9000.05")),
    "a number for a price": (SPOT, spot(p=61234.5)),
    "an exponent": (SPOT, spot(p="6.12e4")),
    "a nested extra": (SPOT, spot(extra={"a": 1})),
    "an answer": (SPOT, {"id": 2, "status": 200, "result": {"subscriptionId": 0}}),
    "another event": (SPOT, {"subscriptionId": 0, "event": {"e": "listStatus", "E": 1564035303637, "s": "ETHBTC"}}),
    "an account event": (
        SPOT,
        {"event": {"e": "outboundAccountPosition", "E": 1, "u": 2, "B": [{"a": "X", "f": "1", "l": "0"}]}},
    ),
    "a text with an escape": (SPOT, orjson.dumps(spot()).replace(b'"NONE"', b'"N\\u004fNE"')),
    "a key with an escape": (SPOT, orjson.dumps(spot()).replace(b'"r":', b'"\\u0072":')),
    "an accent": (SPOT, orjson.dumps(spot(r="prix trop élevé"))),
    "a key twice": (SPOT, orjson.dumps(spot()).replace(b'"X":"NEW"', b'"X":"FILLED","X":"NEW"')),
    "no JSON": (SPOT, orjson.dumps(spot())[:-1]),
    "rest behind it": (SPOT, orjson.dumps(spot()) + b"}"),
    "a field missing": (SPOT, {key: value for key, value in EXECUTION.items() if key != "z"}),
    "an id of too many digits": (SPOT, orjson.dumps(spot()).replace(b"4293153", b"99999999999999999999")),
    "nothing": (SPOT, b""),
    "a list": (SPOT, b"[" + b" " * 40 + b"]"),
}
USUAL_ANSWERS: dict[str, tuple[int, CommandKind, dict[str, Any]]] = {
    "spot ack": (SPOT, CommandKind.PLACE, SPOT_ACK),
    "spot cancel": (SPOT, CommandKind.CANCEL, SPOT_ROW),
    "spot state": (SPOT, CommandKind.QUERY, SPOT_ROW | {"time": 5, "updateTime": 0}),
    "usdm ack": (USDM, CommandKind.PLACE, USDM_ROW),
    "usdm market": (USDM, CommandKind.PLACE, USDM_ROW | {"type": "MARKET", "price": "0.00", "status": "FILLED"}),
    "usdm cancel": (USDM, CommandKind.CANCEL, USDM_ROW | {"status": "CANCELED", "timeInForce": "GTX"}),
    "without a time": (SPOT, CommandKind.PLACE, {key: value for key, value in SPOT_ACK.items() if key != "transactTime"}),
}
UNUSUAL_ANSWERS: dict[str, tuple[int, Any]] = {
    "an error": (SPOT, {"id": 12, "status": 400, "error": {"code": -2010, "msg": "no"}}),
    "an event": (SPOT, {"event": {"e": "serverShutdown", "E": 1}}),
    "a logon": (SPOT, {"id": 0, "status": 200, "result": SPOT_ACK}),
    "a text for a number": (SPOT, {"id": "12", "status": 200, "result": SPOT_ACK}),
    "limits with it": (SPOT, {"id": 12, "status": 200, "result": SPOT_ACK, "rateLimits": [{"rateLimitType": "ORDERS"}]}),
    "fills with it": (SPOT, {"id": 12, "status": 200, "result": SPOT_ACK | {"fills": []}}),
    "the venue's own id": (USDM, {"id": 12, "status": 200, "result": USDM_ROW | {"clientOrderId": "autoclose-1"}}),
    "an unknown status": (USDM, {"id": 12, "status": 200, "result": USDM_ROW | {"status": "STRANGE"}}),
    "a symbol nobody knows": (USDM, {"id": 12, "status": 200, "result": USDM_ROW | {"symbol": "NOSUCH"}}),
    "no order": (SPOT, {"id": 12, "status": 200, "result": {"serverTime": 1}}),
    "a list": (SPOT, {"id": 12, "status": 200, "result": [SPOT_ACK]}),
    "status text": (SPOT, {"id": 12, "status": "200", "result": SPOT_ACK}),
}


class Desk:
    """An order that was placed, and a writer for its reports."""

    def __init__(self, venue: int) -> None:
        producer, self.ring = heap_ring(8, SIZE["report"], VIEW["report"])
        self.orders = OrderMemory()
        self.metrics = Metrics()
        self.writer = ReportWriter(producer, self.orders, IDS, self.metrics, source=9)
        command = new("command")
        command.header.kind = CommandKind.PLACE
        command.header.order_id, command.header.signal_id = ORDER_ID, 42
        command.header.instrument_index = 0 if venue == SPOT else 1
        command.header.hedge_instrument_index = NO_INSTRUMENT
        command.header.stage_ns[0] = 5
        command.venue, command.side, command.price_ticks, command.quantity_lots = venue, 1, 6_000_000, 123
        put_text(command.client_order_id, OURS)
        self.entry = self.orders.remember(command, OURS, ORDER_ID, venue, "BTCUSDT", 9)
        assert self.entry.report.header.flags & FLAG_OURS

    def reports(self) -> list[bytes]:
        taken = []
        while (report := self.ring.try_peek()) is not None:
            taken.append(raw_bytes(report, "report"))
            self.ring.release()
        return taken


def codecs(venue: int) -> tuple[Any, BinanceUser]:
    orders = order_codec(venue, endpoints_at(venue, "http://x"), Credentials("key", "secret"), INSTRUMENTS)
    return orders, BinanceUser(LINES[venue], INSTRUMENTS, orders)


CODECS = {venue: codecs(venue) for venue in (SPOT, USDM)}
READERS = {venue: ExecutionReader(venue, INSTRUMENTS, IDS) for venue in (SPOT, USDM)}


def raw(message: Any) -> bytes:
    return message if isinstance(message, bytes) else orjson.dumps(message)


def event_in_python(venue: int, payload: bytes) -> list[bytes]:
    desk = Desk(venue)
    desk.writer.about(venue, RECEIVE_NS)
    assert CODECS[venue][1].read(payload, desk.writer) is UserEvent.REPORTS
    return desk.reports()


def event_in_c(venue: int, payload: bytes) -> list[bytes] | None:
    """None: not read."""
    reader, desk = READERS[venue], Desk(venue)
    if not reader.read_event(payload):
        return None
    order_id, _, venue_order_id, kind, status = reader.told()
    if order_id != ORDER_ID:
        return None
    desk.writer.write_execution(desk.entry, reader.execution, kind, venue_order_id, status, RECEIVE_NS)
    return desk.reports()


def kind_of_answer(asked: Any) -> int:
    return int({CommandKind.PLACE: ReportKind.ACK, CommandKind.CANCEL: ReportKind.CANCELLED}.get(asked, ReportKind.ORDER_STATE))


def answer_in_python(venue: int, asked: Any, payload: bytes) -> list[bytes]:
    desk, codec = Desk(venue), CODECS[venue][0]
    kind = kind_of_answer(asked)
    flags = FLAG_REPLAYED if kind == ReportKind.ORDER_STATE else 0
    answer = codec.read_answer(payload)
    assert (answer.status, answer.request_number) == (200, 12)
    desk.writer.about(venue, RECEIVE_NS, REQUEST_ID, flags, SESSION)
    codec.write_order(answer.result, desk.writer.begin(kind, OURS, 0))
    desk.writer.commit()
    return desk.reports()


def answer_in_c(venue: int, asked: Any, payload: bytes) -> list[bytes] | None:
    reader, desk = READERS[venue], Desk(venue)
    if reader.read_answer(payload) != 12:
        return None
    _, number, venue_order_id, _, status = reader.told()
    assert number == 12
    kind = kind_of_answer(asked)
    flags = FLAG_REPLAYED if kind == ReportKind.ORDER_STATE else 0
    desk.writer.write_execution(
        desk.entry, reader.execution, kind, venue_order_id, status, RECEIVE_NS, REQUEST_ID, flags, SESSION
    )
    return desk.reports()


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same message with its fields in another order and unknown ones among them."""
    if not isinstance(value, dict):
        return value
    items = [(key, shuffled(each, rng)) for key, each in value.items()]
    if "id" not in value:
        items += [(f"new{number}", rng.choice([1, -2.5, "text", None, True])) for number in range(rng.randint(0, 2))]
    rng.shuffle(items)
    return dict(items)


@pytest.mark.parametrize("name", USUAL_EVENTS)
def test_a_usual_event_is_read_and_says_what_the_python_codec_says(name: str) -> None:
    venue, message = USUAL_EVENTS[name]
    reports = event_in_c(venue, raw(message))
    assert reports is not None
    assert len(reports) == 1
    assert reports == event_in_python(venue, raw(message))


@pytest.mark.parametrize("name", USUAL_ANSWERS)
def test_a_usual_answer_is_read_and_says_what_the_python_codec_says(name: str) -> None:
    venue, asked, result = USUAL_ANSWERS[name]
    payload = raw({"id": 12, "status": 200, "result": result})
    reports = answer_in_c(venue, asked, payload)
    assert reports is not None
    assert len(reports) == 1
    assert reports == answer_in_python(venue, asked, payload)


@settings(deadline=None)
@given(st.sampled_from(sorted(USUAL_EVENTS)), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_an_events_fields_does_not_matter(name: str, rng: random.Random, is_spaced: bool) -> None:
    venue, message = USUAL_EVENTS[name]
    payload = orjson.dumps(shuffled(message, rng), option=orjson.OPT_INDENT_2 if is_spaced else 0)
    reports = event_in_c(venue, payload)
    assert reports is not None
    assert reports == event_in_python(venue, payload)


@settings(deadline=None)
@given(st.sampled_from(sorted(USUAL_ANSWERS)), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_an_answers_fields_does_not_matter(name: str, rng: random.Random, is_spaced: bool) -> None:
    venue, asked, result = USUAL_ANSWERS[name]
    message = {"id": 12, "status": 200, "result": result}
    payload = orjson.dumps(shuffled(message, rng), option=orjson.OPT_INDENT_2 if is_spaced else 0)
    reports = answer_in_c(venue, asked, payload)
    assert reports is not None
    assert reports == answer_in_python(venue, asked, payload)


@pytest.mark.parametrize("name", UNUSUAL_EVENTS)
def test_an_unusual_event_is_left_to_the_python_codec(name: str) -> None:
    venue, message = UNUSUAL_EVENTS[name]
    assert READERS[venue].read_event(raw(message)) == 0


@pytest.mark.parametrize("name", UNUSUAL_ANSWERS)
def test_an_unusual_answer_is_left_to_the_python_codec(name: str) -> None:
    venue, message = UNUSUAL_ANSWERS[name]
    assert READERS[venue].read_answer(raw(message)) == 0


BITES = [bytes([each]) for each in b'"{}[],:\\9-.0e \x01\xff'] + [b"null", "é".encode()]


@settings(deadline=None)
@given(st.sampled_from(sorted(USUAL_EVENTS)), st.data())
def test_a_damaged_event_is_read_as_in_python_or_not_at_all(name: str, data: st.DataObject) -> None:
    venue, message = USUAL_EVENTS[name]
    payload = damaged(raw(message), data)
    reports = event_in_c(venue, payload)
    assert reports is None or reports == event_in_python(venue, payload)


@settings(deadline=None)
@given(st.sampled_from(sorted(USUAL_ANSWERS)), st.data())
def test_a_damaged_answer_is_read_as_in_python_or_not_at_all(name: str, data: st.DataObject) -> None:
    venue, asked, result = USUAL_ANSWERS[name]
    payload = damaged(raw({"id": 12, "status": 200, "result": result}), data)
    reports = answer_in_c(venue, asked, payload)
    assert reports is None or reports == answer_in_python(venue, asked, payload)


def damaged(payload: bytes, data: st.DataObject) -> bytes:
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(payload) - 1))
        cut = data.draw(st.integers(0, 3))
        payload = payload[:place] + data.draw(st.sampled_from(BITES)) + payload[place + cut :]
    return payload


def test_the_second_end_and_the_second_acknowledgement_of_an_order_are_dropped() -> None:
    reader, desk = READERS[SPOT], Desk(SPOT)
    for name in ("spot new", "spot new", "spot cancelled", "spot cancelled"):
        reader.read_event(raw(USUAL_EVENTS[name][1]))
        _, _, venue_order_id, kind, status = reader.told()
        desk.writer.write_execution(desk.entry, reader.execution, kind, venue_order_id, status, RECEIVE_NS)
    assert len(desk.reports()) == 2
    assert desk.metrics.get(Counter.DUPLICATE_REPORTS_DROPPED) == 2


def test_reports_without_room_wait_in_order() -> None:
    reader, desk = READERS[SPOT], Desk(SPOT)
    reader.read_event(raw(spot(**SPOT_FILL)))
    _, _, venue_order_id, kind, status = reader.told()
    for number in range(20):
        desk.writer.write_execution(desk.entry, reader.execution, kind, venue_order_id, status, RECEIVE_NS + number)
    assert desk.writer.is_blocked
    stamps = []
    while stamps[-1:] != [RECEIVE_NS + 19]:
        while (report := desk.ring.try_peek()) is not None:
            assert report.header.sequence == len(stamps) + 1
            stamps.append(report.header.stage_ns[5])
            desk.ring.release()
        desk.writer.flush()
    assert stamps == [RECEIVE_NS + number for number in range(20)]


def framed(payload: bytes, opcode: int = 0x81) -> bytes:
    size = len(payload)
    head = bytes((opcode, size)) if size < 126 else bytes((opcode, 126)) + size.to_bytes(2, "big")
    return head + payload


def test_frames_of_one_read_are_taken_one_after_another() -> None:
    taker = PrivateBytes(READERS[SPOT], is_user=True)
    frames = [
        framed(raw(spot())),
        framed(b"hi", 0x89),
        framed(raw(UNUSUAL_EVENTS["rejected"][1])),
        framed(raw(spot(**SPOT_FILL))),
    ]
    buffer = bytearray(b"".join(frames) + framed(raw(spot()))[:100])
    taker.bind(buffer)
    seen, place, end = [], 0, len(buffer)
    while stop := (result := private_take(taker.native, place, end)) >> PRIVATE_STOP_SHIFT:
        place = result & PRIVATE_OFFSET
        seen.append((stop, bytes(taker.payload())))
    assert [stop for stop, _ in seen] == [PRIVATE_READ, PRIVATE_CONTROL, PRIVATE_FRAME, PRIVATE_READ]
    assert [framed(payload, 0x89 if stop == PRIVATE_CONTROL else 0x81) for stop, payload in seen] == frames
    assert (result, taker.needed) == (sum(map(len, frames)), len(framed(raw(spot()))))


def test_a_frame_with_a_mask_breaks_the_connection() -> None:
    taker = PrivateBytes(READERS[SPOT], is_user=True)
    buffer = bytearray(b"\x81\x85aaaahello")
    taker.bind(buffer)
    assert private_take(taker.native, 0, len(buffer)) >> PRIVATE_STOP_SHIFT == PRIVATE_BROKEN
