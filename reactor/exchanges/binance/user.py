"""Binance's private events: frames of the user stream become reports. Pure.

spot      events on the WebSocket API, wrapped {"subscriptionId":0,"event":{…}}; a cancel shows the order's own id in C
futures   events on /private behind a listen key, raw or {"stream":…,"data":{…}}

executionReport · ORDER_TRADE_UPDATE   ACK, FILL, CANCELLED, EXPIRED, REJECT
TRADE_LITE                             ACK_LITE: the same fill, earlier, without fee and cumulative quantity
outboundAccountPosition · ACCOUNT_UPDATE   BALANCE and POSITION rows; FUNDING_FEE → FUNDING
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from reactor.domain.errors import RemoteProtocolError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_LIQUIDATION,
    FLAG_MAKER,
    NO_INSTRUMENT,
    OrderType,
    Reason,
    ReportKind,
    Side,
    TimeInForce,
    put_text,
)
from reactor.domain.units import parse_e8
from reactor.exchanges.binance.answers import FORCED_PREFIXES, BinanceAnswers, entry_ticks, status_of
from reactor.exchanges.binance.rules import ProductLine
from reactor.exchanges.venue import Answer, ReportSink, UserEvent

K = ReportKind
_ACK, _FILL, _CANCELLED = int(K.ACK), int(K.FILL), int(K.CANCELLED)
_EXPIRED, _REJECT, _ORDER_STATE, _ACK_LITE = int(K.EXPIRED), int(K.REJECT), int(K.ORDER_STATE), int(K.ACK_LITE)
_BALANCE, _POSITION, _FUNDING = int(K.BALANCE), int(K.POSITION), int(K.FUNDING)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_MARKET, _LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
_TIFS: Final = {
    "GTC": int(TimeInForce.GTC),
    "IOC": int(TimeInForce.IOC),
    "FOK": int(TimeInForce.FOK),
    "GTX": int(TimeInForce.POST_ONLY),
}
_EXECUTIONS: Final[Mapping[str, int]] = {
    "NEW": _ACK,
    "TRADE": _FILL,
    "CALCULATED": _FILL,  # liquidation
    "CANCELED": _CANCELLED,
    "EXPIRED": _EXPIRED,
    "TRADE_PREVENTION": _EXPIRED,
    "REJECTED": _REJECT,
    "REPLACED": _ORDER_STATE,
    "AMENDMENT": _ORDER_STATE,
}
# Known, and nothing for a report.
_QUIET: Final = frozenset(
    {
        "balanceUpdate",  # a deposit or transfer: outboundAccountPosition follows with the balances
        "externalLockUpdate",
        "listStatus",
        "ACCOUNT_CONFIG_UPDATE",
        "ALGO_UPDATE",
        "STRATEGY_UPDATE",
        "GRID_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
    }
)


class BinanceUser:
    """See venue.UserCodec. One per venue; shares nothing with the order codec but the instruments."""

    def __init__(
        self, line: ProductLine, instruments: Instruments, answers: BinanceAnswers, has_account_rows: bool = True
    ) -> None:
        """`has_account_rows` False drops balances and positions that nobody asked for: up to three reports per fill."""
        self._has_account_rows = has_account_rows
        self.venue = line.venue
        self.has_listen_key = line.has_listen_key
        self.answer: Answer | None = None
        self.event_name = ""  # of the last event: what to log when it is UNKNOWN or worth a warning
        self._line = line
        self._find = instruments.find
        self._read_answer = answers.read_answer

    def read(self, payload: bytes | memoryview, sink: ReportSink) -> UserEvent:
        """One frame: writes its reports into `sink` and says what it was. Never raises on what the venue sends."""
        try:
            message = orjson.loads(payload)
            if not isinstance(message, dict):
                return UserEvent.MALFORMED
            if "status" in message:
                self.answer = self._read_answer(payload)
                return UserEvent.ANSWER
            event = message.get("event") or message.get("data") or message
            if not isinstance(event, dict):
                return UserEvent.MALFORMED
            return self._read_event(event, sink)
        except (orjson.JSONDecodeError, RemoteProtocolError, KeyError, TypeError, ValueError, ArithmeticError, OverflowError):
            return UserEvent.MALFORMED

    def _read_event(self, event: Mapping[str, Any], sink: ReportSink) -> UserEvent:
        name = self.event_name = event["e"]
        if name == "executionReport":
            # A cancel renames the order: c is the cancel's id, C the order's own.
            own = event["C"] if event["x"] in ("CANCELED", "REPLACED") and event["C"] else event["c"]
            return self._order(event, own, event["t"], event["E"], sink)
        if name == "ORDER_TRADE_UPDATE":
            order = event["o"]
            return self._order(order, order["c"], order["t"], event["E"], sink)
        if name == "TRADE_LITE":
            return self._trade_lite(event, sink)
        if name == "outboundAccountPosition":
            for row in event["B"] if self._has_account_rows else ():
                self._balance(row["a"], parse_e8(row["f"]), parse_e8(row["l"]), event["u"], sink)
            return UserEvent.REPORTS
        if name == "ACCOUNT_UPDATE":
            return self._account(event, sink)
        if name in ("listenKeyExpired", "eventStreamTerminated"):
            return UserEvent.EXPIRED
        if name == "serverShutdown":
            return UserEvent.SHUTDOWN
        if name == "MARGIN_CALL":
            return UserEvent.ALARM
        return UserEvent.REPORTS if name in _QUIET else UserEvent.UNKNOWN

    def _order(
        self, order: Mapping[str, Any], client_order_id: str, trade_id: int, event_ms: int, sink: ReportSink
    ) -> UserEvent:
        kind = _EXECUTIONS.get(order["x"])
        if kind is None:
            return UserEvent.UNKNOWN
        status_word = order["X"]
        if order["x"] == "TRADE_PREVENTION" and not status_word.startswith("EXPIRED"):
            return UserEvent.REPORTS  # Some quantity was prevented, the order lives on.
        instrument = self._find(self.venue, order["s"])
        if instrument is None:
            return UserEvent.REPORTS  # A symbol that nobody here trades.
        status = status_of(status_word)
        report = sink.begin(kind, client_order_id, instrument.instrument_index)
        if report is None:
            return UserEvent.REPORTS
        report.venue = self.venue
        report.venue_order_id = order["i"]
        report.order_status = status
        report.side = _BUY if order["S"] == "BUY" else _SELL
        report.cumulative_lots = instrument.quantity_lots(order["z"])
        report.venue_time_ms = order["T"]
        report.header.exchange_ns = event_ms * 1_000_000
        if kind == _FILL:
            report.trade_id = trade_id
            report.price_ticks = instrument.price_ticks(order["L"])
            report.quantity_lots = instrument.quantity_lots(order["l"])
            fee = order.get("n")
            if fee is not None and order.get("N"):
                report.fee_e8 = parse_e8(fee)
                put_text(report.asset, order["N"])
            report.amount_e8 = parse_e8(order.get("rp", "0"))  # Futures: what the fill realised, as the venue rounds it.
            if order["m"]:
                report.header.flags |= FLAG_MAKER
            realised = order.get("rp")  # Futures: what this fill added to the wallet, before its fee.
            if realised is not None and realised != "0":
                report.amount_e8 = parse_e8(realised)
        else:
            report.quantity_lots = instrument.quantity_lots(order["q"])
            report.price_ticks = instrument.price_ticks(order["p"])
            if order["o"] == "LIMIT_MAKER":
                report.time_in_force = int(TimeInForce.POST_ONLY)
            else:
                report.time_in_force = _TIFS.get(order["f"], int(TimeInForce.GTC))
            report.order_type = _MARKET if order["o"] == "MARKET" else _LIMIT
            if kind == _REJECT:
                report.reason = int(Reason.UNMAPPED)
                put_text(report.text, str(order.get("r", "")))
        if client_order_id.startswith(FORCED_PREFIXES):
            report.header.flags = report.header.flags & ~FLAG_FOREIGN | FLAG_LIQUIDATION
        sink.commit()
        return UserEvent.REPORTS

    def _trade_lite(self, event: Mapping[str, Any], sink: ReportSink) -> UserEvent:
        instrument = self._find(self.venue, event["s"])
        if instrument is None:
            return UserEvent.REPORTS
        report = sink.begin(_ACK_LITE, event["c"], instrument.instrument_index)
        if report is None:
            return UserEvent.REPORTS
        report.venue = self.venue
        report.venue_order_id = event["i"]
        report.trade_id = event["t"]
        report.price_ticks = instrument.price_ticks(event["L"])
        report.quantity_lots = instrument.quantity_lots(event["l"])
        report.side = _BUY if event["S"] == "BUY" else _SELL
        report.venue_time_ms = event["T"]
        report.header.exchange_ns = event["E"] * 1_000_000
        if event["m"]:
            report.header.flags |= FLAG_MAKER
        sink.commit()
        return UserEvent.REPORTS

    def _account(self, event: Mapping[str, Any], sink: ReportSink) -> UserEvent:
        account = event["a"]
        time_ms = event["T"]
        positions = account.get("P", ())
        if account["m"] == "FUNDING_FEE":
            # A cross position says only B; the symbol came with a.S in 2026-08. `bc` is the payment.
            symbol = account.get("S") or (positions[0]["s"] if positions else "")
            instrument = self._find(self.venue, symbol) if symbol else None
            for row in account.get("B", ()):
                report = sink.begin(_FUNDING, "", NO_INSTRUMENT if instrument is None else instrument.instrument_index)
                if report is None:
                    continue
                report.venue = self.venue
                report.amount_e8 = parse_e8(row["bc"])
                put_text(report.asset, row["a"])
                report.venue_time_ms = time_ms
                report.header.exchange_ns = time_ms * 1_000_000
                sink.commit()
        if not self._has_account_rows:
            return UserEvent.REPORTS
        for row in account.get("B", ()):
            self._balance(row["a"], parse_e8(row["wb"]), 0, time_ms, sink)
        for row in positions:
            instrument = self._find(self.venue, row["s"])
            if instrument is None:
                continue
            report = sink.begin(_POSITION, "", instrument.instrument_index)
            if report is None:
                continue
            report.venue = self.venue
            report.quantity_lots = instrument.quantity_lots(row["pa"])
            report.price_ticks = entry_ticks(instrument, row["ep"])
            report.amount_e8 = parse_e8(row["up"])
            report.venue_time_ms = time_ms
            report.header.exchange_ns = time_ms * 1_000_000
            sink.commit()
        return UserEvent.REPORTS

    def _balance(self, asset: str, amount_e8: int, locked_e8: int, time_ms: int, sink: ReportSink) -> None:
        report = sink.begin(_BALANCE, "", NO_INSTRUMENT)
        if report is None:
            return
        report.venue = self.venue
        put_text(report.asset, asset)
        report.amount_e8 = amount_e8
        report.locked_e8 = locked_e8
        report.venue_time_ms = time_ms
        report.header.exchange_ns = time_ms * 1_000_000
        sink.commit()
