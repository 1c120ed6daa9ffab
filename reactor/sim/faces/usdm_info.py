"""Binance USD-M's exchangeInfo."""

from typing import Any, Final

from reactor.sim.symbols import SymbolRules, amount_text

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000  # What the venue says for "never".
ONBOARD_MS: Final = 1_569_398_400_000


def _plain(text: str) -> str:
    """Without trailing zeros behind the point."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def symbol_info(rules: SymbolRules) -> dict[str, Any]:
    """One element of `symbols`."""
    return {
        "symbol": rules.symbol,
        "pair": rules.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": rules.base_asset,
        "quoteAsset": rules.quote_asset,
        "marginAsset": rules.quote_asset,
        "pricePrecision": rules.price_places,
        "quantityPrecision": rules.quantity_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"] if rules.base_asset == "BTC" else ["Layer-1"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": amount_text(rules.liquidation_fee_e6 * 100, 6),
        "marketTakeBound": f"{rules.market_take_bound_e4 / 10_000:.2f}",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": rules.price_text(rules.price_ticks_min),
                "maxPrice": _plain(rules.price_text(rules.price_ticks_max)),
                "tickSize": rules.price_text(1),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": rules.quantity_text(rules.quantity_lots_min),
                "maxQty": _plain(rules.quantity_text(rules.quantity_lots_max)),
                "stepSize": rules.quantity_text(1),
            },
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": rules.quantity_text(rules.quantity_lots_min),
                "maxQty": _plain(rules.quantity_text(rules.market_lots_max)),
                "stepSize": rules.quantity_text(1),
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": rules.orders_max},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": _plain(amount_text(rules.notional_min_e8))},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": f"{rules.percent_up_e4 / 10_000:.4f}",
                "multiplierDown": f"{rules.percent_down_e4 / 10_000:.4f}",
                "multiplierDecimal": "4",
            },
        ],
        # Conditional types are listed, and refused on /order (-4120).
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def exchange_info(known: dict[str, SymbolRules], limits: list[dict[str, Any]], server_time: int) -> dict[str, Any]:
    """GET exchangeInfo."""
    quotes = sorted({rules.quote_asset for rules in known.values()})
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "futuresType": "U_MARGINED",
        "rateLimits": limits,
        "exchangeFilters": [],
        "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in quotes],
        "symbols": [symbol_info(rules) for rules in known.values()],
    }
