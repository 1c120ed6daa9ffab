"""The REST answers that bench/latency/venue.c gives: as much of USD-M as a client asks for at its start."""

import json
from pathlib import Path

_AMOUNT = "1000000000.00000000"
_ZERO = "0.00000000"
_SYMBOL = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 3,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "4529764", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "5.0000", "multiplierDown": "0.2000", "multiplierDecimal": "4"},
    ],
    "orderTypes": ["LIMIT", "MARKET"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
}
_ASSET = {
    "asset": "USDT",
    "walletBalance": _AMOUNT,
    "balance": _AMOUNT,
    "crossWalletBalance": _AMOUNT,
    "crossUnPnl": _ZERO,
    "unrealizedProfit": _ZERO,
    "marginBalance": _AMOUNT,
    "maintMargin": _ZERO,
    "initialMargin": _ZERO,
    "availableBalance": _AMOUNT,
    "maxWithdrawAmount": _AMOUNT,
    "marginAvailable": True,
    "updateTime": 0,
}
_ACCOUNT = {
    "canTrade": True,
    "canDeposit": True,
    "canWithdraw": False,
    "totalWalletBalance": _AMOUNT,
    "totalMarginBalance": _AMOUNT,
    "totalUnrealizedProfit": _ZERO,
    "totalMaintMargin": _ZERO,
    "totalInitialMargin": _ZERO,
    "availableBalance": _AMOUNT,
    "assets": [_ASSET],
    "positions": [],
}
_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 240_000_000},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 120_000_000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 30_000_000},
]
_COMMISSION = {"symbol": "BTCUSDT", "makerCommissionRate": "0.000200", "takerCommissionRate": "0.000500"}
_EMPTY_LISTS = ("v2/positionRisk", "v3/positionRisk", "v1/openOrders", "v1/allOrders", "v1/userTrades", "v1/income")

ANSWERS: dict[str, object] = {
    "GET /fapi/v1/exchangeInfo": {
        "timezone": "UTC",
        "serverTime": 0,
        "rateLimits": _LIMITS,
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "0"}],
        "symbols": [_SYMBOL],
    },
    "GET /fapi/v1/ping": {},
    "GET /fapi/v1/depth": {"lastUpdateId": 1, "E": 1, "T": 1, "bids": [["20000.00", "1"]], "asks": [["21000.00", "1"]]},
    "GET /fapi/v1/positionSide/dual": {"dualSidePosition": False},
    "GET /fapi/v1/multiAssetsMargin": {"multiAssetsMargin": False},
    "GET /fapi/v1/commissionRate": _COMMISSION,
    "GET /fapi/v2/account": _ACCOUNT,
    "GET /fapi/v3/account": _ACCOUNT,
    "GET /fapi/v2/balance": [_ASSET],
    "GET /fapi/v3/balance": [_ASSET],
    "POST /fapi/v1/listenKey": {"listenKey": "BENCHLISTENKEY"},
    "PUT /fapi/v1/listenKey": {"listenKey": "BENCHLISTENKEY"},
    "DELETE /fapi/v1/listenKey": {},
    "POST /fapi/v1/leverage": {"symbol": "BTCUSDT", "leverage": 20, "maxNotionalValue": "1000000000"},
    "DELETE /fapi/v1/allOpenOrders": {"code": 200, "msg": "The operation of cancel all open order is done."},
} | {f"GET /fapi/{path}": [] for path in _EMPTY_LISTS}


def write_answers(path: Path) -> None:
    """Writes them as the venue reads them: one `METHOD /path<TAB>json` per line."""
    path.write_text("".join(f"{request}\t{json.dumps(body, separators=(',', ':'))}\n" for request, body in ANSWERS.items()))
