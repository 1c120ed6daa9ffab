"""What an account may ask of Binance USD-M: orders, conditional orders, positions, settings, listen keys."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from reactor.sim.accounts import notional_cap_usdt
from reactor.sim.events import (
    Order,
    Refusal,
)
from reactor.sim.faces import usdm_private as private
from reactor.sim.faces.algo_orders import AlgoOrders
from reactor.sim.faces.api import Call, Endpoint, Security, by_symbol, refuse
from reactor.sim.faces.limits import (
    RateLimits,
)
from reactor.sim.faces.listen_keys import ListenKeys
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import Params, text_of
from reactor.sim.faces.usdm_market import known_symbol
from reactor.sim.symbols import amount_text
from reactor.sim.venue import VenueCore

BATCH_PLACE_MAX: Final = 5
BATCH_CANCEL_MAX: Final = 10
_KEY: Final = Security.KEY
_SIGNED: Final = Security.SIGNED
_DONE: Final = {"code": 200, "msg": "success"}
_ALL_CANCELLED: Final = {"code": 200, "msg": "The operation of cancel all open order is done."}


def batch_size(params: Params) -> int:
    """How many orders a batch counts for."""
    try:
        rows = orjson.loads(params.values.get("batchOrders", "[]"))
    except orjson.JSONDecodeError:
        return 1
    return len(rows) if isinstance(rows, list) else 1


class UsdmAccount:
    """The questions that need a key. `endpoints()` is keyed by verb and path below /fapi/."""

    def __init__(self, core: VenueCore, limits: RateLimits, listen_keys: ListenKeys, algo: AlgoOrders) -> None:
        self.core = core
        self.limits = limits
        self.listen_keys = listen_keys
        self.algo = algo

    def endpoints(self) -> dict[str, Endpoint]:
        """Everything that must be signed, and the listen keys."""
        place = Endpoint(self._place, 0, _SIGNED, 1, is_order=True)
        cancel = Endpoint(self._cancel, 1, _SIGNED, is_order=True, is_exempt=True)
        account_v2 = Endpoint(lambda call: self._account(call, False), 5, _SIGNED)
        account_v3 = Endpoint(lambda call: self._account(call, True), 5, _SIGNED)
        balance = Endpoint(self._balance, 5, _SIGNED)
        return {
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

    def _place_fields(self, call: Call, fields: Mapping[str, str]) -> Any:
        answer = self.core.place(call.account, fields, call.now_ns)
        if isinstance(answer, Refusal):
            return answer
        # "MARKET with RESULT returns the final FILLED result; ACK returns NEW with executedQty 0."
        row = answer.order if fields.get("newOrderRespType", "ACK") == "RESULT" else answer.accepted
        return private.order(row, call.time)

    def _place(self, call: Call) -> Any:
        return self._place_fields(call, call.params.values)

    def _test(self, call: Call) -> Any:
        answer = self.core.place(call.account, call.params.values, call.now_ns, is_test=True)
        return answer if isinstance(answer, Refusal) else private.order(answer.accepted, call.time)

    def _modify(self, call: Call) -> Any:
        return self._order_of(call, self.core.modify(call.account, call.params.values, call.now_ns))

    def _cancel(self, call: Call) -> Any:
        return self._order_of(call, self.core.cancel(call.account, call.params.values, call.now_ns))

    def _order_of(self, call: Call, answer: Order | Refusal) -> Any:
        return answer if isinstance(answer, Refusal) else private.order(answer, call.time)

    def _query(self, call: Call) -> Any:
        answer = self.core.query(call.account, call.params.values, call.now_ns)
        return answer if isinstance(answer, Refusal) else private.order(answer, call.time, True)

    def _query_open(self, call: Call) -> Any:
        answer = self.core.query_open(call.account, call.params.values, call.now_ns)
        return answer if isinstance(answer, Refusal) else private.order(answer, call.time, True)

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
        symbol = known_symbol(call, self.core).symbol
        if "orderIdList" in call.params:
            rows = [{"orderId": row} for row in self._batch(call, "orderIdList", BATCH_CANCEL_MAX)]
        else:
            rows = [{"origClientOrderId": row} for row in self._batch(call, "origClientOrderIdList", BATCH_CANCEL_MAX)]
        return self._each(
            rows,
            lambda fields: self._order_of(call, self.core.cancel(call.account, {"symbol": symbol, **fields}, call.now_ns)),
        )

    def _cancel_all(self, call: Call) -> Any:
        answer = self.core.cancel_all(call.account, known_symbol(call, self.core).symbol, call.now_ns)
        return answer if isinstance(answer, Refusal) else _ALL_CANCELLED

    def _countdown(self, call: Call) -> Any:
        symbol = known_symbol(call, self.core).symbol
        countdown_ms = call.params.integer("countdownTime")
        refusal = self.core.countdown_cancel_all(call.account, symbol, countdown_ms, call.now_ns)
        return refusal or {"symbol": symbol, "countdownTime": str(countdown_ms)}

    def _open_orders(self, call: Call) -> Any:
        symbol = known_symbol(call, self.core).symbol if "symbol" in call.params else None
        answer = self.core.open_orders(call.account, symbol)
        return answer if isinstance(answer, Refusal) else [private.order(row, call.time, True) for row in answer]

    def _all_orders(self, call: Call) -> Any:
        known_symbol(call, self.core)
        answer = self.core.all_orders(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [private.order(row, call.time, True) for row in answer]

    def _user_trades(self, call: Call) -> Any:
        known_symbol(call, self.core)
        answer = self.core.my_trades(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [private.user_trade(fill, call.time) for fill in answer]

    def _force_orders(self, call: Call) -> Any:
        rows = []
        for symbol in [known_symbol(call, self.core).symbol] if "symbol" in call.params else self.core.symbols:
            answer = self.core.all_orders(call.account, {"symbol": symbol, "limit": "1000"})
            if not isinstance(answer, Refusal):
                rows += [private.order(row, call.time, True) for row in answer if row.is_liquidation]
        return rows

    def _place_algo(self, call: Call) -> Any:
        return self.algo.fields(self.algo.place(call.account, call.params, call.now_ns), call.time)

    def _cancel_algo(self, call: Call) -> Any:
        order = self.algo.cancel(call.account, call.params, call.now_ns)
        return {"algoId": order.algo_id, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}

    def _query_algo(self, call: Call) -> Any:
        return self.algo.fields(self.algo.query(call.account, call.params), call.time)

    def _open_algo(self, call: Call) -> Any:
        symbol = known_symbol(call, self.core).symbol if "symbol" in call.params else ""
        return [self.algo.fields(order, call.time) for order in self.algo.rows(call.account, symbol, True)]

    def _all_algo(self, call: Call) -> Any:
        symbol = known_symbol(call, self.core).symbol
        return [self.algo.fields(order, call.time) for order in self.algo.rows(call.account, symbol, False)]

    def _cancel_all_algo(self, call: Call) -> Any:
        self.algo.cancel_all(call.account, known_symbol(call, self.core).symbol, call.now_ns)
        return _ALL_CANCELLED

    def _account(self, call: Call, is_v3: bool) -> Any:
        return private.account(
            self.core.wallet(call.account),
            self.core.positions(call.account, only_active=is_v3),
            call.time,
            is_v3,
            self.core.is_hedge_mode(call.account),
        )

    def _balance(self, call: Call) -> Any:
        return [private.balance(self.core.wallet(call.account), call.time)]

    def _positions_v2(self, call: Call) -> Any:
        symbol = known_symbol(call, self.core).symbol if "symbol" in call.params else None
        return [private.position_v2(row, call.time) for row in self.core.positions(call.account, symbol)]

    def _positions_v3(self, call: Call) -> Any:
        symbol = known_symbol(call, self.core).symbol if "symbol" in call.params else None
        rows = self.core.positions(call.account, symbol, only_active=True)
        return [private.position_v3(row, call.time) for row in rows]

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
        for symbol in [known_symbol(call, self.core).symbol] if "symbol" in call.params else self.core.symbols:
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
        symbol = known_symbol(call, self.core).symbol
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
        return answer if isinstance(answer, Refusal) else [private.income(row, call.time) for row in answer]

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

        return [
            row(symbol) for symbol in ([known_symbol(call, self.core).symbol] if "symbol" in call.params else self.core.symbols)
        ]

    def _start_listen_key(self, call: Call) -> Any:
        return {"listenKey": self.listen_keys.start(call.account, call.now_ns)}

    def _extend_listen_key(self, call: Call) -> Any:
        return {"listenKey": self.listen_keys.extend(call.account, call.now_ns)}

    def _stop_listen_key(self, call: Call) -> Any:
        self.listen_keys.stop(call.account)
        return {}
