"""Binance Spot on the wire: orders, trades, market messages and user events, field by field in the venue's order and types.

Quoted numbers are strings because the venue quotes them; times are integers in ms or µs (`unit`: ns per time unit).
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from reactor.sim.events import (
    AggregateTradeEvent,
    Amended,
    Balance,
    BookTickerEvent,
    BookTickerView,
    CommissionRates,
    DayView,
    DepositEvent,
    DepthEvent,
    DepthView,
    Fill,
    Levels,
    Order,
    OrderEvent,
    Placed,
    PublicTrade,
    SpotBalanceEvent,
    TradeEvent,
)
from reactor.sim.symbols import SymbolRules, amount_text

ZERO: Final = "0.00000000"
Time = Callable[[int], int]  # ns → what the client wants

# --- orders -----------------------------------------------------------------------------------------------------


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


# --- account ----------------------------------------------------------------------------------------------------


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


# --- market, by REST --------------------------------------------------------------------------------------------


def levels(rules: SymbolRules, rows: Levels) -> str:
    """`["price","quantity"],…` without the outer brackets."""
    price, quantity = rules.price_text, rules.quantity_text
    return ",".join([f'["{price(ticks)}","{quantity(lots)}"]' for ticks, lots in rows])


def depth(view: DepthView, rules: SymbolRules) -> bytes:
    """GET depth, and `@depth5/10/20`."""
    return (
        f'{{"lastUpdateId":{view.last_update_id},"bids":[{levels(rules, view.bids)}],"asks":[{levels(rules, view.asks)}]}}'
    ).encode()


def book_ticker_row(view: BookTickerView) -> dict[str, Any]:
    """GET ticker/bookTicker."""
    rules = view.rules
    return {
        "symbol": rules.symbol,
        "bidPrice": rules.price_text(view.bid_ticks),
        "bidQty": rules.quantity_text(view.bid_lots),
        "askPrice": rules.price_text(view.ask_ticks),
        "askQty": rules.quantity_text(view.ask_lots),
    }


def public_trade(row: PublicTrade, rules: SymbolRules, time: Time) -> dict[str, Any]:
    """GET trades."""
    return {
        "id": row.trade_id,
        "price": rules.price_text(row.price_ticks),
        "qty": rules.quantity_text(row.quantity_lots),
        "quoteQty": amount_text(rules.notional_e8(row.price_ticks, row.quantity_lots)),
        "time": time(row.trade_ns),
        "isBuyerMaker": row.buyer_is_maker,
        "isBestMatch": True,
    }


def aggregate_row(row: AggregateTradeEvent, time: Time) -> dict[str, Any]:
    """GET aggTrades."""
    return {
        "a": row.aggregate_id,
        "p": row.rules.price_text(row.price_ticks),
        "q": row.rules.quantity_text(row.quantity_lots),
        "f": row.first_trade_id,
        "l": row.last_trade_id,
        "T": time(row.trade_ns),
        "m": row.buyer_is_maker,
        "M": True,
    }


def day_row(day: DayView, book: BookTickerView, time: Time, is_mini: bool) -> dict[str, Any]:
    """GET ticker/24hr, FULL or MINI."""
    rules = day.rules
    times: dict[str, Any] = {
        "openTime": time(day.open_ns),
        "closeTime": time(day.close_ns),
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": trade_count(day),
    }
    prices = {
        "openPrice": rules.price_text(day.open_ticks),
        "highPrice": rules.price_text(day.high_ticks),
        "lowPrice": rules.price_text(day.low_ticks),
        "lastPrice": rules.price_text(day.last_ticks),
        "volume": rules.quantity_text(day.volume_lots),
        "quoteVolume": amount_text(day.quote_e8),
    }
    if is_mini:
        return {"symbol": rules.symbol, **prices, **times}
    change = day.last_ticks - day.open_ticks
    return {
        "symbol": rules.symbol,
        "priceChange": rules.price_text(change),
        "priceChangePercent": percent_text(change, day.open_ticks),
        "weightedAvgPrice": average_text(day),
        "prevClosePrice": rules.price_text(day.open_ticks),
        "lastPrice": prices["lastPrice"],
        "lastQty": rules.quantity_text(day.last_lots),
        "bidPrice": rules.price_text(book.bid_ticks),
        "bidQty": rules.quantity_text(book.bid_lots),
        "askPrice": rules.price_text(book.ask_ticks),
        "askQty": rules.quantity_text(book.ask_lots),
        "openPrice": prices["openPrice"],
        "highPrice": prices["highPrice"],
        "lowPrice": prices["lowPrice"],
        "volume": prices["volume"],
        "quoteVolume": prices["quoteVolume"],
        **times,
    }


def trade_count(day: DayView) -> int:
    """How many trades the statistics hold."""
    return day.last_trade_id - day.first_trade_id + 1 if day.last_trade_id else 0


def percent_text(change: int, base: int) -> str:
    """A change in percent with three digits."""
    return f"{100 * change / base:.3f}" if base else "0.000"


def average_text(day: DayView) -> str:
    """Volume-weighted price, eight digits."""
    base_e8 = day.rules.base_e8(day.volume_lots)
    return amount_text(day.quote_e8 * 100_000_000 // base_e8) if base_e8 else ZERO


# --- market streams ---------------------------------------------------------------------------------------------


def trade_message(event: TradeEvent, unit: int) -> bytes:
    """`@trade`."""
    rules = event.rules
    return (
        f'{{"e":"trade","E":{event.event_ns // unit},"s":"{rules.symbol}","t":{event.trade_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"T":{event.trade_ns // unit},"m":{"true" if event.buyer_is_maker else "false"},"M":true}}'
    ).encode()


def aggregate_message(event: AggregateTradeEvent, unit: int) -> bytes:
    """`@aggTrade`."""
    rules = event.rules
    return (
        f'{{"e":"aggTrade","E":{event.event_ns // unit},"s":"{rules.symbol}","a":{event.aggregate_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"f":{event.first_trade_id},"l":{event.last_trade_id},'
        f'"T":{event.trade_ns // unit},"m":{"true" if event.buyer_is_maker else "false"},"M":true}}'
    ).encode()


def book_ticker_message(event: BookTickerEvent, unit: int) -> bytes:
    """`@bookTicker`: no `e`, `E`, `T`."""
    rules = event.rules
    return (
        f'{{"u":{event.update_id},"s":"{rules.symbol}",'
        f'"b":"{rules.price_text(event.bid_ticks)}","B":"{rules.quantity_text(event.bid_lots)}",'
        f'"a":"{rules.price_text(event.ask_ticks)}","A":"{rules.quantity_text(event.ask_lots)}"}}'
    ).encode()


def depth_message(event: DepthEvent, unit: int) -> bytes:
    """`@depth`: no `T`, no `pu`."""
    rules = event.rules
    return (
        f'{{"e":"depthUpdate","E":{event.event_ns // unit},"s":"{rules.symbol}",'
        f'"U":{event.first_update_id},"u":{event.last_update_id},'
        f'"b":[{levels(rules, event.bids)}],"a":[{levels(rules, event.asks)}]}}'
    ).encode()


def day_message(day: DayView, book: BookTickerView, event_time: int, time: Time, is_mini: bool) -> dict[str, Any]:
    """`@ticker` and `@miniTicker`."""
    rules = day.rules
    if is_mini:
        return {
            "e": "24hrMiniTicker",
            "E": event_time,
            "s": rules.symbol,
            "c": rules.price_text(day.last_ticks),
            "o": rules.price_text(day.open_ticks),
            "h": rules.price_text(day.high_ticks),
            "l": rules.price_text(day.low_ticks),
            "v": rules.quantity_text(day.volume_lots),
            "q": amount_text(day.quote_e8),
        }
    change = day.last_ticks - day.open_ticks
    return {
        "e": "24hrTicker",
        "E": event_time,
        "s": rules.symbol,
        "p": rules.price_text(change),
        "P": percent_text(change, day.open_ticks),
        "w": average_text(day),
        "x": rules.price_text(day.open_ticks),
        "c": rules.price_text(day.last_ticks),
        "Q": rules.quantity_text(day.last_lots),
        "b": rules.price_text(book.bid_ticks),
        "B": rules.quantity_text(book.bid_lots),
        "a": rules.price_text(book.ask_ticks),
        "A": rules.quantity_text(book.ask_lots),
        "o": rules.price_text(day.open_ticks),
        "h": rules.price_text(day.high_ticks),
        "l": rules.price_text(day.low_ticks),
        "v": rules.quantity_text(day.volume_lots),
        "q": amount_text(day.quote_e8),
        "O": time(day.open_ns),
        "C": time(day.close_ns),
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": trade_count(day),
    }


# --- user events ------------------------------------------------------------------------------------------------


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
