"""Binance USD-M futures on the wire: orders, positions, market messages and user events in the venue's order and types.

Quoted numbers are strings because the venue quotes them; times are integers in ms or µs (`unit`: ns per time unit).
"""

from typing import Any, Final

import orjson

from reactor.sim.accounts import notional_cap_usdt
from reactor.sim.events import (
    AccountUpdateEvent,
    AggregateTradeEvent,
    BookTickerEvent,
    BookTickerView,
    ConfigEvent,
    DayView,
    DepthEvent,
    DepthView,
    Fill,
    ForceOrderEvent,
    FundingRow,
    IncomeRow,
    MarginCallEvent,
    MarkPrice,
    Order,
    OrderEvent,
    PositionView,
    PublicTrade,
    TradeEvent,
    WalletView,
)
from reactor.sim.faces.spot_render import Time, average_text, levels, percent_text, trade_count
from reactor.sim.symbols import SymbolRules, amount_text

USDM: Final = 1  # `st`: 1 = UM, 2 = CM, in every market message since 2026-06-30


def short_text(value_e8: int) -> str:
    """An amount without trailing zeros, as the streams print it: `0`, `9910`, `0.5`."""
    text = amount_text(value_e8)
    return text.rstrip("0").rstrip(".")


def price_e8_text(value_e8: int) -> str:
    """A computed price: `0.0` or up to eight digits."""
    return amount_text(value_e8) if value_e8 else "0.0"


def _zero_or(text: str) -> str:
    """The text, or a bare `0` for any zero."""
    return text if text.strip("0.") else "0"


# --- orders -----------------------------------------------------------------------------------------------------


def order(row: Order, time: Time, with_time: bool = False) -> dict[str, Any]:
    """POST, PUT, DELETE order (classic shape); with `time`: GET order, openOrders, allOrders."""
    rules = row.rules
    fields: dict[str, Any] = {
        "orderId": row.order_id,
        "symbol": row.symbol,
        "status": row.status,
        "clientOrderId": row.client_order_id,
        "price": rules.price_text(row.price_ticks),
        "avgPrice": amount_text(row.average_price_e8, 5),
        "origQty": rules.quantity_text(row.quantity_lots),
        "executedQty": rules.quantity_text(row.executed_lots),
        "cumQty": rules.quantity_text(row.executed_lots),
        "cumQuote": amount_text(row.executed_quote_e8, 5),
        "timeInForce": row.time_in_force,
        "type": row.type,
        "reduceOnly": row.reduce_only,
        "closePosition": False,
        "side": row.side,
        "positionSide": row.position_side,
        "stopPrice": rules.price_text(0),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": row.type,
        "priceMatch": row.price_match,
        "selfTradePreventionMode": row.stp_mode,
        "goodTillDate": row.good_till_ms,
    }
    if with_time:
        del fields["cumQty"]  # GET has no cumQty.
        fields["time"] = time(row.created_ns)
    fields["updateTime"] = time(row.updated_ns)
    return fields


def user_trade(fill: Fill, time: Time) -> dict[str, Any]:
    """Element of userTrades."""
    return {
        "buyer": fill.side == "BUY",
        "commission": amount_text(fill.commission_e8),
        "commissionAsset": fill.commission_asset,
        "id": fill.trade_id,
        "maker": fill.is_maker,
        "orderId": fill.order_id,
        "price": fill.price_text,
        "qty": fill.quantity_text,
        "quoteQty": amount_text(fill.quote_e8),
        "realizedPnl": amount_text(fill.realised_e8),
        "side": fill.side,
        "positionSide": fill.position_side,
        "symbol": fill.rules.symbol,
        "time": time(fill.time_ns),
    }


# --- account ----------------------------------------------------------------------------------------------------


def balance(wallet: WalletView, time: Time) -> dict[str, Any]:
    """Element of balance v2 and v3."""
    return {
        "accountAlias": "SgsR",
        "asset": wallet.asset,
        "balance": amount_text(wallet.wallet_e8),
        "crossWalletBalance": amount_text(wallet.cross_wallet_e8),
        "crossUnPnl": amount_text(wallet.cross_unrealised_e8),
        "availableBalance": amount_text(wallet.available_e8),
        "maxWithdrawAmount": amount_text(wallet.available_e8),
        "marginAvailable": True,
        "updateTime": time(wallet.updated_ns),
    }


def position_v3(row: PositionView, time: Time) -> dict[str, Any]:
    """Element of positionRisk v3."""
    rules = row.rules
    return {
        "symbol": rules.symbol,
        "positionSide": row.position_side,
        "positionAmt": rules.quantity_text(row.amount_lots),
        "entryPrice": price_e8_text(row.entry_price_e8),
        "breakEvenPrice": price_e8_text(row.break_even_e8),
        "markPrice": amount_text(row.mark_price_e8),
        "unRealizedProfit": amount_text(row.unrealised_e8),
        "liquidationPrice": _zero_or(amount_text(row.liquidation_price_e8)),
        "isolatedMargin": _isolated_margin(row),
        "notional": amount_text(row.notional_e8),
        "marginAsset": rules.quote_asset,
        "isolatedWallet": _zero_or(amount_text(row.isolated_wallet_e8)),
        "initialMargin": amount_text(row.initial_margin_e8),
        "maintMargin": amount_text(row.maintenance_margin_e8),
        "positionInitialMargin": amount_text(row.position_margin_e8),
        "openOrderInitialMargin": amount_text(row.open_order_margin_e8),
        "adl": 0,
        "bidNotional": _zero_or(amount_text(row.bid_notional_e8)),
        "askNotional": _zero_or(amount_text(row.ask_notional_e8)),
        "updateTime": time(row.updated_ns),
    }


def position_v2(row: PositionView, time: Time) -> dict[str, Any]:
    """Element of positionRisk v2."""
    rules = row.rules
    return {
        "symbol": rules.symbol,
        "positionAmt": rules.quantity_text(row.amount_lots),
        "entryPrice": price_e8_text(row.entry_price_e8),
        "breakEvenPrice": price_e8_text(row.break_even_e8),
        "markPrice": amount_text(row.mark_price_e8),
        "unRealizedProfit": amount_text(row.unrealised_e8),
        "liquidationPrice": _zero_or(amount_text(row.liquidation_price_e8)),
        "leverage": str(row.leverage),
        "maxNotionalValue": str(notional_cap_usdt(row.leverage)),
        "marginType": "isolated" if row.is_isolated else "cross",
        "isolatedMargin": amount_text(row.isolated_wallet_e8 + row.unrealised_e8 if row.is_isolated else 0),
        "isAutoAddMargin": "false",
        "positionSide": row.position_side,
        "notional": amount_text(row.notional_e8),
        "isolatedWallet": _zero_or(amount_text(row.isolated_wallet_e8)),
        "updateTime": time(row.updated_ns),
    }


def _isolated_margin(row: PositionView) -> str:
    return _zero_or(amount_text(row.isolated_wallet_e8 + row.unrealised_e8)) if row.is_isolated else "0"


def account(wallet: WalletView, positions: list[PositionView], time: Time, is_v3: bool, is_hedge_mode: bool) -> dict[str, Any]:
    """GET account v2 and v3. v3 drops the flags and the positions without amount or orders."""
    fields: dict[str, Any] = {}
    if not is_v3:
        fields = {
            "feeTier": 0,
            "feeBurn": False,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }
    fields |= {
        "totalInitialMargin": amount_text(wallet.initial_margin_e8),
        "totalMaintMargin": amount_text(wallet.maintenance_margin_e8),
        "totalWalletBalance": amount_text(wallet.wallet_e8),
        "totalUnrealizedProfit": amount_text(wallet.unrealised_e8),
        "totalMarginBalance": amount_text(wallet.margin_e8),
        "totalPositionInitialMargin": amount_text(wallet.position_margin_e8),
        "totalOpenOrderInitialMargin": amount_text(wallet.open_order_margin_e8),
        "totalCrossWalletBalance": amount_text(wallet.cross_wallet_e8),
        "totalCrossUnPnl": amount_text(wallet.cross_unrealised_e8),
        "availableBalance": amount_text(wallet.available_e8),
        "maxWithdrawAmount": amount_text(wallet.available_e8),
    }
    asset: dict[str, Any] = {
        "asset": wallet.asset,
        "walletBalance": amount_text(wallet.wallet_e8),
        "unrealizedProfit": amount_text(wallet.unrealised_e8),
        "marginBalance": amount_text(wallet.margin_e8),
        "maintMargin": amount_text(wallet.maintenance_margin_e8),
        "initialMargin": amount_text(wallet.initial_margin_e8),
        "positionInitialMargin": amount_text(wallet.position_margin_e8),
        "openOrderInitialMargin": amount_text(wallet.open_order_margin_e8),
        "crossWalletBalance": amount_text(wallet.cross_wallet_e8),
        "crossUnPnl": amount_text(wallet.cross_unrealised_e8),
        "availableBalance": amount_text(wallet.available_e8),
        "maxWithdrawAmount": amount_text(wallet.available_e8),
    }
    if not is_v3:
        asset["marginAvailable"] = True
    asset["updateTime"] = time(wallet.updated_ns)
    fields["assets"] = [asset]
    fields["positions"] = [_account_position(row, time, is_v3) for row in positions]
    return fields


def _account_position(row: PositionView, time: Time, is_v3: bool) -> dict[str, Any]:
    rules = row.rules
    if is_v3:
        return {
            "symbol": rules.symbol,
            "positionSide": row.position_side,
            "positionAmt": rules.quantity_text(row.amount_lots),
            "unrealizedProfit": amount_text(row.unrealised_e8),
            "isolatedMargin": _isolated_margin(row),
            "notional": amount_text(row.notional_e8),
            "isolatedWallet": _zero_or(amount_text(row.isolated_wallet_e8)),
            "initialMargin": amount_text(row.initial_margin_e8),
            "maintMargin": amount_text(row.maintenance_margin_e8),
            "updateTime": time(row.updated_ns),
        }
    return {
        "symbol": rules.symbol,
        "initialMargin": amount_text(row.initial_margin_e8),
        "maintMargin": amount_text(row.maintenance_margin_e8),
        "unrealizedProfit": amount_text(row.unrealised_e8),
        "positionInitialMargin": amount_text(row.position_margin_e8),
        "openOrderInitialMargin": amount_text(row.open_order_margin_e8),
        "leverage": str(row.leverage),
        "isolated": row.is_isolated,
        "entryPrice": price_e8_text(row.entry_price_e8),
        "breakEvenPrice": price_e8_text(row.break_even_e8),
        "maxNotional": str(notional_cap_usdt(row.leverage)),
        "positionSide": row.position_side,
        "positionAmt": rules.quantity_text(row.amount_lots),
        "notional": amount_text(row.notional_e8),
        "isolatedWallet": _zero_or(amount_text(row.isolated_wallet_e8)),
        "bidNotional": _zero_or(amount_text(row.bid_notional_e8)),
        "askNotional": _zero_or(amount_text(row.ask_notional_e8)),
        "updateTime": time(row.updated_ns),
    }


def income(row: IncomeRow, time: Time) -> dict[str, Any]:
    """Element of income."""
    return {
        "symbol": row.symbol,
        "incomeType": row.income_type,
        "income": amount_text(row.income_e8),
        "asset": row.asset,
        "info": str(row.trade_id) if row.trade_id else row.income_type,
        "time": time(row.time_ns),
        "tranId": row.transaction_id,
        "tradeId": str(row.trade_id) if row.trade_id else "",
    }


# --- market, by REST --------------------------------------------------------------------------------------------


def depth(view: DepthView, rules: SymbolRules, event_time: int, transaction_time: int) -> bytes:
    """GET depth: with E and T."""
    return (
        f'{{"lastUpdateId":{view.last_update_id},"E":{event_time},"T":{transaction_time},'
        f'"bids":[{levels(rules, view.bids)}],"asks":[{levels(rules, view.asks)}]}}'
    ).encode()


def book_ticker_row(view: BookTickerView, time: Time) -> dict[str, Any]:
    """GET ticker/bookTicker."""
    rules = view.rules
    return {
        "symbol": rules.symbol,
        "bidPrice": rules.price_text(view.bid_ticks),
        "bidQty": rules.quantity_text(view.bid_lots),
        "askPrice": rules.price_text(view.ask_ticks),
        "askQty": rules.quantity_text(view.ask_lots),
        "time": time(view.time_ns),
        "lastUpdateId": view.update_id,
    }


def public_trade(row: PublicTrade, rules: SymbolRules, time: Time) -> dict[str, Any]:
    """GET trades."""
    return {
        "id": row.trade_id,
        "price": rules.price_text(row.price_ticks),
        "qty": rules.quantity_text(row.quantity_lots),
        "quoteQty": amount_text(rules.notional_e8(row.price_ticks, row.quantity_lots), 2),
        "time": time(row.trade_ns),
        "isBuyerMaker": row.buyer_is_maker,
        "isRPITrade": False,
    }


def aggregate_row(row: AggregateTradeEvent, time: Time) -> dict[str, Any]:
    """GET aggTrades."""
    return {
        "a": row.aggregate_id,
        "p": row.rules.price_text(row.price_ticks),
        "q": row.rules.quantity_text(row.quantity_lots),
        "nq": row.rules.quantity_text(row.quantity_lots),
        "f": row.first_trade_id,
        "l": row.last_trade_id,
        "T": time(row.trade_ns),
        "m": row.buyer_is_maker,
    }


def premium_index(mark: MarkPrice, time: Time) -> dict[str, Any]:
    """GET premiumIndex. `lastFundingRate` is the current estimate, in spite of its name."""
    return {
        "symbol": mark.rules.symbol,
        "markPrice": amount_text(mark.mark_e8),
        "indexPrice": amount_text(mark.index_e8),
        "estimatedSettlePrice": amount_text(mark.settle_e8),
        "lastFundingRate": amount_text(mark.funding_rate_e8),
        "interestRate": amount_text(mark.interest_rate_e8),
        "nextFundingTime": time(mark.next_funding_ns),
        "time": time(mark.time_ns),
    }


def funding_rate(row: FundingRow, time: Time) -> dict[str, Any]:
    """GET fundingRate."""
    return {
        "symbol": row.rules.symbol,
        "fundingRate": amount_text(row.rate_e8),
        "fundingTime": time(row.funding_ns),
        "markPrice": amount_text(row.mark_e8),
        "rateType": "Regular",
    }


def day_row(day: DayView, time: Time) -> dict[str, Any]:
    """GET ticker/24hr."""
    rules = day.rules
    change = day.last_ticks - day.open_ticks
    return {
        "symbol": rules.symbol,
        "priceChange": rules.price_text(change),
        "priceChangePercent": percent_text(change, day.open_ticks),
        "weightedAvgPrice": average_text(day),
        "lastPrice": rules.price_text(day.last_ticks),
        "lastQty": rules.quantity_text(day.last_lots),
        "openPrice": rules.price_text(day.open_ticks),
        "highPrice": rules.price_text(day.high_ticks),
        "lowPrice": rules.price_text(day.low_ticks),
        "volume": rules.quantity_text(day.volume_lots),
        "quoteVolume": amount_text(day.quote_e8, 2),
        "openTime": time(day.open_ns),
        "closeTime": time(day.close_ns),
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": trade_count(day),
    }


# --- market streams ---------------------------------------------------------------------------------------------


def trade_message(event: TradeEvent, unit: int) -> bytes:
    """`@trade`."""
    rules = event.rules
    return (
        f'{{"e":"trade","E":{event.event_ns // unit},"T":{event.trade_ns // unit},"s":"{rules.symbol}","t":{event.trade_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"X":"MARKET","m":{"true" if event.buyer_is_maker else "false"},"st":1,"ps":"{rules.symbol}"}}'
    ).encode()


def aggregate_message(event: AggregateTradeEvent, unit: int) -> bytes:
    """`@aggTrade`."""
    rules = event.rules
    quantity = rules.quantity_text(event.quantity_lots)
    return (
        f'{{"e":"aggTrade","E":{event.event_ns // unit},"s":"{rules.symbol}","a":{event.aggregate_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{quantity}","nq":"{quantity}",'
        f'"f":{event.first_trade_id},"l":{event.last_trade_id},"T":{event.trade_ns // unit},'
        f'"m":{"true" if event.buyer_is_maker else "false"},"st":1,"ps":"{rules.symbol}"}}'
    ).encode()


def book_ticker_message(event: BookTickerEvent, unit: int) -> bytes:
    """`@bookTicker`: `T` before `E`."""
    rules = event.rules
    return (
        f'{{"e":"bookTicker","u":{event.update_id},"s":"{rules.symbol}",'
        f'"b":"{rules.price_text(event.bid_ticks)}","B":"{rules.quantity_text(event.bid_lots)}",'
        f'"a":"{rules.price_text(event.ask_ticks)}","A":"{rules.quantity_text(event.ask_lots)}",'
        f'"T":{event.transaction_ns // unit},"E":{event.event_ns // unit},"st":1,"ps":"{rules.symbol}"}}'
    ).encode()


def depth_message(event: DepthEvent, unit: int) -> bytes:
    """`@depth`."""
    return _depth(event, levels(event.rules, event.bids), levels(event.rules, event.asks), unit)


def top_message(event: DepthEvent, view: DepthView, unit: int) -> bytes:
    """`@depth5/10/20`: the same fields, full top levels."""
    return _depth(event, levels(event.rules, view.bids), levels(event.rules, view.asks), unit)


def _depth(event: DepthEvent, bids: str, asks: str, unit: int) -> bytes:
    return (
        f'{{"e":"depthUpdate","E":{event.event_ns // unit},"T":{event.transaction_ns // unit},"s":"{event.rules.symbol}",'
        f'"U":{event.first_update_id},"u":{event.last_update_id},"pu":{event.previous_update_id},'
        f'"b":[{bids}],"a":[{asks}],"st":1,"ps":"{event.rules.symbol}"}}'
    ).encode()


def mark_price(mark: MarkPrice, event_ns: int, unit: int) -> dict[str, Any]:
    """`@markPrice`."""
    return {
        "e": "markPriceUpdate",
        "E": event_ns // unit,
        "s": mark.rules.symbol,
        "p": amount_text(mark.mark_e8),
        "ap": amount_text(mark.average_e8),
        "i": amount_text(mark.index_e8),
        "P": amount_text(mark.settle_e8),
        "r": amount_text(mark.funding_rate_e8),
        "T": mark.next_funding_ns // unit,
        "st": USDM,
        "ps": mark.rules.symbol,
    }


def force_order(event: ForceOrderEvent, unit: int) -> bytes:
    """`@forceOrder`."""
    row = event.order
    rules = row.rules
    return orjson.dumps(
        {
            "e": "forceOrder",
            "E": event.event_ns // unit,
            "o": {
                "s": rules.symbol,
                "S": row.side,
                "o": "LIMIT",
                "f": "IOC",
                "q": rules.quantity_text(row.quantity_lots),
                "p": short_text(row.average_price_e8),
                "ap": short_text(row.average_price_e8),
                "X": row.status,
                "l": rules.quantity_text(row.executed_lots),
                "z": rules.quantity_text(row.executed_lots),
                "T": row.updated_ns // unit,
            },
            "st": USDM,
            "ps": rules.symbol,
        }
    )


def day_message(day: DayView, event_time: int, time: Time, is_mini: bool) -> dict[str, Any]:
    """`@ticker` and `@miniTicker`."""
    rules = day.rules
    common = {
        "c": rules.price_text(day.last_ticks),
        "o": rules.price_text(day.open_ticks),
        "h": rules.price_text(day.high_ticks),
        "l": rules.price_text(day.low_ticks),
        "v": rules.quantity_text(day.volume_lots),
        "q": amount_text(day.quote_e8, 2),
    }
    tail = {"st": USDM, "ps": rules.symbol}
    if is_mini:
        return {"e": "24hrMiniTicker", "E": event_time, "s": rules.symbol, **common, **tail}
    change = day.last_ticks - day.open_ticks
    return {
        "e": "24hrTicker",
        "E": event_time,
        "s": rules.symbol,
        "p": rules.price_text(change),
        "P": percent_text(change, day.open_ticks),
        "w": average_text(day),
        "Q": rules.quantity_text(day.last_lots),
        **common,
        "O": time(day.open_ns),
        "C": time(day.close_ns),
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": trade_count(day),
        **tail,
    }


# --- user events ------------------------------------------------------------------------------------------------


def order_trade_update(event: OrderEvent, unit: int) -> bytes:
    """`ORDER_TRADE_UPDATE`. `N` and `n` are absent before a fill."""
    row, fill, rules = event.order, event.fill, event.order.rules
    fields: dict[str, Any] = {
        "s": rules.symbol,
        "c": row.client_order_id,
        "S": row.side,
        "o": row.type,
        "f": row.time_in_force,
        "q": rules.quantity_text(row.quantity_lots),
        "p": _zero_or(rules.price_text(row.price_ticks)),
        "ap": short_text(row.average_price_e8),
        "sp": "0",
        "x": event.execution_type,
        "X": row.status,
        "i": row.order_id,
        "l": _zero_or(fill.quantity_text) if fill is not None else "0",
        "z": _zero_or(rules.quantity_text(row.executed_lots)),
        "L": _zero_or(fill.price_text) if fill is not None else "0",
    }
    if fill is not None:
        fields["n"] = short_text(fill.commission_e8)
        fields["N"] = fill.commission_asset
    fields |= {
        "T": event.transaction_ns // unit,
        "t": fill.trade_id if fill is not None else 0,
        "b": short_text(event.bid_notional_e8),
        "a": short_text(event.ask_notional_e8),
        "m": fill.is_maker if fill is not None else False,
        "R": row.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": row.type,
        "ps": row.position_side,
        "cp": False,
        "rp": short_text(fill.realised_e8) if fill is not None else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": row.stp_mode,
        "pm": row.price_match,
        "gtd": row.good_till_ms,
        "er": row.expiry_reason or "0",
    }
    return orjson.dumps(
        {"e": "ORDER_TRADE_UPDATE", "E": event.event_ns // unit, "T": event.transaction_ns // unit, "o": fields}
    )


def trade_lite(event: OrderEvent, unit: int) -> bytes:
    """`TRADE_LITE`: the same fill with less, and earlier."""
    row, fill = event.order, event.fill
    assert fill is not None, "a trade has a fill"
    return orjson.dumps(
        {
            "e": "TRADE_LITE",
            "E": event.event_ns // unit,
            "T": event.transaction_ns // unit,
            "s": row.symbol,
            "q": row.rules.quantity_text(row.quantity_lots),
            "p": _zero_or(row.rules.price_text(row.price_ticks)),
            "m": fill.is_maker,
            "c": row.client_order_id,
            "S": row.side,
            "L": fill.price_text,
            "l": fill.quantity_text,
            "t": fill.trade_id,
            "i": row.order_id,
        }
    )


def account_update(event: AccountUpdateEvent, unit: int) -> bytes:
    """`ACCOUNT_UPDATE`. A funding fee of a cross position has no `P`."""
    body: dict[str, Any] = {
        "m": event.reason,
        "B": [
            {
                "a": row.asset,
                "wb": amount_text(row.wallet_e8),
                "cw": amount_text(row.cross_wallet_e8),
                "bc": short_text(row.change_e8),
            }
            for row in event.wallets
        ],
    }
    if event.positions or event.reason == "ORDER":
        body["P"] = [
            {
                "s": row.rules.symbol,
                "pa": _zero_or(row.rules.quantity_text(row.amount_lots)),
                "ep": short_text(row.entry_price_e8),
                "bep": short_text(row.break_even_e8),
                "cr": short_text(row.realised_e8),
                "up": short_text(row.unrealised_e8),
                "mt": "isolated" if row.is_isolated else "cross",
                "iw": short_text(row.isolated_wallet_e8),
                "ps": row.position_side,
                "ma": row.rules.quote_asset,
            }
            for row in event.positions
        ]
    if event.symbol:
        body["S"] = event.symbol
    return orjson.dumps({"e": "ACCOUNT_UPDATE", "E": event.event_ns // unit, "T": event.transaction_ns // unit, "a": body})


def margin_call(event: MarginCallEvent, unit: int) -> bytes:
    """`MARGIN_CALL`."""
    return orjson.dumps(
        {
            "e": "MARGIN_CALL",
            "E": event.event_ns // unit,
            "cw": short_text(event.cross_wallet_e8),
            "p": [
                {
                    "s": row.rules.symbol,
                    "ps": row.position_side,
                    "pa": row.rules.quantity_text(row.amount_lots),
                    "mt": "ISOLATED" if row.is_isolated else "CROSSED",
                    "iw": short_text(row.isolated_wallet_e8),
                    "mp": short_text(row.mark_price_e8),
                    "up": short_text(row.unrealised_e8),
                    "mm": short_text(row.maintenance_margin_e8),
                }
                for row in event.positions
            ],
        }
    )


def config_update(event: ConfigEvent, unit: int) -> bytes:
    """`ACCOUNT_CONFIG_UPDATE`: a leverage."""
    return orjson.dumps(
        {
            "e": "ACCOUNT_CONFIG_UPDATE",
            "E": event.event_ns // unit,
            "T": event.transaction_ns // unit,
            "ac": {"s": event.symbol, "l": event.leverage},
        }
    )
