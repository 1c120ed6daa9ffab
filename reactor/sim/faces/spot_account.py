"""What an account may ask of Binance Spot: orders, trades, balances, and the wallet questions that clients start with."""

from dataclasses import replace
from typing import Any, Final

from reactor.sim.events import (
    Amended,
    CancelReplaced,
    Order,
    Placed,
    Refusal,
)
from reactor.sim.faces import public
from reactor.sim.faces import spot_private as private
from reactor.sim.faces.api import Call, Endpoint, Security, by_symbol, refuse
from reactor.sim.faces.limits import (
    RateLimits,
)
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.spot_info import known_symbol
from reactor.sim.symbols import amount_text
from reactor.sim.venue import VenueCore

UID_FIRST: Final = 354_937_868  # An account's uid on the wire; any number would do.
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


class SpotAccount:
    """The signed questions. `endpoints()` is keyed by verb and path below /api/v3/, `wallet()` by verb and whole path."""

    def __init__(self, core: VenueCore, limits: RateLimits) -> None:
        self.core = core
        self.limits = limits

    def endpoints(self) -> dict[str, Endpoint]:
        """Everything that must be signed."""
        place = Endpoint(self._place, 1, _SIGNED, 1, is_order=True, is_free_on_success=True)
        cancel = Endpoint(self._cancel, 1, _SIGNED, is_order=True, is_exempt=True, is_free_on_success=True)
        table = {
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
            "GET myAllocations": Endpoint(lambda call: [], 20, _SIGNED),
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
        return {
            key: replace(endpoint, known=known[key] | _ALWAYS) if key in known else endpoint for key, endpoint in table.items()
        }

    def wallet(self) -> dict[tuple[str, str], Endpoint]:
        """What clients ask of the wallet service when they start with a key."""
        rest: dict[tuple[str, str], Endpoint] = {}
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

    def _place(self, call: Call) -> Any:
        answer = self.core.place(call.account, call.params.values, call.now_ns)
        if isinstance(answer, Refusal):
            return answer
        return private.placed(answer, call.params.values.get("newOrderRespType", ""), call.time)

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
        fields = private.commission(answer.order.symbol, rates)
        return {
            "standardCommissionForOrder": {
                "maker": fields["standardCommission"]["maker"],
                "taker": fields["standardCommission"]["taker"],
            },
            "specialCommissionForOrder": {"maker": public.ZERO, "taker": public.ZERO},
            "taxCommissionForOrder": {"maker": public.ZERO, "taker": public.ZERO},
            "discount": fields["discount"],
        }

    def _query(self, call: Call) -> Any:
        answer = self.core.query(call.account, call.params.values, call.now_ns)
        return private.queried(answer, call.time) if isinstance(answer, Order) else answer

    def _cancel(self, call: Call) -> Any:
        answer = self.core.cancel(call.account, call.params.values, call.now_ns)
        return private.cancelled(answer, call.time) if isinstance(answer, Order) else answer

    def _cancel_all(self, call: Call) -> Any:
        answer = self.core.cancel_all(
            call.account, known_symbol(call.params.text("symbol"), self.core.symbols).symbol, call.now_ns
        )
        if isinstance(answer, Refusal):
            return answer
        return [private.cancelled(order, call.time) for order in answer]

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
            new_fields = private.placed(new, call.params.values.get("newOrderRespType", ""), call.time)
        elif isinstance(new, Refusal):
            new_fields = refuse(new).fields()
        return {
            "cancelResult": answer.cancel_result,
            "newOrderResult": answer.new_order_result,
            "cancelResponse": private.cancelled(cancel, call.time) if isinstance(cancel, Order) else refuse(cancel).fields(),
            "newOrderResponse": new_fields,
        }

    def _amend(self, call: Call) -> Any:
        answer = self.core.amend(call.account, call.params.values, call.now_ns)
        return private.amended(answer, call.time) if isinstance(answer, Amended) else answer

    def _open_orders(self, call: Call) -> Any:
        symbol = known_symbol(call.params.text("symbol"), self.core.symbols).symbol if "symbol" in call.params else None
        answer = self.core.open_orders(call.account, symbol)
        return answer if isinstance(answer, Refusal) else [private.queried(order, call.time) for order in answer]

    def _all_orders(self, call: Call) -> Any:
        known_symbol(call.params.text("symbol"), self.core.symbols)
        answer = self.core.all_orders(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [private.queried(order, call.time) for order in answer]

    def _my_trades(self, call: Call) -> Any:
        known_symbol(call.params.text("symbol"), self.core.symbols)
        answer = self.core.my_trades(call.account, call.params.values)
        return answer if isinstance(answer, Refusal) else [private.my_trade(fill, call.time) for fill in answer]

    def _no_order_list(self, call: Call) -> Any:
        raise VenueError(-2018, "Order list does not exist.")

    def _account(self, call: Call) -> Any:
        balances = self.core.balances(call.account, omit_zero=call.params.boolean("omitZeroBalances", False))
        rates = self.core.commission(call.account, next(iter(self.core.symbols)))
        if isinstance(rates, Refusal):
            return rates
        return private.account(balances, rates, UID_FIRST + call.account, call.time(call.now_ns))

    def _commission(self, call: Call) -> Any:
        symbol = known_symbol(call.params.text("symbol"), self.core.symbols).symbol
        rates = self.core.commission(call.account, symbol)
        return rates if isinstance(rates, Refusal) else private.commission(symbol, rates)

    def _trade_fee(self, call: Call) -> Any:
        rows = []
        for symbol in (
            [known_symbol(call.params.text("symbol"), self.core.symbols).symbol]
            if "symbol" in call.params
            else self.core.symbols
        ):
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
