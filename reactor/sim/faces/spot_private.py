"""Binance Spot on the wire, what one account sees: its orders, trades and balances, asked for or told.

Fields stand in the venue's order and have its types; quoted numbers are strings because the venue quotes them.
"""

from typing import Any

import orjson

from reactor.sim.events import (
    Amended,
    Balance,
    CommissionRates,
    DepositEvent,
    Fill,
    Order,
    OrderEvent,
    Placed,
    SpotBalanceEvent,
)
from reactor.sim.faces.public import ZERO, Time
from reactor.sim.symbols import amount_text


def placed(answer: Placed, response_type: str, time: Time) -> dict[str, Any]:
    """POST order: ACK, RESULT or FULL; by default FULL for LIMIT and MARKET, ACK for the others."""
    order = answer.order
    if not response_type:
        response_type = "FULL" if order.type in ("LIMIT", "MARKET") else "ACK"
    fields: dict[str, Any] = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": time(order.updated_ns),
    }
    if response_type == "ACK":
        return fields
    fields |= _result(order)
    fields["workingTime"] = time(order.working_ns or order.created_ns)
    fields["selfTradePreventionMode"] = order.stp_mode
    fields |= _conditional(order)
    if response_type == "FULL":
        fields["fills"] = [
            {
                "price": fill.price_text,
                "qty": fill.quantity_text,
                "commission": amount_text(fill.commission_e8),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in answer.fills
        ]
    return fields


def queried(order: Order, time: Time) -> dict[str, Any]:
    """GET order; element of openOrders and allOrders."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        **_result(order, with_quote_quantity=False),
        "stopPrice": ZERO,
        "icebergQty": order.rules.quantity_text(order.iceberg_lots),
        "time": time(order.created_ns),
        "updateTime": time(order.updated_ns),
        "isWorking": True,
        "workingTime": time(order.working_ns or order.created_ns),
        "origQuoteOrderQty": amount_text(order.quote_quantity_e8),
        "selfTradePreventionMode": order.stp_mode,
        **_conditional(order),
    }


def cancelled(order: Order, time: Time) -> dict[str, Any]:
    """DELETE order. "A cancel renames the order": the cancel's own id is `clientOrderId`."""
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.original_client_order_id or order.client_order_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": time(order.updated_ns),
        **_result(order),
        "selfTradePreventionMode": order.stp_mode,
        **_conditional(order),
    }


def amended(answer: Amended, time: Time) -> dict[str, Any]:
    """PUT order/amend/keepPriority. Here *cumulative* has one m."""
    order = answer.order
    return {
        "transactTime": time(order.updated_ns),
        "executionId": answer.execution_id,
        "amendedOrder": {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "orderListId": -1,
            "origClientOrderId": order.original_client_order_id or order.client_order_id,
            "clientOrderId": order.client_order_id,
            "price": order.rules.price_text(order.price_ticks),
            "qty": order.rules.quantity_text(order.quantity_lots),
            "executedQty": order.rules.quantity_text(order.executed_lots),
            "preventedQty": order.rules.quantity_text(order.prevented_lots),
            "quoteOrderQty": amount_text(order.quote_quantity_e8),
            "cumulativeQuoteQty": amount_text(order.executed_quote_e8),
            "status": order.status,
            "timeInForce": order.time_in_force,
            "type": order.type,
            "side": order.side,
            "workingTime": time(order.working_ns or order.created_ns),
            "selfTradePreventionMode": order.stp_mode,
        },
    }


def _result(order: Order, with_quote_quantity: bool = True) -> dict[str, Any]:
    rules = order.rules
    fields: dict[str, Any] = {
        "price": rules.price_text(order.price_ticks),
        "origQty": rules.quantity_text(order.quantity_lots),
        "executedQty": rules.quantity_text(order.executed_lots),
    }
    if with_quote_quantity:
        fields["origQuoteOrderQty"] = amount_text(order.quote_quantity_e8)
    fields |= {
        "cummulativeQuoteQty": amount_text(order.executed_quote_e8),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }
    return fields


def _conditional(order: Order) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if order.iceberg_lots:
        fields["icebergQty"] = order.rules.quantity_text(order.iceberg_lots)
    if order.strategy_id:
        fields["strategyId"] = int(order.strategy_id)
    if order.strategy_type:
        fields["strategyType"] = int(order.strategy_type)
    if order.prevented_lots:
        fields["preventedQuantity"] = order.rules.quantity_text(order.prevented_lots)
    if order.expiry_reason:
        fields["expiryReason"] = order.expiry_reason
    return fields


def my_trade(fill: Fill, time: Time) -> dict[str, Any]:
    """Element of myTrades."""
    return {
        "symbol": fill.rules.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": fill.price_text,
        "qty": fill.quantity_text,
        "quoteQty": amount_text(fill.quote_e8),
        "commission": amount_text(fill.commission_e8),
        "commissionAsset": fill.commission_asset,
        "time": time(fill.time_ns),
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account(balances: list[Balance], rates: CommissionRates, uid: int, updated: int) -> dict[str, Any]:
    """GET account."""
    return {
        "makerCommission": rates.maker_e8 // 10_000,
        "takerCommission": rates.taker_e8 // 10_000,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": amount_text(rates.maker_e8),
            "taker": amount_text(rates.taker_e8),
            "buyer": ZERO,
            "seller": ZERO,
        },
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": updated,
        "accountType": "SPOT",
        "balances": [
            {"asset": balance.asset, "free": amount_text(balance.free_e8), "locked": amount_text(balance.locked_e8)}
            for balance in balances
        ],
        "permissions": ["SPOT"],
        "uid": uid,
    }


def commission(symbol: str, rates: CommissionRates) -> dict[str, Any]:
    """GET account/commission."""
    none = {"maker": ZERO, "taker": ZERO, "buyer": ZERO, "seller": ZERO}
    return {
        "symbol": symbol,
        "standardCommission": {**none, "maker": amount_text(rates.maker_e8), "taker": amount_text(rates.taker_e8)},
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }


def execution_report(event: OrderEvent, unit: int) -> bytes:
    """`executionReport`."""
    order, fill, rules = event.order, event.fill, event.order.rules
    fields: dict[str, Any] = {
        "e": "executionReport",
        "E": event.event_ns // unit,
        "s": rules.symbol,
        "c": order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": rules.quantity_text(order.quantity_lots),
        "p": rules.price_text(order.price_ticks),
        "P": ZERO,
        "F": rules.quantity_text(order.iceberg_lots),
        "g": -1,
        "C": order.original_client_order_id,
        "x": event.execution_type,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": fill.quantity_text if fill is not None else ZERO,
        "z": rules.quantity_text(order.executed_lots),
        "L": fill.price_text if fill is not None else ZERO,
        "n": amount_text(fill.commission_e8) if fill is not None else "0",
        "N": fill.commission_asset if fill is not None else None,
        "T": event.transaction_ns // unit,
        "t": fill.trade_id if fill is not None else -1,
        "I": event.execution_id,
        "w": order.is_open,
        "m": fill.is_maker if fill is not None else False,
        "M": fill is not None,
        "O": order.created_ns // unit,
        "Z": amount_text(order.executed_quote_e8),
        "Y": amount_text(fill.quote_e8) if fill is not None else ZERO,
        "Q": amount_text(order.quote_quantity_e8),
        "W": (order.working_ns or order.created_ns) // unit,
        "V": order.stp_mode,
    }
    if order.strategy_id:
        fields["j"] = int(order.strategy_id)
    if order.strategy_type:
        fields["J"] = int(order.strategy_type)
    if event.execution_type == "TRADE_PREVENTION":
        fields["A"] = rules.quantity_text(order.prevented_lots)
        fields["B"] = rules.quantity_text(event.prevented_lots)
    if order.expiry_reason:
        fields["eR"] = order.expiry_reason
    return orjson.dumps(fields)


def account_position(event: SpotBalanceEvent, unit: int) -> bytes:
    """`outboundAccountPosition`."""
    return orjson.dumps(
        {
            "e": "outboundAccountPosition",
            "E": event.event_ns // unit,
            "u": event.transaction_ns // unit,
            "B": [
                {"a": balance.asset, "f": amount_text(balance.free_e8), "l": amount_text(balance.locked_e8)}
                for balance in event.balances
            ],
        }
    )


def balance_update(event: DepositEvent, unit: int) -> bytes:
    """`balanceUpdate`."""
    return orjson.dumps(
        {
            "e": "balanceUpdate",
            "E": event.event_ns // unit,
            "a": event.asset,
            "d": amount_text(event.delta_e8),
            "T": event.transaction_ns // unit,
        }
    )
