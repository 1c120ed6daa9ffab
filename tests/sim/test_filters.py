"""What is refused before the book, and in which words."""

from typing import Any

import pytest

from reactor.sim.events import Refusal
from reactor.sim.filters import decimal_e8, parse_order
from reactor.sim.symbols import SPOT_SYMBOLS

SPOT_CASES = {
    "no side": ({"side": ""}, -1102, "Mandatory parameter 'side' was not sent, was empty/null, or malformed."),
    "a side of its own": ({"side": "LONG"}, -1117, "Invalid side."),
    "an unknown type": ({"type": "ICEBERG"}, -1116, "Invalid orderType."),
    "a stop order": ({"type": "STOP_LOSS"}, -1013, "Stop loss orders are not supported for this symbol."),
    "an unknown time in force": ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    "a limit order without time in force": ({"timeInForce": ""}, -1102, "Mandatory parameter 'timeInForce'"),
    "a limit order without price": ({"price": ""}, -1102, "Mandatory parameter 'price'"),
    "a limit order without quantity": ({"quantity": ""}, -1102, "Mandatory parameter 'quantity'"),
    "a post-only order with time in force": ({"type": "LIMIT_MAKER"}, -1106, "Parameter 'timeInForce' sent when not required."),
    "letters in the price": ({"price": "6e4"}, -1100, "Illegal characters found in parameter 'price'"),
    "a negative quantity": ({"quantity": "-1"}, -1100, "Illegal characters found in parameter 'quantity'"),
    "nine decimals": ({"price": "60000.123456789"}, -1111, "Parameter 'price' has too much precision."),
    "a client id of 37 characters": ({"newClientOrderId": "a" * 37}, -1100, "Illegal characters"),
    "a client id with a space": ({"newClientOrderId": "a b"}, -1100, "Illegal characters"),
    "a price off the tick": ({"price": "60000.005"}, -1013, "Filter failure: PRICE_FILTER"),
    "a price of zero": ({"price": "0"}, -1013, "Filter failure: PRICE_FILTER"),
    "a price above the maximum": ({"price": "2000000"}, -1013, "Filter failure: PRICE_FILTER"),
    "a price five times the average": ({"price": "310000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "a price a fifth of the average": ({"price": "11000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "a quantity off the step": ({"quantity": "0.000015"}, -1013, "Filter failure: LOT_SIZE"),
    "a quantity of zero": ({"quantity": "0"}, -1013, "Filter failure: LOT_SIZE"),
    "too small a notional": ({"quantity": "0.00008"}, -1013, "Filter failure: NOTIONAL"),
    "too large a notional": ({"quantity": "200"}, -1013, "Filter failure: NOTIONAL"),
    "no money": ({"quantity": "3"}, -2010, "Account has insufficient balance for requested action."),
    "a post-only order that would take": (
        {"type": "LIMIT_MAKER", "timeInForce": "", "price": "60001.00"},
        -2010,
        "Order would immediately match and take.",
    ),
}


@pytest.mark.parametrize("case", SPOT_CASES)
def test_spot_refuses(spot: Any, case: str) -> None:
    changes, code, message = SPOT_CASES[case]
    request = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "59000", "quantity": "0.01"}
    fields = {name: text for name, text in (request | changes).items() if text}
    refusal = spot.venue.place(spot.accounts[0], fields, spot.now_ns)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert refusal.message.startswith(message)
    assert spot.events() == []


USDM_CASES = {
    "a stop order": ({"type": "STOP_MARKET"}, -4120, "Order type not supported for this endpoint."),
    "a post-only type of spot": ({"type": "LIMIT_MAKER"}, -1116, "Invalid orderType."),
    "a client id of 37 characters": ({"newClientOrderId": "a" * 37}, -4015, "Client order id length"),
    "a client id with a space": ({"newClientOrderId": "a b"}, -1100, "Illegal characters"),
    "a position side in one-way mode": ({"positionSide": "LONG"}, -4061, "Order's position side does not match"),
    "a price off the tick": ({"price": "59000.05"}, -4014, "Price not increased by tick size."),
    "three decimals": ({"price": "59000.005"}, -1111, "Precision is over the maximum defined for this asset."),
    "a quantity of four decimals": ({"quantity": "0.0105"}, -1111, "Precision is over the maximum defined for this asset."),
    "a negative price": ({"price": "-1"}, -4001, "Price less than 0."),
    "a price below the minimum": ({"price": "100"}, -4013, "Price less than min price 556.80."),
    "a buy far above the mark": ({"price": "63500"}, -4016, "Limit price can't be higher than 63000.52."),
    "a sell far below the mark": ({"price": "56000", "side": "SELL"}, -4024, "Limit price can't be lower than 57000.47."),
    "a quantity of zero": ({"quantity": "0"}, -4003, "Quantity less than zero."),
    "too large a quantity": ({"quantity": "1001"}, -4005, "Quantity greater than max quantity."),
    "too small a notional": ({"quantity": "0.001"}, -4164, "Order's notional must be no smaller than 100"),
    "no margin": ({"quantity": "40"}, -2019, "Margin is insufficient."),
    "a reduce-only order without a position": ({"reduceOnly": "true"}, -2022, "ReduceOnly Order is rejected."),
    "a post-only order that would take": (
        {"timeInForce": "GTX", "price": "60001"},
        -5022,
        "Due to the order could not be executed",
    ),
    "a fill-or-kill that cannot": (
        {"timeInForce": "FOK", "price": "60001", "quantity": "2"},
        -5021,
        "Due to the order could not",
    ),
    "GTD without a date": ({"timeInForce": "GTD"}, -1102, "Mandatory parameter 'goodTillDate'"),
    "GTD that ends too soon": ({"timeInForce": "GTD", "goodTillDate": "1700000060000"}, -5040, "The goodTillDate timestamp"),
    "a price match with a price": ({"priceMatch": "QUEUE"}, -1106, "Parameter 'price' sent when not required."),
    "an unknown price match": ({"priceMatch": "OPPONENT_10"}, -5037, "Invalid price match."),
    "an unknown self-trade mode": ({"selfTradePreventionMode": "DECREMENT"}, -5039, "Invalid selfTradePreventionMode."),
}


@pytest.mark.parametrize("case", USDM_CASES)
def test_usdm_refuses(usdm: Any, case: str) -> None:
    changes, code, message = USDM_CASES[case]
    request = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "59000", "quantity": "0.01"}
    refusal = usdm.venue.place(usdm.accounts[0], request | changes, usdm.now_ns)
    assert isinstance(refusal, Refusal), refusal
    assert (refusal.code, refusal.message[: len(message)]) == (code, message)
    assert usdm.events() == []


def test_an_unknown_or_missing_symbol_is_named(spot: Any, usdm: Any) -> None:
    for stage in (spot, usdm):
        assert stage.venue.place(1, {"symbol": "NOPE"}, 0) == Refusal(-1121, "Invalid symbol.")
        assert stage.venue.place(1, {}, 0).code == -1102


def test_the_market_lot_size_binds_market_orders_only(spot: Any) -> None:
    spot.venue.deposit(spot.accounts[0], "BTC", 500 * 10**8, spot.now_ns)
    assert spot.refused("SELL", "121") == (-1013, "Filter failure: MARKET_LOT_SIZE")
    assert spot.order("SELL", "121", "60500.00").status == "NEW"


def test_a_quote_quantity_must_reach_the_notional(spot: Any) -> None:
    assert spot.refused("BUY", "", quoteOrderQty="4.99") == (-1013, "Filter failure: NOTIONAL")
    assert spot.refused("BUY", "1", quoteOrderQty="10")[0] == -1106
    assert spot.refused("BUY", "")[0] == -1102


def test_two_hundred_open_orders_are_enough(spot: Any, usdm: Any) -> None:
    for _ in range(200):
        spot.order("BUY", "0.0001", "59000.00")
        usdm.order("BUY", "0.002", "59000.0")
    assert spot.refused("BUY", "0.0001", "59000.00") == (-1013, "Filter failure: MAX_NUM_ORDERS")
    assert usdm.refused("BUY", "0.002", "59000.0") == (-2025, "Reach max open order limit.")


def test_a_market_order_into_an_empty_or_far_book_is_refused_on_futures(usdm: Any) -> None:
    usdm.book({"56000.0": "1"}, {"64000.0": "1"})
    assert usdm.refused("BUY", "0.01")[0] == -4131
    assert usdm.refused("SELL", "0.01")[0] == -4131


def test_trailing_zeros_are_no_precision() -> None:
    assert decimal_e8({"price": "1.000000000000"}, "price", 2, "spot") == 10**8
    assert decimal_e8({"price": ".5"}, "price", 2, "spot") == Refusal(
        -1100, "Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."
    )


def test_words_are_read_in_any_case() -> None:
    request = parse_order(
        SPOT_SYMBOLS["BTCUSDT"], {"side": "buy", "type": "limit", "timeInForce": "gtc", "price": "1", "quantity": "1"}
    )
    assert not isinstance(request, Refusal)
    assert (request.side, request.type, request.time_in_force) == ("BUY", "LIMIT", "GTC")
