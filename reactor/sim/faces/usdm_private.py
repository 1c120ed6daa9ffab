"""Binance USD-M futures on the wire, what one account sees: orders, positions, wallet, income, asked for or told.

Fields stand in the venue's order and have its types; quoted numbers are strings because the venue quotes them.
"""

from typing import Any

import orjson

from reactor.sim.accounts import notional_cap_usdt
from reactor.sim.events import (
    AccountUpdateEvent,
    ConfigEvent,
    Fill,
    IncomeRow,
    MarginCallEvent,
    Order,
    OrderEvent,
    PositionView,
    WalletView,
)
from reactor.sim.faces.public import Time
from reactor.sim.faces.usdm_public import short_text
from reactor.sim.symbols import amount_text


def price_e8_text(value_e8: int) -> str:
    """A computed price: `0.0` or up to eight digits."""
    return amount_text(value_e8) if value_e8 else "0.0"


def _zero_or(text: str) -> str:
    """The text, or a bare `0` for any zero."""
    return text if text.strip("0.") else "0"


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
