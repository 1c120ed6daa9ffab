"""Orders and account queries of Binance: commands become bytes, answers become fields of a report. Pure.

    command ──place_frame──▶ bytes for the WebSocket API      answer bytes ──read_answer──▶ Answer ──write_order──▶ report
            ──place_call───▶ RestCall (the fallback)

An order's bytes come from a template made once per (instrument, side, type, time in force): filling it is one call of C
(requests.py) and, unless the session has logged on, one HMAC. No JSON library runs when an order goes out.

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
    FLAG_REDUCE_ONLY,
    NO_INSTRUMENT,
    OrderStatus,
    OrderType,
    Reason,
    ReportKind,
    Side,
    TimeInForce,
    put_text,
)
from reactor.domain.units import parse_e8
from reactor.exchanges.binance.requests import CLIENT_ORDER_ID, NUMBER, PRICE, QUANTITY, TIMESTAMP, PlaceTemplate
from reactor.exchanges.binance.rules import LINES, ProductLine, classify, read_server_ms, time_url
from reactor.exchanges.binance.sign import signed_query, signer_of, socket_payload
from reactor.exchanges.venue import AccountPermissions, Answer, Credentials, Endpoints, OpenOrder, ReportSink, RestCall, Verdict

# Liquidation, auto-deleveraging, settlement of a delisted contract: the venue's own client ids.
FORCED_PREFIXES: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
RENAMED_SUFFIX: Final = "c"
_TIMESTAMP: Final = int(Reason.TIMESTAMP)
INSURANCE: Final = "INSURANCE_CLEAR"  # income type
ROWS_MAX: Final = 1000  # the most rows that a trades or income query answers
PLACE_WINDOW_MS: Final = 1000  # recvWindow of a place: a stray copy or a stuck packet dies after this.
QUERY_WINDOW_MS: Final = 5000  # of everything that may be repeated
LIMITED_MS: Final = 10_000  # How long to stop where a venue that refuses does not say: the shortest of its windows.

_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_MARKET = int(OrderType.MARKET)
_POST_ONLY = int(TimeInForce.POST_ONLY)
_TIF_WORDS: Final = {int(TimeInForce.GTC): "GTC", int(TimeInForce.IOC): "IOC", int(TimeInForce.FOK): "FOK", _POST_ONLY: "GTX"}
_TIFS: Final = {word: tif for tif, word in _TIF_WORDS.items()}
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


def place_key(instrument_index: int, side: int, order_type: int, time_in_force: int, flags: int) -> int:
    """Which template a place takes."""
    return instrument_index << 8 | (side > 0) << 7 | order_type << 4 | time_in_force << 1 | (flags & FLAG_REDUCE_ONLY != 0)


_PLACE_HOLES: Final = {
    "newClientOrderId": CLIENT_ORDER_ID.decode(),
    "price": PRICE.decode(),
    "quantity": QUANTITY.decode(),
    "timestamp": TIMESTAMP.decode(),
}
_NUMBERS: Final = ("recvWindow", "timestamp", "orderId")  # "INT parameters as JSON integers, DECIMAL as strings"


_SIGNATURE_END: Final = b'"}}'


def _frame_text(method: str, words: Mapping[str, str | int], is_signed: bool, number: str) -> bytes:
    """A request, its parameters in order of name; up to its place for the signature if it has one."""
    parts = [
        f'"{name}":{words[name]}' if name in _NUMBERS else f'"{name}":"{words[name]}"'
        for name in sorted(words)
        if is_signed or name != "apiKey"
    ]
    request = f'{{"id":{number},"method":"{method}","params":{{' + ",".join(parts)
    return (request + (',"signature":"' if is_signed else "}}")).encode()


class BinanceOrders:
    """See venue.OrderCodec. One per venue and key."""

    def __init__(
        self,
        line: ProductLine,
        endpoints: Endpoints,
        credentials: Credentials,
        instruments: Instruments,
        place_window_ms: int = PLACE_WINDOW_MS,
        window_ms: int = QUERY_WINDOW_MS,
    ) -> None:
        """Raises ConfigError if the key cannot be used."""
        self.line = line
        self.venue = line.venue
        self.trades_window_ms = line.trades_window_ms
        self.has_positions = bool(line.positions_path)
        self.renames_on_cancel = not line.has_listen_key
        self.weights = line.weights
        self.place_window_ms = place_window_ms
        self.window_ms = window_ms
        self._endpoints = endpoints
        self._api_key = credentials.api_key
        self._signer = signer_of(credentials)
        self.has_logon = self._signer.has_logon
        self._socket_signer = None if self.has_logon else self._signer
        self._socket_key = "" if self.has_logon else credentials.api_key
        self._instruments = instruments
        self._headers = {"X-MBX-APIKEY": credentials.api_key}
        self._order_url = f"{endpoints.rest_url}{line.rest_root}/order"
        self._places: dict[int, PlaceTemplate] = {}
        self._frames: dict[tuple[str, str, bool], tuple[bytes, bytes]] = {}

    def renamed(self, client_order_id: str) -> str:
        """What the venue calls an order after our cancel; "" where a cancel renames nothing."""
        return client_order_id + RENAMED_SUFFIX if self.renames_on_cancel and client_order_id else ""

    def original(self, client_order_id: str, ids: ClientIds) -> str:
        """The id that we minted, also for an order that our cancel has renamed."""
        stem = client_order_id.removesuffix(RENAMED_SUFFIX)
        return stem if self.renames_on_cancel and not ids.is_ours(client_order_id) and ids.is_ours(stem) else client_order_id

    # ---- sessions

    def logon_frame(self, number: int, timestamp_ms: int) -> bytes:
        """session.logon, which only Ed25519 keys may use."""
        parameters: dict[str, str | int] = {"apiKey": self._api_key, "recvWindow": self.window_ms, "timestamp": timestamp_ms}
        return self._signed_frame(number, "session.logon", parameters)

    def subscribe_frame(self, number: int, timestamp_ms: int) -> bytes:
        """Asks for user events on this socket: plainly after a logon, with a signature otherwise."""
        if self.has_logon:
            return b'{"id":%d,"method":"userDataStream.subscribe"}' % number
        parameters: dict[str, str | int] = {"apiKey": self._api_key, "recvWindow": self.window_ms, "timestamp": timestamp_ms}
        return self._signed_frame(number, "userDataStream.subscribe.signature", parameters)

    def _signed_frame(self, number: int, method: str, parameters: Mapping[str, str | int]) -> bytes:
        signature = self._signer.sign(socket_payload(parameters)).decode()
        return orjson.dumps({"id": number, "method": method, "params": {**parameters, "signature": signature}})

    # ---- orders on the socket

    def place_frame(self, number: int, command: Any, client_order_id: bytes, timestamp_ms: int, key: int = -1) -> bytes:
        """order.place. `command` is a command_message_t view; `key` its place_key, where that is known already. b"": its price
        or quantity can never be sent."""
        template = self._places.get(key)
        if template is None:
            header = command.header
            key = place_key(header.instrument_index, command.side, command.order_type, command.time_in_force, header.flags)
            template = self._places.get(key)
            if template is None:
                template = self._places[key] = self._template(command)
        sizes = template.fill(template.native, command, client_order_id, number, timestamp_ms)
        frame = template.frame[: sizes & 0xFFFFFFFF]
        signer = self._socket_signer
        if signer is None or not sizes:
            return bytes(frame)
        return b"".join((frame, signer.sign(template.signed[: sizes >> 32]), _SIGNATURE_END))

    def _template(self, command: Any) -> PlaceTemplate:
        instrument = self._instruments[command.header.instrument_index]
        words = self._place_words(instrument, command)
        words |= {name: hole for name, hole in _PLACE_HOLES.items() if name != "price" or name in words}
        key = self._socket_key
        if key:
            words["apiKey"] = key
        frame = _frame_text("order.place", words, bool(key), NUMBER.decode())
        return PlaceTemplate(instrument, frame, socket_payload(words) if key else b"")

    def _place_words(self, instrument: Instrument, command: Any) -> dict[str, str | int]:
        """Everything about a place but key, time and signature: the one spot where an order's meaning is spelled."""
        line = self.line
        is_market = command.order_type == _MARKET
        words: dict[str, str | int] = {
            "symbol": instrument.symbol,
            "side": "BUY" if command.side > 0 else "SELL",
            "type": "MARKET" if is_market else "LIMIT",
            "quantity": instrument.quantity_text(command.quantity_lots),
            "newOrderRespType": "ACK",  # Fills come by the user stream, once, with fee and maker side.
            "recvWindow": self.place_window_ms,
        }
        if not is_market:
            words["price"] = instrument.price_text(command.price_ticks)
            if command.time_in_force == _POST_ONLY and line.post_only_type:
                words["type"] = line.post_only_type  # LIMIT_MAKER has no time in force.
            else:
                words["timeInForce"] = _TIF_WORDS[command.time_in_force]
        if command.header.flags & FLAG_REDUCE_ONLY and line.is_perpetual:
            words["reduceOnly"] = "true"
        return words

    def cancel_frame(
        self, number: int, symbol: str, client_order_id: bytes, timestamp_ms: int, venue_order_id: int = 0
    ) -> bytes:
        """order.cancel, by the venue's id where it is known ("orderId faster"), else by ours."""
        return self._about_frame(number, "order.cancel", symbol, client_order_id, timestamp_ms, venue_order_id)

    def query_frame(
        self, number: int, symbol: str, client_order_id: bytes, timestamp_ms: int, venue_order_id: int = 0
    ) -> bytes:
        """order.status."""
        return self._about_frame(number, "order.status", symbol, client_order_id, timestamp_ms, venue_order_id)

    def _about_frame(
        self, number: int, method: str, symbol: str, client_order_id: bytes, timestamp_ms: int, venue_order_id: int
    ) -> bytes:
        key = (method, symbol, venue_order_id != 0)
        formats = self._frames.get(key)
        if formats is None:
            formats = self._frames[key] = self._about_formats(method, symbol, venue_order_id != 0)
        frame, signed = formats
        holes: tuple[bytes | int, ...]
        if method == "order.cancel" and self.renames_on_cancel:
            renamed = client_order_id + RENAMED_SUFFIX.encode()
            holes = (renamed, venue_order_id or client_order_id, timestamp_ms)
        else:
            holes = (venue_order_id or client_order_id, timestamp_ms)
        if self._socket_signer is None:
            return frame % (number, *holes)
        return b"".join((frame % (number, *holes), self._socket_signer.sign(signed % holes), _SIGNATURE_END))

    def _about_formats(self, method: str, symbol: str, is_by_venue_id: bool) -> tuple[bytes, bytes]:
        words: dict[str, str | int] = {"symbol": symbol, "recvWindow": self.window_ms, "timestamp": "%d"}
        words["orderId" if is_by_venue_id else "origClientOrderId"] = "%d" if is_by_venue_id else "%b"
        if method == "order.cancel" and self.renames_on_cancel:
            words["newClientOrderId"] = "%b"
        if self._socket_key:
            words["apiKey"] = self._socket_key.replace("%", "%%")
        return _frame_text(method, words, bool(self._socket_key), "%d"), socket_payload(words)

    # ---- orders over REST

    def place_call(self, command: Any, client_order_id: bytes, timestamp_ms: int) -> RestCall:
        """POST order."""
        instrument = self._instruments[command.header.instrument_index]
        parameters = self._place_words(instrument, command)
        parameters["newClientOrderId"] = client_order_id.decode()
        parameters["timestamp"] = timestamp_ms
        return self._call("POST", self._order_url, parameters, "order")

    def cancel_call(self, symbol: str, client_order_id: str, timestamp_ms: int, venue_order_id: int = 0) -> RestCall:
        """DELETE order."""
        parameters = self._about(symbol, client_order_id, timestamp_ms, venue_order_id)
        if self.renames_on_cancel and client_order_id:
            parameters["newClientOrderId"] = client_order_id + RENAMED_SUFFIX
        return self._call("DELETE", self._order_url, parameters, "cancel")

    def query_call(self, symbol: str, client_order_id: str, timestamp_ms: int, venue_order_id: int = 0) -> RestCall:
        """GET order."""
        return self._call("GET", self._order_url, self._about(symbol, client_order_id, timestamp_ms, venue_order_id), "query")

    def _about(self, symbol: str, client_order_id: str, timestamp_ms: int, venue_order_id: int) -> dict[str, str | int]:
        which: dict[str, str | int] = {"orderId": venue_order_id} if venue_order_id else {"origClientOrderId": client_order_id}
        return {"symbol": symbol, **which, "recvWindow": self.window_ms, "timestamp": timestamp_ms}

    # ---- account queries over REST

    def open_orders_call(self, timestamp_ms: int) -> RestCall:
        """Every open order of the account, foreign ones too."""
        return self._query("/openOrders", {}, timestamp_ms, "open_orders")

    def balances_call(self, timestamp_ms: int) -> RestCall:
        """What the account holds."""
        return self._query_at(self.line.balance_path, {}, timestamp_ms, "account")

    def positions_call(self, timestamp_ms: int) -> RestCall:
        """Every position that is not zero. Not for spot."""
        return self._query_at(self.line.positions_path, {}, timestamp_ms, "positions")

    def permissions_call(self, timestamp_ms: int) -> RestCall:
        """What the account may do."""
        return self._query_at(self.line.account_path, {}, timestamp_ms, "account")

    def trades_call(self, symbol: str, timestamp_ms: int, from_id: int, start_ms: int = 0, end_ms: int = 0) -> RestCall:
        """Our fills of a symbol: from a trade id upwards, or (from_id < 0) between two times."""
        parameters: dict[str, str | int] = {"symbol": symbol, "limit": ROWS_MAX}
        if from_id >= 0:
            parameters["fromId"] = from_id
        else:
            parameters["startTime"] = start_ms
            parameters["endTime"] = end_ms
        return self._query_at(self.line.trades_path, parameters, timestamp_ms, "trades")

    def funding_call(self, symbol: str, timestamp_ms: int, start_ms: int) -> RestCall:
        """Funding payments of `symbol` ("": of all) since `start_ms`."""
        parameters: dict[str, str | int] = {"symbol": symbol} if symbol else {}
        parameters.update(incomeType="FUNDING_FEE", startTime=start_ms, limit=ROWS_MAX)
        return self._query_at(self.line.income_path, parameters, timestamp_ms, "income")

    def insurance_call(self, timestamp_ms: int, start_ms: int) -> RestCall:
        """What the insurance fund took for liquidations since `start_ms`, or gave; no stream says it in an own message."""
        parameters: dict[str, str | int] = {"incomeType": INSURANCE, "startTime": start_ms, "limit": ROWS_MAX}
        return self._query_at(self.line.income_path, parameters, timestamp_ms, "income")

    def commission_call(self, symbol: str, timestamp_ms: int) -> RestCall:
        """Our fees on a symbol."""
        path = "/commissionRate" if self.line.has_listen_key else "/account/commission"
        return self._query(path, {"symbol": symbol}, timestamp_ms, "account")

    def countdown_call(self, symbol: str, countdown_ms: int, timestamp_ms: int) -> RestCall:
        """Tells the venue to cancel everything of `symbol` unless told again in time (0: never mind). Account-wide!"""
        parameters: dict[str, str | int] = {"symbol": symbol, "countdownTime": countdown_ms}
        parameters.update(recvWindow=self.window_ms, timestamp=timestamp_ms)
        return self._call("POST", self._endpoints.rest_url + self.line.countdown_path, parameters, "countdown")

    def time_call(self) -> RestCall:
        """The venue's clock; needs no key."""
        return RestCall("GET", time_url(self.line, self._endpoints), {}, self.line.weights["time"])

    def listen_key_call(self, method: str) -> RestCall:
        """POST makes or finds the key of the user stream, PUT keeps it for another hour. Needs the key header only."""
        url = f"{self._endpoints.rest_url}{self.line.rest_root}/listenKey"
        return RestCall(method, url, self._headers, self.line.weights["listen_key"])

    def _query(self, path: str, parameters: dict[str, str | int], timestamp_ms: int, weight: str) -> RestCall:
        return self._query_at(self.line.rest_root + path, parameters, timestamp_ms, weight)

    def _query_at(self, path: str, parameters: dict[str, str | int], timestamp_ms: int, weight: str) -> RestCall:
        parameters = {**parameters, "recvWindow": self.window_ms, "timestamp": timestamp_ms}
        return self._call("GET", self._endpoints.rest_url + path, parameters, weight)

    def _call(self, method: str, url: str, parameters: Mapping[str, str | int], weight: str) -> RestCall:
        return RestCall(method, f"{url}?{signed_query(self._signer, parameters)}", self._headers, self.line.weights[weight])

    # ---- answers

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
            return Answer(-1, status if status != 200 else 0, error_text=text, retry_at_ms=_retry_at(headers, venue_ms))
        # "success carries code": {"code":200,"msg":"success"} is not an error.
        if status == 200 and not (isinstance(message, dict) and _number(message.get("code"), 0) < 0):
            return Answer(-1, 200, message)
        answer = self._refusal(-1, status, message)
        answer.retry_at_ms = answer.retry_at_ms or _retry_at(headers, venue_ms)
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


def _retry_at(headers: Mapping[str, str], venue_ms: int) -> int:
    """REST says `Retry-After` in seconds; the WebSocket API an epoch in ms."""
    text = headers.get("retry-after", "")
    return venue_ms + int(text) * 1000 if text.isdecimal() else 0


class CancelAllOurs:
    """Cancels every open order with our prefix on one venue and confirms that none is left. Pure: bytes in, requests out.

        calls = work.start(local_ms)              make these requests (in parallel)
        calls = work.on_answer(tag, status, …)    … and tell every answer; until `is_done`
        calls = work.next_round(local_ms)         … and whenever `needs_round`, after a pause, not before `wait_until_ms`

    A round lists the open orders, cancels ours and lists again. It is confirmed only by a list from the venue without any
    of ours; network errors and refusals lead to another round, at most ROUNDS_MAX. Foreign orders are counted, never touched.

    A venue that says 429 and is asked again all the same bans the address: then nothing can be cancelled at all, for minutes.
    """

    ROUNDS_MAX: Final = 24  # With a pause of 0.2 s: as long as a stop may take.

    def __init__(self, codec: BinanceOrders, ids: ClientIds) -> None:
        self._codec = codec
        self._ids = ids
        self._offset_ms: int | None = None
        self._waiting: set[int] = set()
        self._tags = 0
        self._list_tag = -1
        self._time_tag = -1
        self._has_refusal = False
        self.rounds = 0
        self.cancelled: list[Mapping[str, Any]] = []  # what the venue said about each; the caller may take them out
        self.cancelled_count = 0
        self.foreign = 0
        self.remaining: tuple[OpenOrder, ...] = ()
        self.others: tuple[OpenOrder, ...] = ()  # the foreign ones
        self.failure = ""
        self.needs_round = False
        self.wait_until_ms = 0  # on our clock: the venue has told us to stop asking until then (429, 418)
        self.is_done = False
        self.is_confirmed = False

    def start(self, local_ms: int, offset_ms: int | None = None) -> list[tuple[int, RestCall]]:
        """The first requests, as (tag, call). `offset_ms` is venue minus local clock; None: it is asked for first."""
        self._offset_ms = offset_ms
        if offset_ms is None:
            self._time_tag = self._tag()
            return [(self._time_tag, self._codec.time_call())]
        return self.next_round(local_ms)

    def next_round(self, local_ms: int) -> list[tuple[int, RestCall]]:
        """Lists the open orders once more."""
        self.needs_round = False
        if self.rounds >= self.ROUNDS_MAX:
            self.is_done = True
            return []
        self.rounds += 1
        self._has_refusal = False
        if self._offset_ms is None:
            self._time_tag = self._tag()
            return [(self._time_tag, self._codec.time_call())]
        self._list_tag = self._tag()
        return [(self._list_tag, self._codec.open_orders_call(self._venue_ms(local_ms)))]

    def on_answer(
        self, tag: int, status: int, headers: Mapping[str, str], body: bytes, local_ms: int
    ) -> list[tuple[int, RestCall]]:
        """One answer (status 0: the network had none, or the request was not made). Returns what to ask next."""
        if tag not in self._waiting or self.is_done:
            return []
        self._waiting.discard(tag)
        is_told_to_stop = status in (429, 418)
        if is_told_to_stop:
            self.wait_until_ms = max(self.wait_until_ms, _retry_at(headers, local_ms) or local_ms + LIMITED_MS)
        if tag == self._time_tag:
            if is_told_to_stop:
                self.failure = f"the venue refuses every request for now (HTTP {status})"
                self.needs_round = True
                return []
            try:
                self._offset_ms = read_server_ms(body) - local_ms
            except RemoteProtocolError:
                self._offset_ms = 0  # Our clock may still be good enough; the venue will say so.
            return self.next_round(local_ms)
        answer = self._codec.read_response(status, headers, body, self._venue_ms(local_ms))
        if answer.status != 200 and self._codec.classify(answer).reason == _TIMESTAMP:
            self._offset_ms = None  # It is not: the next round begins with the venue's time.
        if tag == self._list_tag:
            return self._on_list(answer, local_ms)
        if answer.status == 200:
            self.cancelled.append(answer.result)
            self.cancelled_count += 1
        else:  # Most often it was filled or cancelled in between; the next list tells.
            self.failure = f"{answer.error_text} ({answer.error_code})"
            self._has_refusal = True
        if self._waiting:
            return []
        if self._has_refusal:
            self.needs_round = True
            return []
        return self.next_round(local_ms)

    def _on_list(self, answer: Answer, local_ms: int) -> list[tuple[int, RestCall]]:
        if answer.status != 200 or not isinstance(answer.result, list):
            self.failure = f"{answer.error_text or 'no answer'} ({answer.error_code})"
            self.needs_round = True
            return []
        orders = read_open_orders(answer.result)
        self.remaining = tuple(order for order in orders if self._ids.is_ours(order.client_order_id))
        self.others = tuple(order for order in orders if not self._ids.is_ours(order.client_order_id))
        self.foreign = len(self.others)
        if not self.remaining:
            self.is_done = self.is_confirmed = True
            return []
        timestamp_ms = self._venue_ms(local_ms)
        return [
            (self._tag(), self._codec.cancel_call(order.symbol, order.client_order_id, timestamp_ms, order.venue_order_id))
            for order in self.remaining
        ]

    def _venue_ms(self, local_ms: int) -> int:
        return local_ms + (self._offset_ms or 0)

    def _tag(self) -> int:
        self._tags += 1
        self._waiting.add(self._tags)
        return self._tags


def order_codec(
    venue: int,
    endpoints: Endpoints,
    credentials: Credentials,
    instruments: Instruments,
    place_window_ms: int = PLACE_WINDOW_MS,
    window_ms: int = QUERY_WINDOW_MS,
) -> BinanceOrders:
    """The order codec of one of Binance's venues."""
    return BinanceOrders(LINES[venue], endpoints, credentials, instruments, place_window_ms, window_ms)
