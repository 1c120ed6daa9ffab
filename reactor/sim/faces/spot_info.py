"""Binance Spot's exchangeInfo: what is listed, under which filters, and the arguments that narrow it."""

import re
from typing import Any, Final

import orjson

from reactor.sim.faces.refusal import INVALID_SYMBOL, VenueError
from reactor.sim.faces.request import Params
from reactor.sim.symbols import SymbolRules, amount_text

# What is simulated. The venue lists STOP_LOSS, TAKE_PROFIT and their limit forms as well, and allows icebergs, order lists,
# trailing and pegged orders; here they are refused, so the list does not promise them.
ORDER_TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET")
SYMBOL_PATTERN: Final = "^[A-Z0-9-_.]{1,20}$"
_SYMBOL = re.compile(SYMBOL_PATTERN)
_STATUSES: Final = ("TRADING", "END_OF_DAY", "HALT", "BREAK", "CANCEL_ONLY")


def multiplier_text(value_e4: int) -> str:
    """A multiplier in 1e-4 without trailing zeros: 50_000 → `5`, 2_000 → `0.2`."""
    return f"{value_e4 / 10_000:.4f}".rstrip("0").rstrip(".")


def filters(rules: SymbolRules) -> list[dict[str, Any]]:
    """The symbol's filters. Zero: not checked."""

    def lots(count: int) -> str:
        return rules.quantity_text(count)

    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": rules.price_text(rules.price_ticks_min),
            "maxPrice": rules.price_text(rules.price_ticks_max),
            "tickSize": rules.price_text(1),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": lots(rules.quantity_lots_min),
            "maxQty": lots(rules.quantity_lots_max),
            "stepSize": lots(1),
        },
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": lots(0),
            "maxQty": lots(rules.market_lots_max),
            "stepSize": lots(0),
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": multiplier_text(rules.percent_up_e4),
            "bidMultiplierDown": multiplier_text(rules.percent_down_e4),
            "askMultiplierUp": multiplier_text(rules.percent_up_e4),
            "askMultiplierDown": multiplier_text(rules.percent_down_e4),
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": amount_text(rules.notional_min_e8),
            "applyMinToMarket": True,
            "maxNotional": amount_text(rules.notional_max_e8),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.orders_max},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": rules.amends_max},
    ]


def symbol_info(rules: SymbolRules) -> dict[str, Any]:
    """One element of `symbols`."""
    return {
        "symbol": rules.symbol,
        "status": "TRADING",
        "baseAsset": rules.base_asset,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote_asset,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    }


def symbol_list(params: Params, known: dict[str, SymbolRules]) -> list[SymbolRules] | None:
    """`symbol=A` or `symbols=["A","B"]`; None: neither was given.

    Refuses both together (-1128), a malformed list (-1100), an unknown symbol (-1121).
    """
    if "symbol" in params and "symbols" in params:
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    if "symbol" in params:
        return [known_symbol(params.text("symbol"), known)]
    if "symbols" not in params:
        return None
    try:
        names = orjson.loads(params.text("symbols"))
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and _SYMBOL.match(name) for name in names):
        raise VenueError(
            -1100,
            "Illegal characters found in parameter 'symbols'; legal range is "
            '\'^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$\'.',
        )
    return [known_symbol(name, known) for name in names]


def known_symbol(name: str, known: dict[str, SymbolRules]) -> SymbolRules:
    """The rules of a symbol; -1100 for illegal characters, -1121 for an unknown one."""
    if not _SYMBOL.match(name):
        raise VenueError(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{SYMBOL_PATTERN}'.")
    rules = known.get(name)
    if rules is None:
        raise VenueError(*INVALID_SYMBOL)
    return rules


def exchange_info(
    params: Params, known: dict[str, SymbolRules], limits: list[dict[str, Any]], server_time: int
) -> dict[str, Any]:
    """GET exchangeInfo with `symbol`, `symbols`, `permissions`, `symbolStatus`, `showPermissionSets`."""
    chosen = symbol_list(params, known)
    if chosen is not None and ("permissions" in params or "symbolStatus" in params):
        raise VenueError(-1128, "Combination of optional parameters invalid.")
    rows = list(known.values()) if chosen is None else chosen
    if "symbolStatus" in params:
        status = params.choice("symbolStatus", _STATUSES, -1130, "Data sent for parameter 'symbolStatus' is not valid.")
        rows = rows if status == "TRADING" else []
    if "permissions" in params:
        text = params.text("permissions")
        wanted = set(re.findall(r"[A-Z0-9_]+", text))
        if not wanted:
            raise VenueError(-1130, "Data sent for parameter 'permissions' is not valid.")
        rows = rows if "SPOT" in wanted else []
    infos = [symbol_info(rules) for rules in rows]
    if not params.boolean("showPermissionSets", True):
        for info in infos:
            del info["permissionSets"]
    return {
        "timezone": "UTC",
        "serverTime": server_time,
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": infos,
    }
