"""Orders and account queries for Binance: commands become bytes. Pure; answers.py reads what comes back.

    command ──place_frame──▶ bytes for the WebSocket API
            ──place_call───▶ RestCall (the fallback)

An order's bytes come from a template made once per (instrument, side, type, time in force): filling it is one call of C
(requests.py), which signs it, too, unless the session has logged on. No JSON library runs when an order goes out.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import FLAG_REDUCE_ONLY, OrderType, TimeInForce
from reactor.exchanges.binance.answers import INSURANCE, RENAMED_SUFFIX, TIF_WORDS, BinanceAnswers
from reactor.exchanges.binance.requests import (
    CLIENT_ORDER_ID,
    NUMBER,
    PRICE,
    QUANTITY,
    SIGNATURE,
    TIMESTAMP,
    HmacKey,
    PlaceTemplate,
)
from reactor.exchanges.binance.rules import LINES, ProductLine, time_url
from reactor.exchanges.binance.sign import signed_query, signer_of, socket_payload
from reactor.exchanges.venue import Credentials, Endpoints, RestCall

ROWS_MAX: Final = 1000  # the most rows that a trades or income query answers
PLACE_WINDOW_MS: Final = 1000  # recvWindow of a place: a stray copy or a stuck packet dies after this.
QUERY_WINDOW_MS: Final = 5000  # of everything that may be repeated

_MARKET = int(OrderType.MARKET)
_POST_ONLY = int(TimeInForce.POST_ONLY)


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


class BinanceOrders(BinanceAnswers):
    """See venue.OrderCodec: what asks, on top of what reads. One per venue and key."""

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
        super().__init__(line, instruments)
        self.trades_window_ms = line.trades_window_ms
        self.has_positions = bool(line.positions_path)
        self.weights = line.weights
        self.place_window_ms = place_window_ms
        self.window_ms = window_ms
        self._endpoints = endpoints
        self._api_key = credentials.api_key
        self._signer = signer_of(credentials)
        self.has_logon = self._signer.has_logon
        self._socket_signer = None if self.has_logon else self._signer
        self._socket_key = "" if self.has_logon else credentials.api_key
        self._place_key = None if self.has_logon else HmacKey(credentials.secret.encode())
        self._headers = {"X-MBX-APIKEY": credentials.api_key}
        self._order_url = f"{endpoints.rest_url}{line.rest_root}/order"
        self._places: dict[int, PlaceTemplate] = {}
        self._frames: dict[tuple[str, str, bool], tuple[bytes, bytes]] = {}

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
            template = self._template_of(command)
        size = template.fill(template.native, command, client_order_id, number, timestamp_ms)
        return bytes(template.frame[:size])

    def send_place(self, number: int, command: Any, timestamp_ms: int, key: int, outbox: Any, fd: int) -> int:
        """order.place, made and written to the socket behind what waits in the outbox_t, in one crossing. Returns how many
        bytes wait still, NO_ROOM (nothing was done), IMPOSSIBLE (likewise; as b"" of `place_frame`), or −errno."""
        template = self._places.get(key)
        if template is None:
            template = self._template_of(command)
        return template.send(template.native, command, number, timestamp_ms, outbox, fd)

    def _template_of(self, command: Any) -> PlaceTemplate:
        header = command.header
        key = place_key(header.instrument_index, command.side, command.order_type, command.time_in_force, header.flags)
        template = self._places.get(key)
        if template is None:
            template = self._places[key] = self._template(command)
        return template

    def _template(self, command: Any) -> PlaceTemplate:
        instrument = self._instruments[command.header.instrument_index]
        words = self._place_words(instrument, command)
        words |= {name: hole for name, hole in _PLACE_HOLES.items() if name != "price" or name in words}
        key = self._socket_key
        if key:
            words["apiKey"] = key
        frame = _frame_text("order.place", words, bool(key), NUMBER.decode())
        if not key:
            return PlaceTemplate(instrument, frame)
        return PlaceTemplate(instrument, frame + SIGNATURE + _SIGNATURE_END, socket_payload(words), self._place_key)

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
                words["timeInForce"] = TIF_WORDS[command.time_in_force]
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
