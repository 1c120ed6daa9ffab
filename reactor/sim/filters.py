"""What a venue refuses before an order reaches the book, with its own codes and words: parameters, then filters.

Two products, two dialects: spot says -1013 `Filter failure: NAME`, USD-M has a code per rule. Texts are compared by clients
(-2010 means several things), so they are spelled as the venue spells them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reactor.domain.units import E8
from reactor.sim.events import Refusal, Side
from reactor.sim.symbols import SymbolRules, amount_text

SPOT_CLIENT_ID: Final = re.compile(r"^[a-zA-Z0-9-_]{1,36}$")
USDM_CLIENT_ID: Final = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
_DECIMAL: Final = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
_INTEGER: Final = re.compile(r"^[0-9]{1,20}$")
GOOD_TILL_MIN_NS: Final = 600_000_000_000  # GTD must live more than 600 s.

SPOT_TYPES: Final = ("LIMIT", "MARKET", "LIMIT_MAKER")
SPOT_STOP_TYPES: Final = {
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}
USDM_ALGO_TYPES: Final = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
STP_MODES: Final = {
    "spot": ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"),
    "usdm": ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"),
}
PRICE_MATCHES: Final = ("NONE", "OPPONENT", "OPPONENT_5", "QUEUE", "QUEUE_5", "QUEUE_10", "QUEUE_20")

# Refusals that the matching step needs too.
UNKNOWN_SYMBOL: Final = Refusal(-1121, "Invalid symbol.")
NO_SUCH_ORDER: Final = Refusal(-2013, "Order does not exist.")
UNKNOWN_ORDER: Final = Refusal(-2011, "Unknown order sent.")
SPOT_DUPLICATE: Final = Refusal(-2010, "Duplicate order sent.")
SPOT_NO_MONEY: Final = Refusal(-2010, "Account has insufficient balance for requested action.")
SPOT_WOULD_TAKE: Final = Refusal(-2010, "Order would immediately match and take.")
USDM_DUPLICATE: Final = Refusal(-4116, "ClientOrderId is duplicated.")
USDM_NO_MARGIN: Final = Refusal(-2019, "Margin is insufficient.")
USDM_NO_BALANCE: Final = Refusal(-2018, "Balance is insufficient.")
USDM_REDUCE_ONLY: Final = Refusal(-2022, "ReduceOnly Order is rejected.")
USDM_WOULD_TAKE: Final = Refusal(
    -5022,
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history",
)
USDM_FOK: Final = Refusal(
    -5021,
    "Due to the order could not be filled immediately, the FOK order has been rejected. "
    "The order will not be recorded in the order history",
)
USDM_FAR: Final = Refusal(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")
USDM_ALGO: Final = Refusal(
    -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
)


@dataclass(slots=True)
class OrderRequest:
    """A new order whose parameters are well-formed; prices and quantities still have to pass the filters."""

    rules: SymbolRules
    side: Side
    type: str
    time_in_force: str
    price_e8: int
    quantity_e8: int
    quote_quantity_e8: int
    client_order_id: str
    response_type: str
    stp_mode: str
    strategy_id: str
    strategy_type: str
    reduce_only: bool
    position_side: str
    price_match: str
    good_till_ms: int


def mandatory(name: str) -> Refusal:
    """The parameter is missing or empty."""
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def unwanted(name: str) -> Refusal:
    """The parameter must not be there."""
    return Refusal(-1106, f"Parameter '{name}' sent when not required.")


def filter_failure(name: str) -> Refusal:
    """Spot's one code for every filter."""
    return Refusal(-1013, f"Filter failure: {name}")


def illegal(name: str, pattern: re.Pattern[str]) -> Refusal:
    """Characters the parameter may not have."""
    return Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern.pattern}'.")


def decimal_e8(fields: Mapping[str, str], name: str, places: int, product: str) -> int | Refusal:
    """A decimal parameter in 1e-8; absent: 0. More significant digits than `places`: -1111."""
    text = fields.get(name, "")
    if text == "":
        return 0
    if not _DECIMAL.match(text):
        if product == "usdm" and text.startswith("-") and _DECIMAL.match(text[1:]):
            return Refusal(-4001, "Price less than 0.") if "rice" in name else Refusal(-4003, "Quantity less than zero.")
        return illegal(name, _DECIMAL)
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > places:
        if product == "spot":
            return Refusal(-1111, f"Parameter '{name}' has too much precision.")
        return Refusal(-1111, "Precision is over the maximum defined for this asset.")
    return int(whole) * E8 + int(fraction.ljust(8, "0"))


def integer(fields: Mapping[str, str], name: str) -> int | Refusal | None:
    """A non-negative integer parameter; None if absent."""
    text = fields.get(name, "")
    if text == "":
        return None
    if not _INTEGER.match(text):
        return illegal(name, _INTEGER)
    return int(text)


def boolean(fields: Mapping[str, str], name: str) -> bool | Refusal:
    """ "true"/"false" in any case; absent: False."""
    text = fields.get(name, "").lower()
    if text in ("", "false"):
        return False
    if text == "true":
        return True
    return mandatory(name)


def client_order_id(fields: Mapping[str, str], name: str, product: str) -> str | Refusal:
    """A well-formed client id; "" if absent."""
    text = fields.get(name, "")
    if text == "":
        return ""
    if product == "usdm":
        if len(text) > 36:
            return Refusal(-4015, "Client order id length should be less than 36 chars")
        return text if USDM_CLIENT_ID.match(text) else illegal(name, USDM_CLIENT_ID)
    return text if SPOT_CLIENT_ID.match(text) else illegal(name, SPOT_CLIENT_ID)


def parse_order(rules: SymbolRules, fields: Mapping[str, str]) -> OrderRequest | Refusal:
    """The parameters of a new order, before any filter."""
    product = rules.product
    side = fields.get("side", "").upper()
    if not side:
        return mandatory("side")
    if side not in ("BUY", "SELL"):
        return Refusal(-1117, "Invalid side.")
    order_type = fields.get("type", "").upper()
    if not order_type:
        return mandatory("type")
    if product == "usdm" and order_type in USDM_ALGO_TYPES:
        return USDM_ALGO
    if product == "spot" and order_type in SPOT_STOP_TYPES:
        return Refusal(-1013, SPOT_STOP_TYPES[order_type])
    if order_type not in (SPOT_TYPES if product == "spot" else SPOT_TYPES[:2]):
        return Refusal(-1116, "Invalid orderType.")
    time_in_force = fields.get("timeInForce", "").upper()
    allowed = ("GTC", "IOC", "FOK") if product == "spot" else ("GTC", "IOC", "FOK", "GTX", "GTD")
    if time_in_force and time_in_force not in allowed:
        return Refusal(-1115, "Invalid timeInForce.")
    if order_type == "LIMIT" and not time_in_force:
        return mandatory("timeInForce")
    if product == "spot" and order_type != "LIMIT" and time_in_force:
        return unwanted("timeInForce")
    price = decimal_e8(fields, "price", rules.price_places, product)
    quantity = decimal_e8(fields, "quantity", rules.quantity_places, product)
    quote = decimal_e8(fields, "quoteOrderQty", 8, product)
    identity = client_order_id(fields, "newClientOrderId", product)
    good_till = integer(fields, "goodTillDate")
    reduce_only = boolean(fields, "reduceOnly")
    for value in (price, quantity, quote, identity, good_till, reduce_only):
        if isinstance(value, Refusal):
            return value
    stp_mode = fields.get("selfTradePreventionMode", "").upper() or "EXPIRE_MAKER"
    if stp_mode not in STP_MODES[product]:
        return Refusal(-5039, "Invalid selfTradePreventionMode.") if product == "usdm" else mandatory("selfTradePreventionMode")
    response_type = fields.get("newOrderRespType", "").upper()
    if response_type and response_type not in (("ACK", "RESULT", "FULL") if product == "spot" else ("ACK", "RESULT")):
        return mandatory("newOrderRespType")
    request = OrderRequest(
        rules=rules,
        side="BUY" if side == "BUY" else "SELL",
        type=order_type,
        time_in_force=time_in_force or "GTC",
        price_e8=_as_int(price),
        quantity_e8=_as_int(quantity),
        quote_quantity_e8=_as_int(quote),
        client_order_id=str(identity),
        response_type=response_type,
        stp_mode=stp_mode,
        strategy_id=fields.get("strategyId", ""),
        strategy_type=fields.get("strategyType", ""),
        reduce_only=reduce_only is True,
        position_side=fields.get("positionSide", "").upper() or "BOTH",
        price_match=fields.get("priceMatch", "").upper() or "NONE",
        good_till_ms=_as_int(good_till),
    )
    return _check_combination(request, fields)


def _as_int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _check_combination(request: OrderRequest, fields: Mapping[str, str]) -> OrderRequest | Refusal:
    product = request.rules.product
    if product == "spot":
        if fields.get("stopPrice") or fields.get("trailingDelta"):
            return unwanted("stopPrice" if fields.get("stopPrice") else "trailingDelta")
        if fields.get("icebergQty"):
            return Refusal(-1013, "Iceberg orders are not supported for this symbol.")
        if request.strategy_type and (not _INTEGER.match(request.strategy_type) or int(request.strategy_type) < 1_000_000):
            return Refusal(-1128, "Combination of optional parameters invalid.")
    if request.type == "MARKET":
        if fields.get("price") and product == "spot":
            return unwanted("price")
        has_quantity, has_quote = bool(fields.get("quantity")), bool(fields.get("quoteOrderQty"))
        if product == "spot" and has_quantity and has_quote:
            return unwanted("quoteOrderQty")
        if not has_quantity and not (has_quote and product == "spot"):
            return mandatory("quantity")
        if product == "usdm" and request.price_match != "NONE":
            return Refusal(-5038, "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT.")
        return request
    if not fields.get("quantity"):
        return mandatory("quantity")
    if fields.get("quoteOrderQty") and product == "spot":
        return unwanted("quoteOrderQty")
    if request.price_match not in PRICE_MATCHES:
        return Refusal(-5037, "Invalid price match.")
    if request.price_match != "NONE":
        if product == "spot" or fields.get("price"):
            return unwanted("priceMatch" if product == "spot" else "price")
    elif not fields.get("price"):
        return mandatory("price")
    if request.time_in_force == "GTD" and not request.good_till_ms:
        return mandatory("goodTillDate")
    return request


def check_spot(
    rules: SymbolRules, order_type: str, side: str, price_e8: int, quantity_e8: int, average_e8: int, open_orders: int
) -> Refusal | None:
    """The spot filters in the venue's order. `average_e8`: average price over 5 minutes, 0: unknown (not checked)."""
    if order_type != "MARKET":
        if price_e8 < rules.price_ticks_min * rules.tick_e8 or price_e8 > rules.price_ticks_max * rules.tick_e8:
            return filter_failure("PRICE_FILTER")
        if price_e8 % rules.tick_e8:
            return filter_failure("PRICE_FILTER")
        # `bid…` multipliers for BUY, `ask…` for SELL; this exchange lists the same numbers for both sides.
        if average_e8 and not average_e8 * rules.percent_down_e4 <= price_e8 * 10_000 <= average_e8 * rules.percent_up_e4:
            return filter_failure("PERCENT_PRICE_BY_SIDE")
    if quantity_e8 % rules.lot_e8 or not rules.quantity_lots_min <= quantity_e8 // rules.lot_e8 <= rules.quantity_lots_max:
        return filter_failure("LOT_SIZE")
    if order_type == "MARKET" and quantity_e8 // rules.lot_e8 > rules.market_lots_max:
        return filter_failure("MARKET_LOT_SIZE")
    reference_e8 = average_e8 if order_type == "MARKET" else price_e8
    notional_e8 = reference_e8 * quantity_e8 // E8
    if reference_e8 and notional_e8 < rules.notional_min_e8:
        return filter_failure("NOTIONAL")
    if order_type != "MARKET" and rules.notional_max_e8 and notional_e8 > rules.notional_max_e8:
        return filter_failure("NOTIONAL")
    if order_type != "MARKET" and open_orders >= rules.orders_max:
        return filter_failure("MAX_NUM_ORDERS")
    return None


def check_spot_quote(rules: SymbolRules, quote_e8: int) -> Refusal | None:
    """The notional filter of a market order by quote quantity."""
    if quote_e8 < rules.notional_min_e8:
        return filter_failure("NOTIONAL")
    return None


def check_usdm(
    rules: SymbolRules, order_type: str, side: str, price_e8: int, quantity_e8: int, mark_e8: int, *, is_reduce_only: bool
) -> Refusal | None:
    """The futures filters. Tick and step are tested from the minimum: (price − minPrice) % tickSize == 0."""
    if order_type != "MARKET":
        if price_e8 == 0 or price_e8 < rules.price_ticks_min * rules.tick_e8:
            return Refusal(-4013, f"Price less than min price {rules.price_text(rules.price_ticks_min)}.")
        if price_e8 > rules.price_ticks_max * rules.tick_e8:
            return Refusal(-4002, f"Price greater than max price {rules.price_text(rules.price_ticks_max)}.")
        if (price_e8 - rules.price_ticks_min * rules.tick_e8) % rules.tick_e8:
            return Refusal(-4014, "Price not increased by tick size.")
        if mark_e8 and side == "BUY" and price_e8 * 10_000 > mark_e8 * rules.percent_up_e4:
            limit = amount_text(mark_e8 * rules.percent_up_e4 // 10_000, rules.price_places)
            return Refusal(-4016, f"Limit price can't be higher than {limit}.")
        if mark_e8 and side == "SELL" and price_e8 * 10_000 < mark_e8 * rules.percent_down_e4:
            limit = amount_text(mark_e8 * rules.percent_down_e4 // 10_000, rules.price_places)
            return Refusal(-4024, f"Limit price can't be lower than {limit}.")
    if quantity_e8 == 0:
        return Refusal(-4003, "Quantity less than zero.")
    if quantity_e8 < rules.quantity_lots_min * rules.lot_e8:
        return Refusal(-4004, "Quantity less than min quantity.")
    lots_max = rules.market_lots_max if order_type == "MARKET" else rules.quantity_lots_max
    if quantity_e8 > lots_max * rules.lot_e8:
        return Refusal(-4005, "Quantity greater than max quantity.")
    if (quantity_e8 - rules.quantity_lots_min * rules.lot_e8) % rules.lot_e8:
        return Refusal(-4023, "Qty not increased by step size.")
    reference_e8 = mark_e8 if order_type == "MARKET" else price_e8
    if not is_reduce_only and reference_e8 and reference_e8 * quantity_e8 // E8 < rules.notional_min_e8:
        minimum = amount_text(rules.notional_min_e8, 0)
        return Refusal(-4164, f"Order's notional must be no smaller than {minimum} (unless you choose reduce only).")
    return None
