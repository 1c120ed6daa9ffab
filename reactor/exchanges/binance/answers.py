"""What Binance answers: bytes become an Answer, and its rows become fields of reports. Pure.

answer bytes ──read_answer · read_response──▶ Answer ──classify──────▶ Verdict   (a refusal)
                                                     ──write_order───▶ report    (one order)
                                                     ──write_fills …─▶ sink      (the rows of a query)

spot   a cancel renames the order: the request's own id becomes the order's client id. We name it ourselves, the order's id
       and RENAMED_SUFFIX, so that a cancelled order can still be found by an id that we know.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from reactor.domain.errors import RemoteProtocolError
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_LIQUIDATION,
    FLAG_MAKER,
    NO_INSTRUMENT,
    OrderStatus,
    OrderType,
    ReportKind,
    Side,
    TimeInForce,
    put_text,
)
from reactor.domain.units import parse_e8
from reactor.exchanges.binance.rules import ProductLine, classify
from reactor.exchanges.venue import AccountPermissions, Answer, OpenOrder, ReportSink, Verdict

# Liquidation, auto-deleveraging, settlement of a delisted contract: the venue's own client ids.
FORCED_PREFIXES: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
RENAMED_SUFFIX: Final = "c"
INSURANCE: Final = "INSURANCE_CLEAR"  # income type

_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_MARKET = int(OrderType.MARKET)
_POST_ONLY = int(TimeInForce.POST_ONLY)
TIF_WORDS: Final = {int(TimeInForce.GTC): "GTC", int(TimeInForce.IOC): "IOC", int(TimeInForce.FOK): "FOK", _POST_ONLY: "GTX"}
_TIFS: Final = {word: tif for tif, word in TIF_WORDS.items()}
_STATUSES: Final[Mapping[str, int]] = {
    "NEW": int(OrderStatus.NEW),
    "PENDING_NEW": int(OrderStatus.NEW),
    "PARTIALLY_FILLED": int(OrderStatus.PARTIALLY_FILLED),
    "FILLED": int(OrderStatus.FILLED),
    "CANCELED": int(OrderStatus.CANCELLED),
    "PENDING_CANCEL": int(OrderStatus.NEW),
    "REJECTED": int(OrderStatus.REJECTED),
    "EXPIRED": int(OrderStatus.EXPIRED),
    "EXPIRED_IN_MATCH": int(OrderStatus.EXPIRED),
}
_FILL, _OPEN_ORDER = int(ReportKind.FILL), int(ReportKind.OPEN_ORDER)
_POSITION, _BALANCE, _FUNDING = int(ReportKind.POSITION), int(ReportKind.BALANCE), int(ReportKind.FUNDING)


def status_of(word: str) -> int:
    """order_status_e of the venue's word.

    Raises:
        RemoteProtocolError: a word that nobody has told us about.
    """
    status = _STATUSES.get(word)
    if status is None:
        raise RemoteProtocolError(f"unknown order status {word!r}")
    return status


class BinanceAnswers:
    """The half of venue.OrderCodec that reads. One per venue."""

    def __init__(self, line: ProductLine, instruments: Instruments) -> None:
        self.line = line
        self.venue = line.venue
        self.renames_on_cancel = not line.has_listen_key
        self._instruments = instruments

    def renamed(self, client_order_id: str) -> str:
        """What the venue calls an order after our cancel; "" where a cancel renames nothing."""
        return client_order_id + RENAMED_SUFFIX if self.renames_on_cancel and client_order_id else ""

    def original(self, client_order_id: str, ids: ClientIds) -> str:
        """The id that we minted, also for an order that our cancel has renamed."""
        stem = client_order_id.removesuffix(RENAMED_SUFFIX)
        return stem if self.renames_on_cancel and not ids.is_ours(client_order_id) and ids.is_ours(stem) else client_order_id

    # ---- one answer

    def read_answer(self, payload: bytes | memoryview) -> Answer:
        """One frame of the WebSocket API. A frame that is not one has request_number −1 and status 0."""
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return Answer(-1, 0, error_text="not JSON")
        if not isinstance(message, dict):
            return Answer(-1, 0, error_text="not an object")
        status = message.get("status")
        if not isinstance(status, int):
            return Answer(-1, 0, message.get("event", message), is_event=True)
        number = message.get("id")
        if not isinstance(number, int):
            number = -1
        if status == 200:
            return Answer(number, 200, message.get("result"))
        return self._refusal(number, status, message.get("error"))

    def read_response(self, status: int, headers: Mapping[str, str], body: bytes, venue_ms: int) -> Answer:
        """One REST answer. `venue_ms` is now, on the venue's clock. A body that is not JSON has no code."""
        try:
            message = orjson.loads(body)
        except orjson.JSONDecodeError:
            text = body[:80].decode("ascii", "replace")
            return Answer(-1, status if status != 200 else 0, error_text=text, retry_at_ms=retry_at(headers, venue_ms))
        # "success carries code": {"code":200,"msg":"success"} is not an error.
        if status == 200 and not (isinstance(message, dict) and _number(message.get("code"), 0) < 0):
            return Answer(-1, 200, message)
        answer = self._refusal(-1, status, message)
        answer.retry_at_ms = answer.retry_at_ms or retry_at(headers, venue_ms)
        return answer

    def _refusal(self, number: int, status: int, error: Any) -> Answer:
        if not isinstance(error, dict):
            return Answer(number, status, error_text=str(error)[:80])
        data = error.get("data")
        retry_at_ms = _number(data.get("retryAfter"), 0) if isinstance(data, dict) else 0
        return Answer(number, status, None, _number(error.get("code"), 0), str(error.get("msg", ""))[:200], retry_at_ms)

    def classify(self, answer: Answer) -> Verdict:
        """What an error answer means."""
        return classify(self.line, answer.status or 599, answer.error_code, answer.error_text)

    def write_order(self, result: Mapping[str, Any], report: Any) -> int:
        """Fills an order's fields from a place, cancel or query result. Returns the order_status_e.

        An ACK of spot says only the venue's id and time: the other fields then stay as they are.

        Raises:
            RemoteProtocolError, KeyError, ValueError: not an order of ours.
        """
        report.venue_order_id = result["orderId"]
        report.venue_time_ms = time_ms = result.get("updateTime") or result.get("transactTime") or result.get("time") or 0
        report.header.exchange_ns = time_ms * 1_000_000
        if str(result.get("clientOrderId", "")).startswith(FORCED_PREFIXES):  # Nobody's but the venue's, done to our position.
            report.header.flags = report.header.flags & ~FLAG_FOREIGN | FLAG_LIQUIDATION
        word = result.get("status")
        if word is None:
            return int(report.order_status)
        status = report.order_status = status_of(word)
        instrument = self._instruments.find(self.venue, result["symbol"])
        if instrument is not None:
            report.header.instrument_index = instrument.instrument_index
            report.quantity_lots = instrument.quantity_lots(result["origQty"])
            report.cumulative_lots = instrument.quantity_lots(result["executedQty"])
            if float(result["price"]):
                report.price_ticks = instrument.price_ticks(result["price"])
        report.side = _BUY if result["side"] == "BUY" else _SELL
        report.order_type = _MARKET if result["type"] == "MARKET" else int(OrderType.LIMIT)
        if result["type"] == "LIMIT_MAKER":
            report.time_in_force = _POST_ONLY
        else:
            report.time_in_force = _TIFS.get(result.get("timeInForce", "GTC"), int(TimeInForce.GTC))
        return int(status)

    # ---- rows of account queries

    def write_open_orders(self, rows: Sequence[Mapping[str, Any]], sink: ReportSink) -> int:
        """One OPEN_ORDER report per row. Returns how many."""
        count = 0
        for row in rows:
            instrument = self._instruments.find(self.venue, row["symbol"])
            report = sink.begin(
                _OPEN_ORDER, row["clientOrderId"], NO_INSTRUMENT if instrument is None else instrument.instrument_index
            )
            if report is None:
                continue
            report.venue = self.venue
            self.write_order(row, report)
            put_text(report.text, row["symbol"])
            sink.commit()
            count += 1
        return count

    def write_fills(self, rows: Sequence[Mapping[str, Any]], sink: ReportSink) -> int:
        """One FILL report per row. Rows carry the venue's order id only: who keeps the orders finds ours by it."""
        count = 0
        for row in rows:
            instrument = self._instruments.find(self.venue, row["symbol"])
            if instrument is None:
                continue
            report = sink.begin(_FILL, "", instrument.instrument_index, row["orderId"])
            if report is None:
                continue
            report.venue = self.venue
            report.venue_order_id = row["orderId"]
            report.trade_id = row["id"]
            report.price_ticks = instrument.price_ticks(row["price"])
            report.quantity_lots = instrument.quantity_lots(row["qty"])
            report.fee_e8 = parse_e8(row["commission"])
            put_text(report.asset, row["commissionAsset"])
            report.amount_e8 = parse_e8(row.get("realizedPnl", "0"))  # Futures: as the venue rounds it.
            is_buy = row["isBuyer"] if "isBuyer" in row else row["side"] == "BUY"
            report.side = _BUY if is_buy else _SELL
            if row["isMaker"] if "isMaker" in row else row["maker"]:
                report.header.flags |= FLAG_MAKER
            report.amount_e8 = parse_e8(row.get("realizedPnl", "0"))
            report.venue_time_ms = row["time"]
            report.header.exchange_ns = row["time"] * 1_000_000
            sink.commit()
            count += 1
        return count

    def write_balances(self, body: Any, sink: ReportSink) -> int:
        """One BALANCE report per asset.

        Spot: amount is free, locked is locked in orders. Futures: amount is the wallet balance (what the stream calls `wb`; it
        has no unrealised profit in it), locked the maintenance margin.
        """
        rows = body["balances"] if not self.line.has_listen_key else body["assets"]
        count = 0
        for row in rows:
            if self.line.has_listen_key:
                amount_e8, locked_e8 = parse_e8(row["walletBalance"]), parse_e8(row.get("maintMargin", "0"))
            else:
                amount_e8, locked_e8 = parse_e8(row["free"]), parse_e8(row["locked"])
            if not amount_e8 and not locked_e8:
                continue
            report = sink.begin(_BALANCE, "", NO_INSTRUMENT)
            if report is None:
                continue
            report.venue = self.venue
            put_text(report.asset, row["asset"])
            report.amount_e8 = amount_e8
            report.locked_e8 = locked_e8
            sink.commit()
            count += 1
        return count

    def write_positions(self, rows: Sequence[Mapping[str, Any]], sink: ReportSink) -> int:
        """One POSITION report per instrument of ours that has one; the entry price is rounded to a tick."""
        count = 0
        for row in rows:
            instrument = self._instruments.find(self.venue, row["symbol"])
            if instrument is None:
                continue
            quantity_lots = instrument.quantity_lots(row["positionAmt"])
            report = sink.begin(_POSITION, "", instrument.instrument_index)
            if report is None:
                continue
            report.venue = self.venue
            report.quantity_lots = quantity_lots
            report.price_ticks = entry_ticks(instrument, row["entryPrice"])
            report.amount_e8 = parse_e8(row.get("unRealizedProfit", "0"))
            report.venue_time_ms = row.get("updateTime", 0)
            put_text(report.asset, row.get("marginAsset", ""))
            sink.commit()
            count += 1
        return count

    def write_funding(self, rows: Sequence[Mapping[str, Any]], sink: ReportSink) -> int:
        """One FUNDING report per payment; `trade_id` is the venue's transaction id, by which it is booked once.

        An insurance fee has FLAG_LIQUIDATION.
        """
        count = 0
        for row in rows:
            instrument = self._instruments.find(self.venue, row["symbol"])
            report = sink.begin(_FUNDING, "", NO_INSTRUMENT if instrument is None else instrument.instrument_index)
            if report is None:
                continue
            report.venue = self.venue
            if row["incomeType"] == INSURANCE:
                report.header.flags |= FLAG_LIQUIDATION
            report.trade_id = int(row["tranId"])
            report.amount_e8 = parse_e8(row["income"])
            put_text(report.asset, row["asset"])
            report.venue_time_ms = row["time"]
            report.header.exchange_ns = row["time"] * 1_000_000
            sink.commit()
            count += 1
        return count


def entry_ticks(instrument: Instrument, text: str) -> int:
    """An average price in ticks, rounded to the nearest."""
    scale: int = 10**instrument.price_decimals
    return round(float(text) * scale / instrument.tick_size)


def read_permissions(body: Any) -> AccountPermissions:
    """What an account answer says the account may do; `is_known` is False where this API does not tell."""
    if not isinstance(body, dict) or "canTrade" not in body:
        return AccountPermissions(can_trade=True, can_withdraw=False, is_known=False)
    return AccountPermissions(bool(body["canTrade"]), bool(body.get("canWithdraw", False)))


def read_open_orders(rows: Sequence[Mapping[str, Any]]) -> list[OpenOrder]:
    """Open orders with what it takes to cancel them."""
    return [OpenOrder(row["symbol"], row["clientOrderId"], row["orderId"]) for row in rows]


def _number(value: Any, otherwise: int) -> int:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else otherwise


def retry_at(headers: Mapping[str, str], venue_ms: int) -> int:
    """REST says `Retry-After` in seconds; the WebSocket API an epoch in ms."""
    text = headers.get("retry-after", "")
    return venue_ms + int(text) * 1000 if text.isdecimal() else 0
