"""Binance USD-M futures' face: REST, WebSocket API, market streams and user streams over one core."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from reactor.sim.accounts import notional_cap_usdt
from reactor.sim.events import (
    AccountUpdateEvent,
    BookTickerView,
    ConfigEvent,
    DayView,
    MarginCallEvent,
    MarkPrice,
    Order,
    OrderEvent,
    Refusal,
)
from reactor.sim.faces import usdm_render as render
from reactor.sim.faces.algo_orders import AlgoOrders
from reactor.sim.faces.api import Api, Call, Endpoint, Security, refuse
from reactor.sim.faces.face import FaceParameters, Heartbeat
from reactor.sim.faces.history import History
from reactor.sim.faces.keys import Keyring
from reactor.sim.faces.limits import USDM_LIMITS, LimitParameters, RateLimits
from reactor.sim.faces.listen_keys import ListenKeys
from reactor.sim.faces.message_api import MessageApi
from reactor.sim.faces.refusal import INVALID_SYMBOL, VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse, Params, text_of
from reactor.sim.faces.streams import Socket, Streams
from reactor.sim.faces.usdm_info import exchange_info
from reactor.sim.faces.usdm_streams import UsdmStreams
from reactor.sim.faults import FaultPlan
from reactor.sim.symbols import SymbolRules, amount_text
from reactor.sim.venue import VenueCore

SECOND_NS: Final = 1_000_000_000
MESSAGES_PER_SECOND_MAX: Final = 10
DEPTH_LIMITS: Final = (5, 10, 20, 50, 100, 500, 1000)
BATCH_PLACE_MAX: Final = 5
BATCH_CANCEL_MAX: Final = 10
CATEGORIES: Final = ("public", "market", "private")
_KEY: Final = Security.KEY
_SIGNED: Final = Security.SIGNED
_DONE: Final = {"code": 200, "msg": "success"}
_ALL_CANCELLED: Final = {"code": 200, "msg": "The operation of cancel all open order is done."}


def depth_weight(params: Params) -> int:
    """5–50: 2, 100: 5, 500: 10, 1000: 20."""
    text = params.values.get("limit", "500")
    limit = int(text) if text.isdigit() else 500
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def by_symbol(one: int, several: int) -> Any:
    """Two weights: with a `symbol`, and without."""
    return lambda params: one if "symbol" in params else several


def batch_size(params: Params) -> int:
    """How many orders a batch counts for."""
    try:
        rows = orjson.loads(params.values.get("batchOrders", "[]"))
    except orjson.JSONDecodeError:
        return 1
    return len(rows) if isinstance(rows, list) else 1


class UsdmFace:
    """Binance USD-M futures. See reactor/sim/faces/face.py for the verbs."""

    name = "binance_usdm"
    heartbeat = Heartbeat(ping_ns=180 * SECOND_NS, pong_ns_max=600 * SECOND_NS)

    def __init__(self, core: VenueCore, parameters: FaceParameters, faults: FaultPlan | None = None) -> None:
        self.core = core
        self.keyring = Keyring(parameters.keys)
        self.limits = RateLimits(
            LimitParameters(USDM_LIMITS, parameters.lifted_limits, messages_per_second_max=MESSAGES_PER_SECOND_MAX)
        )
        self.history = {symbol: History(rules) for symbol, rules in core.symbols.items()}
        self.streams = Streams(self._serves, self._on_wanted, MESSAGES_PER_SECOND_MAX, "MESSAGES" in parameters.lifted_limits)
        self._market = UsdmStreams(core, self.streams, self.history, parameters.unrouted_serves_all)
        self.listen_keys = ListenKeys(self.streams, parameters.listen_key_life_ms)
        self.algo = AlgoOrders(core)
        self._info: bytes | None = None
        self.api = Api(self.keyring, self.limits, self._rest(), self._methods(), _not_found, faults)
        self.messages = MessageApi(self.api, VenueError(-4056, "Invalid API Key type.", 400), parameters.hmac_may_log_on)

    # --- the verbs

    def on_request(self, request: HttpRequest, now_ns: int) -> HttpResponse:
        """Answers one REST request."""
        return self.api.on_request(request, now_ns)

    def on_open(self, socket: Socket, path: str, query: Mapping[str, str], ip: str, now_ns: int) -> int:
        """`/public|/market|/private` + `/ws…` or `/stream…`, the same without a category, and `/ws-fapi/v1`."""
        if not self.limits.connect(ip, now_ns):
            return 429
        path = path.rstrip("/")
        if path == "/ws-fapi/v1":
            try:
                self.limits.charge(ip, 5, now_ns)
            except VenueError as error:
                return error.status
            self.messages.open(socket, query, ip, now_ns)
            return 101
        category = ""
        head, _, rest = path[1:].partition("/")
        if head in CATEGORIES:
            category, path = head, "/" + rest
        if path == "/stream":
            is_combined, names = True, query.get("streams", "").split("/")
        elif path == "/ws" or path.startswith("/ws/"):
            is_combined, names = False, path[4:].split("/")
        else:
            return 404
        if query.get("listenKey"):
            names.append(query["listenKey"])
        if query.get("events"):
            self.listen_keys.allowed[id(socket)] = frozenset(query["events"].split("/"))
        is_microsecond = query.get("timeUnit", "").upper() == "MICROSECOND"
        self.streams.open(socket, names, category, is_combined, is_microsecond)
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
        """Counts a control frame of a market-stream connection. (An unsolicited pong is allowed.)"""
        stream = self.streams.sessions.get(id(socket))
        if stream is not None:
            self.streams.count_frame(stream, now_ns)

    def on_close(self, socket: Socket, now_ns: int) -> None:
        """The connection is gone."""
        self.messages.close(socket)
        self.streams.close(socket)
        self.listen_keys.close(socket)

    def on_time(self, now_ns: int) -> None:
        """Sends what has happened. Conditional orders that a price has triggered are placed on the way."""
        keys = self.listen_keys
        events = self.core.take_events()
        while events:
            for event in events:
                if type(event) is OrderEvent:
                    if event.execution_type == "TRADE" and event.fill is not None:
                        keys.publish(event.account_id, "TRADE_LITE", render.trade_lite, event)
                    keys.publish(event.account_id, "ORDER_TRADE_UPDATE", render.order_trade_update, event)
                elif type(event) is AccountUpdateEvent:
                    keys.publish(event.account_id, "ACCOUNT_UPDATE", render.account_update, event)
                elif type(event) is ConfigEvent:
                    keys.publish(event.account_id, "ACCOUNT_CONFIG_UPDATE", render.config_update, event)
                elif type(event) is MarginCallEvent:
                    keys.publish(event.account_id, "MARGIN_CALL", render.margin_call, event)
                else:
                    if self.algo.has_orders:
                        self.algo.on_event(event, now_ns)
                    self._market.on_event(event)
            events = self.core.take_events()
        for update in self.algo.take_updates():
            keys.publish(update.order.account, "ALGO_UPDATE", self.algo.encode_update, update)
        self._market.on_time(now_ns)
        keys.on_time(now_ns)

    def on_shutdown(self, now_ns: int) -> None:
        """USD-M announces nothing: the connections are simply closed."""

    def _serves(self, category: str, name: str) -> bool:
        return self._market.serves(category, name)

    def _on_wanted(self, name: str) -> None:
        self._market.on_wanted(name)

    # --- the tables

    def _rest(self) -> dict[tuple[str, str], Endpoint]:
        place = Endpoint(self._place, 0, _SIGNED, 1, is_order=True)
        cancel = Endpoint(self._cancel, 1, _SIGNED, is_order=True, is_exempt=True)
        account_v2 = Endpoint(lambda call: self._account(call, False), 5, _SIGNED)
        account_v3 = Endpoint(lambda call: self._account(call, True), 5, _SIGNED)
        balance = Endpoint(self._balance, 5, _SIGNED)
        table = {
            "GET v1/ping": Endpoint(lambda call: {}),
            "GET v1/time": Endpoint(lambda call: {"serverTime": call.time(call.now_ns)}),
            "GET v1/exchangeInfo": Endpoint(self._exchange_info),
            "GET v1/depth": Endpoint(self._depth, depth_weight),
            "GET v1/trades": Endpoint(self._trades, 5),
            "GET v1/historicalTrades": Endpoint(self._trades, 20, _KEY),
            "GET v1/aggTrades": Endpoint(self._aggregate_trades, 20),
            "GET v1/klines": Endpoint(self._klines, 5),
            "GET v1/continuousKlines": Endpoint(self._klines, 5),
            "GET v1/ticker/24hr": Endpoint(self._day, by_symbol(1, 40)),
            "GET v1/ticker/price": Endpoint(self._price, by_symbol(1, 2)),
            "GET v2/ticker/price": Endpoint(self._price, by_symbol(1, 2)),
            "GET v1/ticker/bookTicker": Endpoint(self._book_ticker, by_symbol(2, 5)),
            "GET v1/premiumIndex": Endpoint(self._premium_index, by_symbol(1, 10)),
            "GET v1/fundingRate": Endpoint(self._funding_rate),
            "GET v1/fundingInfo": Endpoint(lambda call: [], 0),
            "GET v1/openInterest": Endpoint(self._open_interest),
            "POST v1/order": place,
            "POST v1/order/test": Endpoint(self._test, 0, _SIGNED),
            "PUT v1/order": Endpoint(self._modify, 0, _SIGNED, 1, is_order=True),
            "GET v1/order": Endpoint(self._query, 1, _SIGNED),
            "DELETE v1/order": cancel,
            "POST v1/batchOrders": Endpoint(self._place_batch, 5, _SIGNED, batch_size, is_order=True),
            "PUT v1/batchOrders": Endpoint(self._modify_batch, 5, _SIGNED, batch_size, is_order=True),
            "DELETE v1/batchOrders": Endpoint(self._cancel_batch, 1, _SIGNED, is_order=True, is_exempt=True),
            "DELETE v1/allOpenOrders": Endpoint(self._cancel_all, 1, _SIGNED, is_order=True, is_exempt=True),
            "POST v1/countdownCancelAll": Endpoint(self._countdown, 10, _SIGNED),
            "GET v1/openOrder": Endpoint(self._query_open, 1, _SIGNED),
            "GET v1/openOrders": Endpoint(self._open_orders, by_symbol(1, 40), _SIGNED),
            "GET v1/allOrders": Endpoint(self._all_orders, 5, _SIGNED),
            "GET v1/userTrades": Endpoint(self._user_trades, 5, _SIGNED),
            "GET v1/forceOrders": Endpoint(self._force_orders, by_symbol(20, 50), _SIGNED),
            "GET v2/positionRisk": Endpoint(self._positions_v2, 5, _SIGNED),
            "GET v3/positionRisk": Endpoint(self._positions_v3, 5, _SIGNED),
            "GET v2/balance": balance,
            "GET v3/balance": balance,
            "GET v2/account": account_v2,
            "GET v3/account": account_v3,
            "GET v1/positionSide/dual": Endpoint(self._position_mode, 30, _SIGNED),
            "POST v1/positionSide/dual": Endpoint(self._set_position_mode, 1, _SIGNED),
            "GET v1/multiAssetsMargin": Endpoint(lambda call: {"multiAssetsMargin": False}, 30, _SIGNED),
            "POST v1/multiAssetsMargin": Endpoint(self._set_multi_assets, 1, _SIGNED),
            "GET v1/feeBurn": Endpoint(lambda call: {"feeBurn": False}, 30, _SIGNED),
            "POST v1/leverage": Endpoint(self._set_leverage, 1, _SIGNED),
            "POST v1/marginType": Endpoint(self._set_margin_type, 1, _SIGNED),
            "GET v1/symbolConfig": Endpoint(self._symbol_config, 5, _SIGNED),
            "GET v1/accountConfig": Endpoint(self._account_config, 5, _SIGNED),
            "GET v1/commissionRate": Endpoint(self._commission, 20, _SIGNED),
            "GET v1/rateLimit/order": Endpoint(self._order_limits, 1, _SIGNED),
            "GET v1/income": Endpoint(self._income, 30, _SIGNED),
            "GET v1/leverageBracket": Endpoint(self._brackets, 1, _SIGNED),
            "GET v1/adlQuantile": Endpoint(lambda call: [], 5, _SIGNED),
            "GET v1/apiTradingStatus": Endpoint(lambda call: {"indicators": {}, "updateTime": 0}, 1, _SIGNED),
            "POST v1/listenKey": Endpoint(self._start_listen_key, 1, _KEY),
            "PUT v1/listenKey": Endpoint(self._extend_listen_key, 1, _KEY),
            "DELETE v1/listenKey": Endpoint(self._stop_listen_key, 1, _KEY),
            "POST v1/algoOrder": Endpoint(self._place_algo, 0, _SIGNED, 1, is_order=True),
            "DELETE v1/algoOrder": Endpoint(self._cancel_algo, 1, _SIGNED, is_order=True, is_exempt=True),
            "GET v1/algoOrder": Endpoint(self._query_algo, 1, _SIGNED),
            "GET v1/openAlgoOrders": Endpoint(self._open_algo, by_symbol(1, 40), _SIGNED),
            "GET v1/allAlgoOrders": Endpoint(self._all_algo, 5, _SIGNED),
            "DELETE v1/algoOpenOrders": Endpoint(self._cancel_all_algo, 1, _SIGNED, is_order=True, is_exempt=True),
        }
        rest = {}
        for key, endpoint in table.items():
            verb, _, path = key.partition(" ")
            rest[verb, f"/fapi/{path}"] = endpoint
        # COIN-M is not simulated, but clients that load every product at the start get an empty list.
        rest["GET", "/dapi/v1/exchangeInfo"] = Endpoint(self._no_coin_margined)
        rest["GET", "/dapi/v1/ping"] = Endpoint(lambda call: {})
        return rest

    def _methods(self) -> dict[str, Endpoint]:
        rest = self._rest()
        names = {
            "ping": "GET v1/ping",
            "time": "GET v1/time",
            "depth": "GET v1/depth",
            "ticker.price": "GET v2/ticker/price",
            "ticker.book": "GET v1/ticker/bookTicker",
            "order.place": "POST v1/order",
            "order.modify": "PUT v1/order",
            "order.cancel": "DELETE v1/order",
            "order.status": "GET v1/order",
            "algoOrder.place": "POST v1/algoOrder",
            "algoOrder.cancel": "DELETE v1/algoOrder",
            "account.balance": "GET v2/balance",
            "v2/account.balance": "GET v3/balance",
            "account.status": "GET v2/account",
            "v2/account.status": "GET v3/account",
            "account.position": "GET v2/positionRisk",
            "v2/account.position": "GET v3/positionRisk",
            "userDataStream.start": "POST v1/listenKey",
            "userDataStream.ping": "PUT v1/listenKey",
            "userDataStream.stop": "DELETE v1/listenKey",
        }
        return {name: rest[key.split(" ")[0], "/fapi/" + key.split(" ")[1]] for name, key in names.items()}

    # --- market

    def _exchange_info(self, call: Call) -> Any:
        if self._info is None:
            self._info = orjson.dumps(exchange_info(self.core.symbols, self.limits.rows(), 0))
        return self._info.replace(b'"serverTime":0', b'"serverTime":%d' % call.time(call.now_ns), 1)

    def _rules(self, call: Call) -> SymbolRules:
        name = call.params.text("symbol") if "pair" not in call.params else call.params.text("pair")
        rules = self.core.symbols.get(name)
        if rules is None:
            raise VenueError(*INVALID_SYMBOL)
        return rules

    def _one_or_all(self, call: Call, render_symbol: Any) -> Any:
        if "symbol" in call.params:
            return render_symbol(self._rules(call).symbol)
        return [render_symbol(symbol) for symbol in self.core.symbols]

    def _limit(self, call: Call, default: int, maximum: int) -> int:
        limit = call.params.optional_integer("limit", default)
        if limit < 1:
            raise VenueError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit, maximum)

    def _depth(self, call: Call) -> Any:
        rules = self._rules(call)
        limit = call.params.optional_integer("limit", 500)
        if limit not in DEPTH_LIMITS:
            raise VenueError(-4021, f"{limit} is not valid depth limit.")
        view = self.core.depth(rules.symbol, limit)
        if isinstance(view, Refusal):
            return view
        return render.depth(view, rules, call.time(call.now_ns), call.time(view.transaction_ns))

    def _trades(self, call: Call) -> Any:
        rules = self._rules(call)
        limit = self._limit(call, 500, 1000)
        rows = self.core.recent_trades(rules.symbol, 1000 if "fromId" in call.params else limit)
        if isinstance(rows, Refusal):
            return rows
        if "fromId" in call.params:
            from_id = call.params.integer("fromId")
            rows = [row for row in rows if row.trade_id >= from_id][:limit]
        return [render.public_trade(row, rules, call.time) for row in rows]

    def _aggregate_trades(self, call: Call) -> Any:
        params = call.params
        rows = self.history[self._rules(call).symbol].aggregates_between(
            params.integer("fromId") if "fromId" in params else None,
            params.time_ms("startTime"),
            params.time_ms("endTime"),
            self._limit(call, 500, 1000),
        )
        return [render.aggregate_row(row, call.time) for row in rows]

    def _klines(self, call: Call) -> Any:
        history = self.history[self._rules(call).symbol]
        params = call.params
        candles = history.candles(
            params.text("interval"), params.time_ms("startTime"), params.time_ms("endTime"), self._limit(call, 500, 1500)
        )
        return [candle.row(history.rules, 1) for candle in candles]

    def _day(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            day = self.core.day(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            return render.day_row(day, call.time)

        return self._one_or_all(call, row)

    def _price(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            day = self.core.day(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            return {"symbol": symbol, "price": day.rules.price_text(day.last_ticks), "time": call.time(day.close_ns)}

        return self._one_or_all(call, row)

    def _book_ticker(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            view = self.core.book_ticker(symbol)
            assert isinstance(view, BookTickerView), "the symbol is listed"
            return render.book_ticker_row(view, call.time)

        return self._one_or_all(call, row)

    def _premium_index(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            mark = self.core.mark_price(symbol)
            assert isinstance(mark, MarkPrice), "the symbol is listed"
            return render.premium_index(mark, call.time)

        return self._one_or_all(call, row)

    def _funding_rate(self, call: Call) -> Any:
        symbol = self._rules(call).symbol if "symbol" in call.params else None
        return [render.funding_rate(row, call.time) for row in self.core.funding_history(symbol, call.params.values)]

    def _open_interest(self, call: Call) -> Any:
        rules = self._rules(call)
        return {"openInterest": rules.quantity_text(0), "symbol": rules.symbol, "time": call.time(call.now_ns)}

    def _no_coin_margined(self, call: Call) -> Any:
        return {**exchange_info({}, self.limits.rows(), call.time(call.now_ns)), "futuresType": "COIN_MARGINED"}

    # --- orders

    def _place_fields(self, call: Call, fields: Mapping[str, str]) -> Any:
        answer = self.core.place(call.account, fields, call.now_ns)
        if isinstance(answer, Refusal):
            return answer
        # "MARKET with RESULT returns the final FILLED result; ACK returns NEW with executedQty 0."
        row = answer.order if fields.get("newOrderRespType", "ACK") == "RESULT" else answer.accepted
        return render.order(row, call.time)

    def _place(self, call: Call) -> Any:
        return self._place_fields(call, call.params.values)

    def _test(self, call: Call) -> Any:
        answer = self.core.place(call.account, call.params.values, call.now_ns, is_test=True)
        return answer if isinstance(answer, Refusal) else render.order(answer.accepted, call.time)

    def _modify(self, call: Call) -> Any:
        return self._order_of(call, self.core.modify(call.account, call.params.values, call.now_ns))

    def _cancel(self, call: Call) -> Any:
        return self._order_of(call, self.core.cancel(call.account, call.params.values, call.now_ns))

    def _order_of(self, call: Call, answer: Order | Refusal) -> Any:
        return answer if isinstance(answer, Refusal) else render.order(answer, call.time)

    def _query(self, call: Call) -> Any:
        answer = self.core.query(call.account, call.params.values, call.now_ns)
        return answer if isinstance(answer, Refusal) else render.order(answer, call.time, True)

    def _query_open(self, call: Call) -> Any:
        answer = self.core.query_open(call.account, call.params.values, call.now_ns)
        return answer if isinstance(answer, Refusal) else render.order(answer, call.time, True)

    def _batch(self, call: Call, name: str, maximum: int) -> list[Any]:
        try:
            rows = orjson.loads(call.params.text(name))
        except orjson.JSONDecodeError:
            rows = None
        if not isinstance(rows, list):
            raise VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")
        if not 1 <= len(rows) <= maximum:
            raise VenueError(-4082, "Invalid number of batch place orders.")
        return rows

    def _each(self, rows: list[Any], run: Any) -> list[Any]:
        """One answer per element; a refusal is `{code,msg}` in its place."""
        answers = []
        for row in rows:
            if not isinstance(row, dict):
                answers.append({"code": -1130, "msg": "Data sent for parameter 'batchOrders' is not valid."})
                continue
            answer = run({str(key): text_of(value) for key, value in row.items() if value is not None})
            answers.append(refuse(answer).fields() if isinstance(answer, Refusal) else answer)
        return answers

    def _place_batch(self, call: Call) -> Any:
        rows = self._batch(call, "batchOrders", BATCH_PLACE_MAX)
        return self._each(rows, lambda fields: self._place_fields(call, fields))

    def _modify_batch(self, call: Call) -> Any:
        rows = self._batch(call, "batchOrders", BATCH_PLACE_MAX)
        return self._each(rows, lambda fields: self._order_of(call, self.core.modify(call.account, fields, call.now_ns)))

    def _cancel_batch(self, call: Call) -> Any:
        symbol = self._rules(call).symbol
        if "orderIdList" in call.params:
            rows = [{"orderId": row} for row in self._batch(call, "orderIdList", BATCH_CANCEL_MAX)]
        else:
            rows = [{"origClientOrderId": row} for row in self._batch(call, "origClientOrderIdList", BATCH_CANCEL_MAX)]
        return self._each(
            rows,
            lambda fields: self._order_of(call, self.core.cancel(call.account, {"symbol": symbol, **fields}, call.now_ns)),
        )

    def _cancel_all(self, call: Call) -> Any:
        answer = self.core.cancel_all(call.account, self._rules(call).symbol, call.now_ns)
        return answer if isinstance(answer, Refusal) else _ALL_CANCELLED

    def _countdown(self, call: Call) -> Any:
        symbol = self._rules(call).symbol
        countdown_ms = call.params.integer("countdownTime")
        refusal = self.core.countdown_cancel_all(call.account, symbol, countdown_ms, call.now_ns)
        return refusal or {"symbol": symbol, "countdownTime": str(countdown_ms)}

    def _open_orders(self, call: Call) -> Any:
        symbol = self._rules(call).symbol if "symbol" in call.params else None
        answer = self.core.open_orders(call.account, symbol)
        return answer if isinstance(answer, Refusal) else [render.order(row, call.time, True) for row in answer]

    def _all_orders(self, call: Call) -> Any:
        self._rules(call)
        answer = self.core.all_orders(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [render.order(row, call.time, True) for row in answer]

    def _user_trades(self, call: Call) -> Any:
        self._rules(call)
        answer = self.core.my_trades(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [render.user_trade(fill, call.time) for fill in answer]

    def _force_orders(self, call: Call) -> Any:
        rows = []
        for symbol in [self._rules(call).symbol] if "symbol" in call.params else self.core.symbols:
            answer = self.core.all_orders(call.account, {"symbol": symbol, "limit": "1000"})
            if not isinstance(answer, Refusal):
                rows += [render.order(row, call.time, True) for row in answer if row.is_liquidation]
        return rows

    # --- conditional orders

    def _place_algo(self, call: Call) -> Any:
        return self.algo.fields(self.algo.place(call.account, call.params, call.now_ns), call.time)

    def _cancel_algo(self, call: Call) -> Any:
        order = self.algo.cancel(call.account, call.params, call.now_ns)
        return {"algoId": order.algo_id, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}

    def _query_algo(self, call: Call) -> Any:
        return self.algo.fields(self.algo.query(call.account, call.params), call.time)

    def _open_algo(self, call: Call) -> Any:
        symbol = self._rules(call).symbol if "symbol" in call.params else ""
        return [self.algo.fields(order, call.time) for order in self.algo.rows(call.account, symbol, True)]

    def _all_algo(self, call: Call) -> Any:
        symbol = self._rules(call).symbol
        return [self.algo.fields(order, call.time) for order in self.algo.rows(call.account, symbol, False)]

    def _cancel_all_algo(self, call: Call) -> Any:
        self.algo.cancel_all(call.account, self._rules(call).symbol, call.now_ns)
        return _ALL_CANCELLED

    # --- account

    def _account(self, call: Call, is_v3: bool) -> Any:
        return render.account(
            self.core.wallet(call.account),
            self.core.positions(call.account, only_active=is_v3),
            call.time,
            is_v3,
            self.core.is_hedge_mode(call.account),
        )

    def _balance(self, call: Call) -> Any:
        return [render.balance(self.core.wallet(call.account), call.time)]

    def _positions_v2(self, call: Call) -> Any:
        symbol = self._rules(call).symbol if "symbol" in call.params else None
        return [render.position_v2(row, call.time) for row in self.core.positions(call.account, symbol)]

    def _positions_v3(self, call: Call) -> Any:
        symbol = self._rules(call).symbol if "symbol" in call.params else None
        rows = self.core.positions(call.account, symbol, only_active=True)
        return [render.position_v3(row, call.time) for row in rows]

    def _position_mode(self, call: Call) -> Any:
        return {"dualSidePosition": self.core.is_hedge_mode(call.account)}

    def _set_position_mode(self, call: Call) -> Any:
        return self.core.set_position_mode(call.account, call.params.values, call.now_ns) or _DONE

    def _set_multi_assets(self, call: Call) -> Any:
        if call.params.boolean("multiAssetsMargin", False):
            raise VenueError(-4166, "Multi-assets mode is not available here.")
        raise VenueError(-4171, "No need to change multi-assets mode type.")

    def _set_leverage(self, call: Call) -> Any:
        answer = self.core.set_leverage(call.account, call.params.values, call.now_ns)
        if isinstance(answer, Refusal):
            return answer
        leverage, notional_max_e8 = answer
        return {
            "leverage": leverage,
            "maxNotionalValue": str(notional_max_e8 // 100_000_000),
            "symbol": call.params.text("symbol"),
        }

    def _set_margin_type(self, call: Call) -> Any:
        return self.core.set_margin_type(call.account, call.params.values, call.now_ns) or _DONE

    def _symbol_config(self, call: Call) -> Any:
        rows = []
        for symbol in [self._rules(call).symbol] if "symbol" in call.params else self.core.symbols:
            leverage = self.core.leverage(call.account, symbol)
            rows.append(
                {
                    "symbol": symbol,
                    "marginType": "ISOLATED" if self.core.is_isolated(call.account, symbol) else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": leverage,
                    "maxNotionalValue": str(notional_cap_usdt(leverage)),
                }
            )
        return rows

    def _account_config(self, call: Call) -> Any:
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": self.core.is_hedge_mode(call.account),
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def _commission(self, call: Call) -> Any:
        symbol = self._rules(call).symbol
        rates = self.core.commission(call.account, symbol)
        if isinstance(rates, Refusal):
            return rates
        return {
            "symbol": symbol,
            "makerCommissionRate": amount_text(rates.maker_e8, 6),
            "takerCommissionRate": amount_text(rates.taker_e8, 6),
            "rpiCommissionRate": amount_text(rates.maker_e8, 6),
        }

    def _order_limits(self, call: Call) -> Any:
        return [{**limit.fields()} for limit in self.limits.parameters.limits if limit.kind == "ORDERS"]

    def _income(self, call: Call) -> Any:
        answer = self.core.income(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [render.income(row, call.time) for row in answer]

    def _brackets(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            rules = self.core.symbols[symbol]
            ratio = rules.maintenance_margin_e6 / 1_000_000
            return {
                "symbol": symbol,
                "notionalCoef": 1.0,
                "brackets": [
                    {
                        "bracket": 1,
                        "initialLeverage": rules.leverage_max,
                        "notionalCap": notional_cap_usdt(5),
                        "notionalFloor": 0,
                        "maintMarginRatio": ratio,
                        "cum": 0.0,
                    }
                ],
            }

        return [row(symbol) for symbol in ([self._rules(call).symbol] if "symbol" in call.params else self.core.symbols)]

    # --- listen keys

    def _start_listen_key(self, call: Call) -> Any:
        return {"listenKey": self.listen_keys.start(call.account, call.now_ns)}

    def _extend_listen_key(self, call: Call) -> Any:
        return {"listenKey": self.listen_keys.extend(call.account, call.now_ns)}

    def _stop_listen_key(self, call: Call) -> Any:
        self.listen_keys.stop(call.account)
        return {}


def _not_found(request: HttpRequest) -> HttpResponse:
    text = f"Path {request.path}, Method {request.method} is invalid"
    return HttpResponse(404, VenueError(-5000, text).body())
