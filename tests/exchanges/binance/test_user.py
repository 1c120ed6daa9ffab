"""The private streams: what each event becomes."""

from typing import Any

import orjson
import pytest

from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_LIQUIDATION,
    FLAG_MAKER,
    NO_INSTRUMENT,
    OrderStatus,
    ReportKind,
    TimeInForce,
    Venue,
    new,
    text_of,
)
from reactor.exchanges.binance.orders import order_codec
from reactor.exchanges.binance.rules import LINES, endpoints_at
from reactor.exchanges.binance.user import BinanceUser
from reactor.exchanges.venue import Credentials, UserEvent

SPOT, USDM = int(Venue.BINANCE_SPOT), int(Venue.BINANCE_USDM)


class Sink:
    """Keeps reports with the client id they were begun for."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, Any]] = []
        self._open: tuple[str, Any] | None = None

    def begin(self, kind: int, client_order_id: str, instrument_index: int, venue_order_id: int = 0) -> Any:
        report = new("report")
        report.header.kind = kind
        report.header.instrument_index = instrument_index
        self._open = (client_order_id, report)
        return report

    def commit(self) -> None:
        assert self._open is not None
        self.reports.append(self._open)
        self._open = None


def instrument(index: int, venue: int, symbol: str, price_decimals: int, quantity_decimals: int) -> Instrument:
    return Instrument(
        instrument_index=index,
        venue=venue,
        symbol=symbol,
        base_asset=symbol[:3],
        quote_asset=symbol[3:],
        price_decimals=price_decimals,
        quantity_decimals=quantity_decimals,
        tick_size=1,
        lot_size=1,
        quantity_lots_min=1,
        quantity_lots_max=10**12,
        market_quantity_lots_max=10**12,
        price_ticks_min=1,
        price_ticks_max=10**12,
        notional_min_e8=0,
        maker_fee_e8=0,
        taker_fee_e8=0,
    )


INSTRUMENTS = Instruments([instrument(0, SPOT, "ETHBTC", 8, 8), instrument(1, USDM, "BTCUSDT", 2, 3)])


def read(venue: int, message: Any) -> tuple[UserEvent, list[tuple[str, Any]]]:
    codec = order_codec(venue, endpoints_at(venue, "http://x"), Credentials("key", "secret"), INSTRUMENTS)
    sink = Sink()
    payload = message if isinstance(message, bytes) else orjson.dumps(message)
    return BinanceUser(LINES[venue], INSTRUMENTS, codec).read(memoryview(payload), sink), sink.reports


EXECUTION = {"e": "executionReport", "E": 1499405658658, "s": "ETHBTC", "c": "mUvoqJxFIILMdfAW5iGSOW", "S": "BUY", "o": "LIMIT"}
EXECUTION |= {"f": "GTC", "q": "1.00000000", "p": "0.10264410", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": ""}
EXECUTION |= {"x": "NEW", "X": "NEW", "r": "NONE", "i": 4293153, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000"}
EXECUTION |= {"n": "0", "N": None, "T": 1499405658657, "t": -1, "I": 8641984, "w": True, "m": False, "M": False}

ORDER: dict[str, Any] = {
    "s": "BTCUSDT",
    "c": "TEST",
    "S": "SELL",
    "o": "LIMIT",
    "f": "GTX",
    "q": "0.001",
    "p": "9000",
    "ap": "0",
}
ORDER |= {"sp": "0", "x": "NEW", "X": "NEW", "i": 8886774, "l": "0", "z": "0", "L": "0", "N": "USDT", "n": "0"}
ORDER |= {"T": 1568879465650, "t": 0, "b": "0", "a": "9.91", "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT"}
ORDER |= {"ps": "BOTH", "cp": False, "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0}


def update(**fields: Any) -> dict[str, Any]:
    return {"e": "ORDER_TRADE_UPDATE", "E": 1568879465651, "T": 1568879465650, "o": ORDER | fields}


def test_a_new_spot_order_is_an_ack() -> None:
    event, [(client_order_id, report)] = read(SPOT, {"subscriptionId": 0, "event": EXECUTION})
    assert event is UserEvent.REPORTS
    assert client_order_id == "mUvoqJxFIILMdfAW5iGSOW"
    assert (report.header.kind, report.venue_order_id, report.order_status) == (ReportKind.ACK, 4293153, OrderStatus.NEW)
    assert (report.price_ticks, report.quantity_lots, report.side) == (10264410, 100_000_000, 1)
    assert report.header.exchange_ns == 1499405658658 * 10**6


def test_a_cancelled_spot_order_is_reported_under_its_own_id() -> None:
    message = EXECUTION | {"x": "CANCELED", "X": "CANCELED", "c": "cancelId", "C": "ours", "z": "0.50000000"}
    _, [(client_order_id, report)] = read(SPOT, {"subscriptionId": 0, "event": message})
    assert client_order_id == "ours"
    assert (report.header.kind, report.cumulative_lots) == (ReportKind.CANCELLED, 50_000_000)


@pytest.mark.parametrize(
    ("execution", "status", "kind"),
    [
        ("EXPIRED", "EXPIRED", ReportKind.EXPIRED),
        ("TRADE_PREVENTION", "EXPIRED_IN_MATCH", ReportKind.EXPIRED),
        ("REJECTED", "REJECTED", ReportKind.REJECT),
    ],
)
def test_a_spot_order_ends_in_its_ways(execution: str, status: str, kind: Any) -> None:
    _, [(_, report)] = read(SPOT, {"subscriptionId": 0, "event": EXECUTION | {"x": execution, "X": status}})
    assert report.header.kind == kind


def test_prevention_of_a_part_does_not_end_the_order() -> None:
    event, reports = read(SPOT, {"subscriptionId": 0, "event": EXECUTION | {"x": "TRADE_PREVENTION", "X": "PARTIALLY_FILLED"}})
    assert (event, reports) == (UserEvent.REPORTS, [])


def test_a_futures_fill_has_fee_trade_and_maker_side() -> None:
    fill = update(x="TRADE", X="FILLED", l="0.001", z="0.001", L="9000.10", t=77, n="0.00180002", m=True, rp="-0.5")
    _, [(client_order_id, report)] = read(USDM, {"stream": "KEY", "data": fill})
    assert client_order_id == "TEST"
    assert report.header.kind == ReportKind.FILL
    assert (report.trade_id, report.price_ticks, report.quantity_lots, report.fee_e8) == (77, 900_010, 1, 180_002)
    assert report.amount_e8 == -50_000_000  # realised by this fill
    assert text_of(report.asset) == "USDT"
    assert report.header.flags & FLAG_MAKER
    assert (report.side, report.order_status) == (-1, OrderStatus.FILLED)


def test_a_futures_order_without_fee_fields_is_read_all_the_same() -> None:
    message = update(x="TRADE", X="PARTIALLY_FILLED", l="0.001", z="0.001", L="9000", t=78)
    del message["o"]["n"], message["o"]["N"]
    _, [(_, report)] = read(USDM, message)
    assert (report.fee_e8, text_of(report.asset)) == (0, "")


def test_gtx_is_post_only() -> None:
    _, [(_, report)] = read(USDM, update())
    assert report.time_in_force == TimeInForce.POST_ONLY


@pytest.mark.parametrize("client_order_id", ["autoclose-1579", "adl_autoclose", "settlement_autoclose-9"])
def test_what_the_venue_forces_is_marked(client_order_id: str) -> None:
    message = update(c=client_order_id, x="TRADE", X="FILLED", l="0.001", z="0.001", L="9000", t=79)
    _, [(_, report)] = read(USDM, message)
    assert report.header.flags & FLAG_LIQUIDATION
    _, [(_, report)] = read(USDM, update(c=client_order_id, x="CALCULATED", X="FILLED", l="0.001", z="0.001", L="9000", t=80))
    assert report.header.kind == ReportKind.FILL


def test_trade_lite_is_an_early_fill_without_fee() -> None:
    message = {"e": "TRADE_LITE", "E": 1721895408092, "T": 1721895408214, "s": "BTCUSDT", "q": "0.001", "p": "0", "m": False}
    message |= {"c": "z8hc", "S": "BUY", "L": "64089.20", "l": "0.040", "t": 109100866, "i": 8886774}
    _, [(client_order_id, report)] = read(USDM, message)
    assert client_order_id == "z8hc"
    assert report.header.kind == ReportKind.ACK_LITE
    assert (report.trade_id, report.price_ticks, report.quantity_lots) == (109100866, 6_408_920, 40)


def test_an_account_update_is_balances_and_positions() -> None:
    account = {"m": "ORDER", "B": [{"a": "USDT", "wb": "122624.12345678", "cw": "100.12", "bc": "50.12"}]}
    account["P"] = [
        {"s": "BTCUSDT", "pa": "-0.020", "ep": "6563.66500", "cr": "0", "up": "2850.21200", "mt": "cross", "ps": "BOTH"}
    ]
    _, reports = read(USDM, {"e": "ACCOUNT_UPDATE", "E": 1564745798939, "T": 1564745798938, "a": account})
    (_, balance), (_, position) = reports
    assert (balance.header.kind, balance.amount_e8) == (ReportKind.BALANCE, 12_262_412_345_678)
    assert (position.header.kind, position.quantity_lots, position.price_ticks) == (ReportKind.POSITION, -20, 656_366)


@pytest.mark.parametrize(("more", "index"), [({}, NO_INSTRUMENT), ({"S": "BTCUSDT"}, 1), ({"P": "isolated"}, 1)])
def test_a_funding_payment_names_its_symbol_where_the_venue_does(more: dict[str, Any], index: int) -> None:
    account: dict[str, Any] = {"m": "FUNDING_FEE", "B": [{"a": "USDT", "wb": "100", "cw": "100", "bc": "-0.37"}]} | more
    if "P" in more:
        account["P"] = [{"s": "BTCUSDT", "pa": "1", "ep": "1", "up": "0"}]
    _, reports = read(USDM, {"e": "ACCOUNT_UPDATE", "E": 1, "T": 2, "a": account})
    funding = reports[0][1]
    assert (funding.header.kind, funding.amount_e8, funding.header.instrument_index) == (ReportKind.FUNDING, -37_000_000, index)
    assert funding.trade_id == 0
    assert reports[1][1].header.kind == ReportKind.BALANCE


def test_spot_balances_come_with_what_is_locked() -> None:
    message = {"e": "outboundAccountPosition", "E": 1, "u": 2, "B": [{"a": "ETH", "f": "10000.000000", "l": "0.500000"}]}
    _, [(_, report)] = read(SPOT, {"subscriptionId": 0, "event": message})
    assert (report.amount_e8, report.locked_e8, text_of(report.asset)) == (10**12, 50_000_000, "ETH")


def test_account_rows_that_nobody_asked_for_can_be_left_out_but_funding_never() -> None:
    account = {"m": "FUNDING_FEE", "B": [{"a": "USDT", "wb": "1", "cw": "1", "bc": "-0.37"}]}
    codec = order_codec(USDM, endpoints_at(USDM, "http://x"), Credentials("key", "secret"), INSTRUMENTS)
    user, sink = BinanceUser(LINES[USDM], INSTRUMENTS, codec, has_account_rows=False), Sink()
    user.read(orjson.dumps({"e": "ACCOUNT_UPDATE", "E": 1, "T": 2, "a": account}), sink)
    user.read(orjson.dumps({"e": "outboundAccountPosition", "E": 1, "u": 2, "B": [{"a": "E", "f": "1", "l": "1"}]}), sink)
    assert [report.header.kind for _, report in sink.reports] == [ReportKind.FUNDING]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"e": "listenKeyExpired", "E": 1736996475556, "listenKey": "WsCM"}, UserEvent.EXPIRED),
        ({"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": 1}}, UserEvent.EXPIRED),
        ({"event": {"e": "serverShutdown", "E": 1770123456789}}, UserEvent.SHUTDOWN),
        ({"id": 2, "status": 200, "result": {"subscriptionId": 0}}, UserEvent.ANSWER),
        ({"e": "MARGIN_CALL", "E": 1, "cw": "3.1", "p": []}, UserEvent.ALARM),
        ({"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ac": {"s": "BTCUSDT", "l": 25}}, UserEvent.REPORTS),
        ({"e": "neverHeardOf"}, UserEvent.UNKNOWN),
        (update(x="NEW_KIND"), UserEvent.UNKNOWN),
        (update(X="NEW_STATUS"), UserEvent.MALFORMED),
        (update(s="NOSUCH"), UserEvent.REPORTS),
        (update(q="0.0001"), UserEvent.MALFORMED),  # finer than the instrument's lot: our table is wrong
        (b"{", UserEvent.MALFORMED),
        (b"[1]", UserEvent.MALFORMED),
        (b'{"a":1}', UserEvent.MALFORMED),
        (b'{"e":"ORDER_TRADE_UPDATE"}', UserEvent.MALFORMED),
    ],
)
def test_every_other_frame_is_told_apart(message: Any, expected: UserEvent) -> None:
    event, reports = read(USDM, message)
    assert event is expected
    assert reports == []
