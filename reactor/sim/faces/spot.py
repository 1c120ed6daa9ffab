"""Binance Spot's face: REST, WebSocket API, market streams and user events over one core."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from reactor.sim.events import (
    Amended,
    BookTickerView,
    CancelReplaced,
    DayView,
    DepositEvent,
    Order,
    OrderEvent,
    Placed,
    Refusal,
    SpotBalanceEvent,
)
from reactor.sim.faces import spot_render as render
from reactor.sim.faces.api import HTML, Api, Call, Endpoint, Security, refuse
from reactor.sim.faces.face import FaceParameters, Heartbeat
from reactor.sim.faces.history import History
from reactor.sim.faces.keys import Keyring
from reactor.sim.faces.limits import (
    MAKER_FILL_GIVES_BACK,
    SPOT_LIMITS,
    TAKER_FILL_GIVES_BACK,
    LimitParameters,
    RateLimits,
)
from reactor.sim.faces.message_api import MessageApi, UserSubscriptions
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse, Params
from reactor.sim.faces.spot_info import exchange_info, known_symbol, symbol_list
from reactor.sim.faces.spot_streams import SpotStreams
from reactor.sim.faces.streams import Frame, Socket, Streams
from reactor.sim.faults import FaultPlan
from reactor.sim.symbols import amount_text
from reactor.sim.venue import VenueCore

SECOND_NS: Final = 1_000_000_000
MESSAGES_PER_SECOND_MAX: Final = 5
UID_FIRST: Final = 354_937_868  # An account's uid on the wire; any number would do.
_PAGE: Final = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
_GONE: Final = _PAGE.format("410 Gone").encode()
_NOT_FOUND: Final = _PAGE.format("404 Not Found").encode()
_SIGNED: Final = Security.SIGNED


_ALWAYS: Final = frozenset({"timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits"})
_WINDOW: Final = frozenset({"startTime", "endTime", "limit"})
_NEW: Final = frozenset(
    [
        "symbol",
        "side",
        "type",
        "timeInForce",
        "quantity",
        "quoteOrderQty",
        "price",
        "newClientOrderId",
        "strategyId",
        "strategyType",
        "stopPrice",
        "trailingDelta",
        "icebergQty",
        "newOrderRespType",
        "selfTradePreventionMode",
        "pegPriceType",
        "pegOffsetValue",
        "pegOffsetType",
    ]
)
_QUERY: Final = frozenset({"symbol", "orderId", "origClientOrderId"})


def depth_weight(params: Params) -> int:
    """≤100: 5, ≤500: 25, ≤1000: 50, ≤5000: 250."""
    text = params.values.get("limit", "100")
    limit = int(text) if text.isdigit() else 100
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def by_symbol(one: int, several: int) -> Any:
    """Two weights: with a `symbol`, and without."""
    return lambda params: one if "symbol" in params else several


class SpotFace:
    """Binance Spot. See reactor/sim/faces/face.py for the verbs."""

    name = "binance_spot"
    heartbeat = Heartbeat(ping_ns=20 * SECOND_NS, pong_ns_max=60 * SECOND_NS)

    def __init__(self, core: VenueCore, parameters: FaceParameters, faults: FaultPlan | None = None) -> None:
        self.core = core
        self.keyring = Keyring(parameters.keys)
        self.limits = RateLimits(LimitParameters(SPOT_LIMITS, parameters.lifted_limits))
        self.history = {symbol: History(rules) for symbol, rules in core.symbols.items()}
        self.streams = Streams(self._serves, self._on_wanted, MESSAGES_PER_SECOND_MAX, "MESSAGES" in parameters.lifted_limits)
        self._market = SpotStreams(core, self.streams, self.history)
        self._info: tuple[int, bytes] | None = None
        self.api = Api(self.keyring, self.limits, self._rest(), self._methods(), _not_found, faults)
        self.messages = MessageApi(
            self.api,
            VenueError(-2028, "HMAC-SHA-256 API key is not supported.", 400),
            parameters.hmac_may_log_on,
        )
        self.users = UserSubscriptions(self.messages)

    # --- the verbs

    def on_request(self, request: HttpRequest, now_ns: int) -> HttpResponse:
        """Answers one REST request."""
        return self.api.on_request(request, now_ns)

    def on_open(self, socket: Socket, path: str, query: Mapping[str, str], ip: str, now_ns: int) -> int:
        """`/ws/<stream>…`, `/ws`, `/stream?streams=a/b`, `/ws-api/v3`.

        `/stream/ws…` is `/ws…`: ccxt takes a URL for spot only if it contains "/stream".
        """
        if not self.limits.connect(ip, now_ns):
            return 429
        path = path.rstrip("/")
        if path.startswith("/stream/"):
            path = path.removeprefix("/stream") if path.startswith("/stream/ws") else "/stream"
        is_microsecond = query.get("timeUnit", "").upper() == "MICROSECOND"
        if path == "/ws-api/v3":
            try:
                self.limits.charge(ip, 2, now_ns)
            except VenueError as error:
                return error.status
            self.messages.open(socket, query, ip, now_ns)
        elif path == "/stream":
            self.streams.open(socket, query.get("streams", "").split("/"), "", True, is_microsecond)
        elif path == "/ws" or path.startswith("/ws/"):
            self.streams.open(socket, path[4:].split("/"), "", False, is_microsecond)
        else:
            return 404
        return 101

    def on_message(self, socket: Socket, payload: bytes, now_ns: int) -> None:
        """One frame of a client."""
        session = self.messages.sessions.get(id(socket))
        if session is not None:
            self.messages.on_message(session, payload, now_ns)
            return
        stream = self.streams.sessions.get(id(socket))
        if stream is not None:
            self.streams.on_message(stream, payload, now_ns)

    def on_ping(self, socket: Socket, now_ns: int) -> None:
        """Counts a control frame of a market-stream connection."""
        stream = self.streams.sessions.get(id(socket))
        if stream is not None:
            self.streams.count_frame(stream, now_ns)

    def on_close(self, socket: Socket, now_ns: int) -> None:
        """The connection is gone."""
        self.messages.close(socket)
        self.streams.close(socket)

    def on_time(self, now_ns: int) -> None:
        """Sends what has happened."""
        for event in self.core.take_events():
            if type(event) is OrderEvent:
                self._on_order(event, now_ns)
            elif type(event) is SpotBalanceEvent:
                self.users.publish(event.account_id, render.account_position, event)
            elif type(event) is DepositEvent:
                self.users.publish(event.account_id, render.balance_update, event)
            else:
                self._market.on_event(event)
        self._market.on_time(now_ns)

    def on_shutdown(self, now_ns: int) -> None:
        """`serverShutdown` everywhere: "open a new connection at once"."""
        payload = orjson.dumps({"e": "serverShutdown", "E": now_ns // 1_000_000})
        for session in self.messages.sessions.values():
            session.socket.send(b'{"event":' + payload + b"}", Frame.USER)
        for stream in self.streams.sessions.values():
            wrapped = b'{"stream":"!serverShutdown","data":' + payload + b"}"
            stream.socket.send(wrapped if stream.is_combined else payload, Frame.USER)

    def _serves(self, category: str, name: str) -> bool:
        return self._market.serves(category, name)

    def _on_wanted(self, name: str) -> None:
        self._market.on_wanted(name)

    def _on_order(self, event: OrderEvent, now_ns: int) -> None:
        fill = event.fill
        if fill is not None and event.order.executed_lots == fill.quantity_lots:  # Its first fill.
            self.limits.give_back(event.account_id, MAKER_FILL_GIVES_BACK if fill.is_maker else TAKER_FILL_GIVES_BACK, now_ns)
        self.users.publish(event.account_id, render.execution_report, event)

    # --- the tables

    def _rest(self) -> dict[tuple[str, str], Endpoint]:
        place = Endpoint(self._place, 1, _SIGNED, 1, is_order=True, is_free_on_success=True)
        cancel = Endpoint(self._cancel, 1, _SIGNED, is_order=True, is_exempt=True, is_free_on_success=True)
        table = {
            "GET ping": Endpoint(lambda call: {}),
            "GET time": Endpoint(lambda call: {"serverTime": call.time(call.now_ns)}),
            "GET exchangeInfo": Endpoint(self._exchange_info, 20),
            "GET depth": Endpoint(self._depth, depth_weight),
            "GET trades": Endpoint(self._trades, 25),
            "GET historicalTrades": Endpoint(self._historical_trades, 25),
            "GET aggTrades": Endpoint(self._aggregate_trades, 4),
            "GET klines": Endpoint(self._klines, 2),
            "GET uiKlines": Endpoint(self._klines, 2),
            "GET avgPrice": Endpoint(self._average_price, 2),
            "GET ticker/24hr": Endpoint(self._day, by_symbol(2, 80)),
            "GET ticker/tradingDay": Endpoint(self._day, 4),
            "GET ticker": Endpoint(self._day, 4),
            "GET ticker/price": Endpoint(self._price, by_symbol(2, 4)),
            "GET ticker/bookTicker": Endpoint(self._book_ticker, by_symbol(2, 4)),
            "POST order": place,
            "POST order/test": Endpoint(self._test, 1, _SIGNED),
            "GET order": Endpoint(self._query, 4, _SIGNED),
            "DELETE order": cancel,
            "POST order/cancelReplace": Endpoint(self._cancel_replace, 1, _SIGNED, 1, is_order=True, is_free_on_success=True),
            "PUT order/amend/keepPriority": Endpoint(self._amend, 4, _SIGNED, is_order=True),
            "GET openOrders": Endpoint(self._open_orders, by_symbol(6, 80), _SIGNED),
            "DELETE openOrders": Endpoint(self._cancel_all, 1, _SIGNED, is_order=True, is_exempt=True, is_free_on_success=True),
            "GET allOrders": Endpoint(self._all_orders, 20, _SIGNED),
            "GET account": Endpoint(self._account, 20, _SIGNED),
            "GET myTrades": Endpoint(self._my_trades, lambda params: 5 if "orderId" in params else 20, _SIGNED),
            "GET rateLimit/order": Endpoint(self._order_limits, 40, _SIGNED),
            "GET account/commission": Endpoint(self._commission, 20, _SIGNED),
            "GET myPreventedMatches": Endpoint(lambda call: [], 20, _SIGNED),
            "GET myAllocations": Endpoint(lambda call: [], 20, _SIGNED),
            "GET order/amendments": Endpoint(lambda call: [], 4, _SIGNED),
            "GET orderList": Endpoint(self._no_order_list, 4, _SIGNED),
            "GET openOrderList": Endpoint(lambda call: [], 6, _SIGNED),
            "GET allOrderList": Endpoint(lambda call: [], 20, _SIGNED),
        }
        # "Not all sent parameters were read": spot looks at what an order request brings.
        known = {
            "POST order": _NEW,
            "POST order/test": _NEW | {"computeCommissionRates"},
            "GET order": _QUERY,
            "DELETE order": _QUERY | {"newClientOrderId", "cancelRestrictions"},
            "POST order/cancelReplace": _NEW
            | {"cancelReplaceMode", "cancelOrderId", "cancelOrigClientOrderId", "cancelNewClientOrderId"}
            | {"cancelRestrictions", "orderRateLimitExceededMode"},
            "PUT order/amend/keepPriority": _QUERY | {"newQty", "newClientOrderId"},
            "GET openOrders": frozenset({"symbol"}),
            "DELETE openOrders": frozenset({"symbol"}),
            "GET allOrders": _WINDOW | {"symbol", "orderId"},
            "GET account": frozenset({"omitZeroBalances"}),
            "GET myTrades": _WINDOW | {"symbol", "orderId", "fromId"},
        }
        rest = {}
        for key, endpoint in table.items():
            verb, _, path = key.partition(" ")
            rest[verb, f"/api/v3/{path}"] = replace(endpoint, known=known[key] | _ALWAYS) if key in known else endpoint
        # What clients ask of the wallet service when they start with a key.
        rest["GET", "/sapi/v1/system/status"] = Endpoint(lambda call: {"status": 0, "msg": "normal"})
        rest["GET", "/sapi/v1/capital/config/getall"] = Endpoint(self._coins, 10, _SIGNED)
        rest["GET", "/sapi/v1/margin/allPairs"] = Endpoint(lambda call: [], 1, Security.KEY)
        rest["GET", "/sapi/v1/margin/isolated/allPairs"] = Endpoint(lambda call: [], 10, _SIGNED)
        rest["GET", "/sapi/v1/asset/tradeFee"] = Endpoint(self._trade_fee, 1, _SIGNED)
        rest["GET", "/sapi/v1/account/status"] = Endpoint(lambda call: {"data": "Normal"}, 1, _SIGNED)
        rest["GET", "/sapi/v1/account/apiTradingStatus"] = Endpoint(
            lambda call: {"data": {"isLocked": False, "plannedRecoverTime": 0, "triggerCondition": {}, "updateTime": 0}},
            1,
            _SIGNED,
        )
        return rest

    def _methods(self) -> dict[str, Endpoint]:
        rest = self._rest()
        names = {
            "ping": "GET ping",
            "time": "GET time",
            "exchangeInfo": "GET exchangeInfo",
            "depth": "GET depth",
            "trades.recent": "GET trades",
            "trades.historical": "GET historicalTrades",
            "trades.aggregate": "GET aggTrades",
            "klines": "GET klines",
            "uiKlines": "GET uiKlines",
            "avgPrice": "GET avgPrice",
            "ticker.24hr": "GET ticker/24hr",
            "ticker.tradingDay": "GET ticker/tradingDay",
            "ticker": "GET ticker",
            "ticker.price": "GET ticker/price",
            "ticker.book": "GET ticker/bookTicker",
            "order.place": "POST order",
            "order.test": "POST order/test",
            "order.status": "GET order",
            "order.cancel": "DELETE order",
            "order.cancelReplace": "POST order/cancelReplace",
            "order.amend.keepPriority": "PUT order/amend/keepPriority",
            "openOrders.status": "GET openOrders",
            "openOrders.cancelAll": "DELETE openOrders",
            "account.status": "GET account",
            "account.rateLimits.orders": "GET rateLimit/order",
            "account.commission": "GET account/commission",
            "allOrders": "GET allOrders",
            "myTrades": "GET myTrades",
            "myPreventedMatches": "GET myPreventedMatches",
            "myAllocations": "GET myAllocations",
            "order.amendments": "GET order/amendments",
            "openOrderLists.status": "GET openOrderList",
            "allOrderLists": "GET allOrderList",
        }
        return {name: rest[key.split(" ")[0], "/api/v3/" + key.split(" ")[1]] for name, key in names.items()}

    # --- market

    def _exchange_info(self, call: Call) -> Any:
        if not call.params.values:  # The usual question: rendered once, only the time changes.
            if self._info is None:
                text = orjson.dumps(exchange_info(call.params, self.core.symbols, self.limits.rows(), 0))
                self._info = (0, text)
            return self._info[1].replace(b'"serverTime":0', b'"serverTime":%d' % call.time(call.now_ns), 1)
        return exchange_info(call.params, self.core.symbols, self.limits.rows(), call.time(call.now_ns))

    def _symbol(self, call: Call) -> str:
        return known_symbol(call.params.text("symbol"), self.core.symbols).symbol

    def _limit(self, call: Call, default: int, maximum: int) -> int:
        limit = call.params.optional_integer("limit", default)
        if limit < 1:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, maximum)

    def _depth(self, call: Call) -> Any:
        symbol = self._symbol(call)
        view = self.core.depth(symbol, self._limit(call, 100, 5000))
        if isinstance(view, Refusal):
            return view
        return render.depth(view, self.core.symbols[symbol])

    def _trades(self, call: Call) -> Any:
        symbol = self._symbol(call)
        rows = self.core.recent_trades(symbol, self._limit(call, 500, 1000))
        if isinstance(rows, Refusal):
            return rows
        rules = self.core.symbols[symbol]
        return [render.public_trade(row, rules, call.time) for row in rows]

    def _historical_trades(self, call: Call) -> Any:
        if "fromId" not in call.params:
            return self._trades(call)
        symbol = self._symbol(call)
        from_id = call.params.integer("fromId")
        rows = self.core.recent_trades(symbol, 1000)
        if isinstance(rows, Refusal):
            return rows
        rules = self.core.symbols[symbol]
        chosen = [row for row in rows if row.trade_id >= from_id][: self._limit(call, 500, 1000)]
        return [render.public_trade(row, rules, call.time) for row in chosen]

    def _aggregate_trades(self, call: Call) -> Any:
        history = self.history[self._symbol(call)]
        params = call.params
        rows = history.aggregates_between(
            params.integer("fromId") if "fromId" in params else None,
            params.time_ms("startTime"),
            params.time_ms("endTime"),
            self._limit(call, 500, 1000),
        )
        return [render.aggregate_row(row, call.time) for row in rows]

    def _klines(self, call: Call) -> Any:
        history = self.history[self._symbol(call)]
        params = call.params
        candles = history.candles(
            params.text("interval"), params.time_ms("startTime"), params.time_ms("endTime"), self._limit(call, 500, 1000)
        )
        unit = 1000 if call.is_microsecond else 1
        return [candle.row(history.rules, unit) for candle in candles]

    def _average_price(self, call: Call) -> Any:
        symbol = self._symbol(call)
        return {
            "mins": 5,
            "price": amount_text(self.core.average_price_e8(symbol)),
            "closeTime": call.time(call.now_ns),
        }

    def _one_or_all(self, call: Call, render_symbol: Any) -> Any:
        """One object for `symbol`, an array for `symbols` or nothing."""
        chosen = symbol_list(call.params, self.core.symbols)
        if chosen is not None and "symbol" in call.params:
            return render_symbol(chosen[0].symbol)
        rows = list(self.core.symbols.values()) if chosen is None else chosen
        return [render_symbol(rules.symbol) for rules in rows]

    def _day(self, call: Call) -> Any:
        kind = call.params.optional("type", "FULL")
        if kind not in ("FULL", "MINI"):
            raise VenueError(-1130, "Data sent for parameter 'type' is not valid.")

        def row(symbol: str) -> dict[str, Any]:
            day, book = self.core.day(symbol), self.core.book_ticker(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            assert isinstance(book, BookTickerView), "the symbol is listed"
            return render.day_row(day, book, call.time, kind == "MINI")

        return self._one_or_all(call, row)

    def _price(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, str]:
            day = self.core.day(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            return {"symbol": symbol, "price": day.rules.price_text(day.last_ticks)}

        return self._one_or_all(call, row)

    def _book_ticker(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            view = self.core.book_ticker(symbol)
            assert isinstance(view, BookTickerView), "the symbol is listed"
            return render.book_ticker_row(view)

        return self._one_or_all(call, row)

    # --- orders

    def _place(self, call: Call) -> Any:
        answer = self.core.place(call.account, call.params.values, call.now_ns)
        if isinstance(answer, Refusal):
            return answer
        return render.placed(answer, call.params.values.get("newOrderRespType", ""), call.time)

    def _test(self, call: Call) -> Any:
        with_rates = call.params.boolean("computeCommissionRates", False)
        answer = self.core.place(call.account, call.params.values, call.now_ns, is_test=True)
        if isinstance(answer, Refusal):
            return answer
        if not with_rates:
            return {}
        rates = self.core.commission(call.account, answer.order.symbol)
        if isinstance(rates, Refusal):
            return rates
        fields = render.commission(answer.order.symbol, rates)
        return {
            "standardCommissionForOrder": {
                "maker": fields["standardCommission"]["maker"],
                "taker": fields["standardCommission"]["taker"],
            },
            "specialCommissionForOrder": {"maker": render.ZERO, "taker": render.ZERO},
            "taxCommissionForOrder": {"maker": render.ZERO, "taker": render.ZERO},
            "discount": fields["discount"],
        }

    def _query(self, call: Call) -> Any:
        answer = self.core.query(call.account, call.params.values, call.now_ns)
        return render.queried(answer, call.time) if isinstance(answer, Order) else answer

    def _cancel(self, call: Call) -> Any:
        answer = self.core.cancel(call.account, call.params.values, call.now_ns)
        return render.cancelled(answer, call.time) if isinstance(answer, Order) else answer

    def _cancel_all(self, call: Call) -> Any:
        answer = self.core.cancel_all(call.account, self._symbol(call), call.now_ns)
        if isinstance(answer, Refusal):
            return answer
        return [render.cancelled(order, call.time) for order in answer]

    def _cancel_replace(self, call: Call) -> Any:
        answer = self.core.cancel_replace(call.account, call.params.values, call.now_ns)
        if isinstance(answer, Refusal):
            return answer
        fields = self._cancel_replaced(answer, call)
        results = (answer.cancel_result, answer.new_order_result)
        if results == ("SUCCESS", "SUCCESS"):
            return fields
        if "SUCCESS" in results:
            raise VenueError(-2021, "Order cancel-replace partially failed.", 409, fields)
        raise VenueError(-2022, "Order cancel-replace failed.", 400, fields)

    def _cancel_replaced(self, answer: CancelReplaced, call: Call) -> dict[str, Any]:
        cancel, new = answer.cancel_response, answer.new_order_response
        new_fields: Any = None
        if isinstance(new, Placed):
            new_fields = render.placed(new, call.params.values.get("newOrderRespType", ""), call.time)
        elif isinstance(new, Refusal):
            new_fields = refuse(new).fields()
        return {
            "cancelResult": answer.cancel_result,
            "newOrderResult": answer.new_order_result,
            "cancelResponse": render.cancelled(cancel, call.time) if isinstance(cancel, Order) else refuse(cancel).fields(),
            "newOrderResponse": new_fields,
        }

    def _amend(self, call: Call) -> Any:
        answer = self.core.amend(call.account, call.params.values, call.now_ns)
        return render.amended(answer, call.time) if isinstance(answer, Amended) else answer

    def _open_orders(self, call: Call) -> Any:
        symbol = self._symbol(call) if "symbol" in call.params else None
        answer = self.core.open_orders(call.account, symbol)
        return answer if isinstance(answer, Refusal) else [render.queried(order, call.time) for order in answer]

    def _all_orders(self, call: Call) -> Any:
        self._symbol(call)
        answer = self.core.all_orders(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [render.queried(order, call.time) for order in answer]

    def _my_trades(self, call: Call) -> Any:
        self._symbol(call)
        answer = self.core.my_trades(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [render.my_trade(fill, call.time) for fill in answer]

    def _no_order_list(self, call: Call) -> Any:
        raise VenueError(-2018, "Order list does not exist.")

    # --- account

    def _account(self, call: Call) -> Any:
        balances = self.core.balances(call.account, omit_zero=call.params.boolean("omitZeroBalances", False))
        rates = self.core.commission(call.account, next(iter(self.core.symbols)))
        if isinstance(rates, Refusal):
            return rates
        return render.account(balances, rates, UID_FIRST + call.account, call.time(call.now_ns))

    def _commission(self, call: Call) -> Any:
        symbol = self._symbol(call)
        rates = self.core.commission(call.account, symbol)
        return rates if isinstance(rates, Refusal) else render.commission(symbol, rates)

    def _trade_fee(self, call: Call) -> Any:
        rows = []
        for symbol in [self._symbol(call)] if "symbol" in call.params else self.core.symbols:
            rates = self.core.commission(call.account, symbol)
            if not isinstance(rates, Refusal):
                maker, taker = amount_text(rates.maker_e8), amount_text(rates.taker_e8)
                rows.append({"symbol": symbol, "makerCommission": maker, "takerCommission": taker})
        return rows

    def _order_limits(self, call: Call) -> Any:
        return self.limits.order_rows(call.account, call.now_ns)

    def _coins(self, call: Call) -> Any:
        return [
            {
                "coin": balance.asset,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "name": balance.asset,
                "free": amount_text(balance.free_e8),
                "locked": amount_text(balance.locked_e8),
                "freeze": "0",
                "withdrawing": "0",
                "ipoing": "0",
                "ipoable": "0",
                "storage": "0",
                "isLegalMoney": False,
                "trading": True,
                "networkList": [],
            }
            for balance in self.core.balances(call.account)
        ]


def _not_found(request: HttpRequest) -> HttpResponse:
    if request.path == "/api/v3/userDataStream":  # "removed 2026-02-20": HTTP 410, HTML.
        return HttpResponse(410, _GONE, {}, HTML)
    return HttpResponse(404, _NOT_FOUND, {}, HTML)
