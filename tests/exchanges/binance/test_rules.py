"""Addresses, exchange info and error codes of Binance's product lines."""

from pathlib import Path

import orjson
import pytest

from reactor.domain.errors import ConfigError, RemoteProtocolError
from reactor.domain.messages import Reason as R
from reactor.domain.messages import Venue
from reactor.exchanges.binance.rules import (
    COINM,
    LINES,
    NOT_CHECKED,
    SPOT,
    USDM,
    ProductLine,
    classify,
    endpoints_at,
    endpoints_of,
    orders_url,
    read_exchange_info,
    read_server_ms,
)
from reactor.exchanges.venue import Outcome, RateLimit, RateLimitKind

PAYLOADS = Path(__file__).parents[2] / "payloads" / "binance"
SPOT_INFO = (PAYLOADS / "spot_exchange_info.json").read_bytes()
USDM_INFO = (PAYLOADS / "usdm_exchange_info.json").read_bytes()

TERMINAL, QUERY, WAIT, FATAL, DONE = Outcome.NO_EFFECT, Outcome.UNKNOWN, Outcome.NO_EFFECT_WAIT, Outcome.FATAL, Outcome.SUCCESS

# (line, HTTP status, code, message, reason, what the sender may do)
ERRORS = [
    # spot: one number, many meanings; the message decides
    (SPOT, 400, -2010, "Duplicate order sent.", R.DUPLICATE_CLIENT_ID, QUERY),
    (SPOT, 400, -2010, "Account has insufficient balance for requested action.", R.INSUFFICIENT_BALANCE, TERMINAL),
    (SPOT, 400, -2010, "Order would immediately match and take.", R.POST_ONLY_WOULD_TAKE, TERMINAL),
    (SPOT, 400, -2010, "Order would trigger immediately.", R.WOULD_TRIGGER, TERMINAL),
    (SPOT, 400, -2010, "Price * QTY is zero or less.", R.FILTER_NOTIONAL, TERMINAL),
    (SPOT, 400, -2010, "Market is closed.", R.MARKET_CLOSED, TERMINAL),
    (SPOT, 400, -2010, "This symbol is not permitted for this account.", R.MARKET_CLOSED, TERMINAL),
    (SPOT, 400, -2010, "Something new.", R.UNMAPPED, TERMINAL),
    (SPOT, 400, -2011, "Unknown order sent.", R.UNKNOWN_ORDER, TERMINAL),
    (SPOT, 400, -2013, "Order does not exist.", R.UNKNOWN_ORDER, TERMINAL),
    (SPOT, 400, -2039, "Order not found.", R.UNKNOWN_ORDER, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: PRICE_FILTER", R.FILTER_PRICE, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", R.FILTER_PRICE, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: LOT_SIZE", R.FILTER_LOT, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: MARKET_LOT_SIZE", R.FILTER_LOT, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: NOTIONAL", R.FILTER_NOTIONAL, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: MIN_NOTIONAL", R.FILTER_NOTIONAL, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: MAX_NUM_ORDERS", R.MAX_ORDERS, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: EXCHANGE_MAX_NUM_ORDERS", R.MAX_ORDERS, TERMINAL),
    (SPOT, 400, -1013, "Filter failure: MAX_POSITION", R.MAX_POSITION, TERMINAL),
    (SPOT, 400, -2021, "Order cancel-replace partially failed.", R.UNKNOWN_EXECUTION, QUERY),
    (SPOT, 400, -2028, "HMAC-SHA-256 API key is not supported", R.INVALID_KEY, FATAL),
    (SPOT, 400, -1000, "The requested action would change no state; rejecting", R.NO_CHANGE, DONE),
    # futures: the same numbers mean something else
    (USDM, 400, -4116, "ClientOrderId is duplicated.", R.DUPLICATE_CLIENT_ID, QUERY),
    (USDM, 400, -2019, "Margin is insufficient.", R.INSUFFICIENT_BALANCE, TERMINAL),
    (USDM, 400, -2018, "Balance is insufficient.", R.INSUFFICIENT_BALANCE, TERMINAL),
    (USDM, 400, -2028, "Leverage is smaller than permitted: insufficient margin balance.", R.INSUFFICIENT_BALANCE, TERMINAL),
    (USDM, 400, -2022, "ReduceOnly Order is rejected.", R.REDUCE_ONLY, TERMINAL),
    (USDM, 400, -2021, "Order would immediately trigger.", R.WOULD_TRIGGER, TERMINAL),
    (USDM, 400, -2025, "Reach max open order limit.", R.MAX_ORDERS, TERMINAL),
    (USDM, 400, -2027, "Exceeded the maximum allowable position at current leverage.", R.MAX_POSITION, TERMINAL),
    (USDM, 400, -5022, "Due to the order could not be executed as maker…", R.POST_ONLY_WOULD_TAKE, TERMINAL),
    (USDM, 400, -5021, "Due to the order could not be filled immediately…", R.FOK_NOT_FILLED, TERMINAL),
    (USDM, 400, -5028, "Timestamp for this request is outside of the ME recvWindow.", R.TIMESTAMP, TERMINAL),
    (USDM, 400, -4164, "Order's notional must be no smaller than 100", R.FILTER_NOTIONAL, TERMINAL),
    (USDM, 400, -4014, "Price not increased by tick size.", R.PRECISION, TERMINAL),
    (USDM, 400, -4016, "Limit price can't be higher than …", R.FILTER_PRICE, TERMINAL),
    (USDM, 400, -4005, "Quantity greater than max quantity.", R.FILTER_LOT, TERMINAL),
    (USDM, 400, -4061, "Order's position side does not match user's setting.", R.BAD_PARAMETER, TERMINAL),
    (USDM, 400, -4120, "Order type not supported for this endpoint.", R.BAD_PARAMETER, TERMINAL),
    (USDM, 400, -4140, "Invalid symbol status for opening position.", R.MARKET_CLOSED, TERMINAL),
    (USDM, 400, -5027, "No need to modify the order.", R.NO_CHANGE, DONE),
    (COINM, 400, -2019, "Margin is insufficient.", R.INSUFFICIENT_BALANCE, TERMINAL),
    # both
    (SPOT, 400, -1021, "Timestamp for this request is outside of the recvWindow.", R.TIMESTAMP, TERMINAL),
    (USDM, 400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.", R.TIMESTAMP, TERMINAL),
    (SPOT, 400, -1022, "Signature for this request is not valid.", R.BAD_SIGNATURE, FATAL),
    (USDM, 401, -2015, "Invalid API-key, IP, or permissions for action.", R.INVALID_KEY, FATAL),
    (SPOT, 401, -2014, "API-key format invalid.", R.INVALID_KEY, FATAL),
    (SPOT, 400, -1111, "Parameter 'price' has too much precision.", R.PRECISION, TERMINAL),
    (SPOT, 400, -1102, "Mandatory parameter 'quantity' was not sent…", R.BAD_PARAMETER, TERMINAL),
    (USDM, 400, -1121, "Invalid symbol.", R.BAD_PARAMETER, TERMINAL),
    (SPOT, 429, -1003, "Too much request weight used; …", R.RATE_LIMITED, WAIT),
    (SPOT, 429, -1015, "Too many new orders; …", R.RATE_LIMITED, WAIT),
    (SPOT, 418, -1003, "Way too much request weight used; IP banned until …", R.BANNED, FATAL),
    (SPOT, 403, 0, "<html>", R.BANNED, FATAL),
    # nobody knows
    (SPOT, 400, -1006, "An unexpected response was received from the message bus. …", R.UNKNOWN_EXECUTION, QUERY),
    (SPOT, 400, -1007, "Timeout waiting for response from backend server. …", R.UNKNOWN_EXECUTION, QUERY),
    (SPOT, 500, 0, "", R.UNKNOWN_EXECUTION, QUERY),
    (SPOT, 503, -1000, "An unknown error occurred while processing the request.", R.UNKNOWN_EXECUTION, QUERY),
    (USDM, 408, -1007, "Timeout waiting for response from backend server.", R.UNKNOWN_EXECUTION, QUERY),
    (USDM, 503, 0, "Unknown error, please check your request or try again later.", R.UNKNOWN_EXECUTION, QUERY),
    (USDM, 504, 0, "", R.UNKNOWN_EXECUTION, QUERY),
    # the venue is busy: it says that nothing happened
    (USDM, 503, 0, "Service Unavailable.", R.SERVER_BUSY, WAIT),
    (USDM, 503, -1001, "Internal error; unable to process your request. Please try again.", R.SERVER_BUSY, WAIT),
    (USDM, 503, -1008, "Request throttled by system-level protection. …", R.SERVER_BUSY, WAIT),
    (SPOT, 400, -1008, "Server is currently overloaded with other requests. …", R.SERVER_BUSY, WAIT),
    # never seen before
    (SPOT, 400, -9999, "?", R.UNMAPPED, TERMINAL),
]


@pytest.mark.parametrize(
    ("line", "status", "code", "text", "reason", "outcome"),
    ERRORS,
    ids=[f"{e[0].name} {e[1]} {e[2]} {e[3][:24]}" for e in ERRORS],
)
def test_an_error_means_what_its_api_says(
    line: ProductLine, status: int, code: int, text: str, reason: int, outcome: Outcome
) -> None:
    verdict = classify(line, status, code, text)
    assert (verdict.reason, verdict.outcome) == (reason, outcome)


def test_no_5xx_is_ever_taken_for_a_refusal() -> None:
    for line in LINES.values():
        for code in [0, *line.codes]:
            for status in (500, 502, 503, 504):
                verdict = classify(line, status, code, "anything")
                assert verdict.outcome in (Outcome.UNKNOWN, Outcome.NO_EFFECT_WAIT)
                assert verdict.outcome is Outcome.UNKNOWN or code == -1008


def test_spot_exchange_info_becomes_instruments() -> None:
    info = read_exchange_info(SPOT, SPOT_INFO, ["btcusdt", "NOSUCH"], first_index=3, taker_fee_e8=100_000)
    [instrument] = info.instruments
    assert info.missing == ("NOSUCH",)
    assert (instrument.instrument_index, instrument.venue, instrument.symbol) == (3, Venue.BINANCE_SPOT, "BTCUSDT")
    assert (instrument.price_decimals, instrument.tick_size) == (2, 1)
    assert (instrument.quantity_decimals, instrument.lot_size) == (5, 1)
    assert (instrument.quantity_lots_min, instrument.quantity_lots_max) == (1, 900_000_000)
    assert instrument.market_quantity_lots_max == 12_000_000
    assert instrument.notional_min_e8 == 5 * 10**8
    assert (instrument.percent_price_up, instrument.percent_price_down) == (5.0, 0.2)
    assert instrument.taker_fee_e8 == 100_000
    assert instrument.is_trading
    assert not instrument.is_perpetual
    assert RateLimit(RateLimitKind.ORDERS, 10_000, 100) in info.rate_limits
    assert RateLimit(RateLimitKind.WEIGHT, 60_000, 6000) in info.rate_limits
    assert info.server_ms == 1565246363776


def test_futures_exchange_info_takes_the_tick_from_the_filter_not_from_the_precision() -> None:
    [instrument] = read_exchange_info(USDM, USDM_INFO).instruments
    assert (instrument.price_decimals, instrument.tick_size) == (1, 1)
    assert (instrument.quantity_decimals, instrument.lot_size) == (3, 1)
    assert instrument.price_ticks_min == 5568
    assert instrument.notional_min_e8 == 100 * 10**8
    assert (instrument.percent_price_up, instrument.percent_price_down) == (1.05, 0.95)
    assert instrument.is_perpetual


def test_a_tick_that_is_no_power_of_ten_is_counted_in_its_own_steps() -> None:
    info = orjson.loads(USDM_INFO)
    info["symbols"][0]["filters"][0].update(minPrice="0", maxPrice="0", tickSize="0.050")
    info["symbols"][0]["filters"][1]["stepSize"] = "5"
    info["symbols"][0]["filters"][1].update(minQty="5", maxQty="0")
    [instrument] = read_exchange_info(USDM, orjson.dumps(info)).instruments
    assert (instrument.price_decimals, instrument.tick_size) == (2, 5)
    assert (instrument.quantity_decimals, instrument.lot_size) == (0, 5)
    assert instrument.price_text(3) == "0.15"
    assert instrument.quantity_text(2) == "10"
    assert instrument.price_ticks_max == instrument.quantity_lots_max == NOT_CHECKED


def test_a_price_grid_that_does_not_pass_through_zero_is_refused_by_name() -> None:
    info = orjson.loads(USDM_INFO)
    info["symbols"][0]["filters"][0]["minPrice"] = "556.85"
    result = read_exchange_info(USDM, orjson.dumps(info))
    assert result.instruments == ()
    assert "BTCUSDT" in result.unusable[0]


def test_inverse_contracts_have_their_size() -> None:
    info = orjson.loads(USDM_INFO)
    row = info["symbols"][0]
    row.update(symbol="BTCUSD_PERP", contractSize=100, contractStatus="TRADING")
    del row["status"]
    row["filters"] = [entry for entry in row["filters"] if entry["filterType"] != "MIN_NOTIONAL"]
    [instrument] = read_exchange_info(COINM, orjson.dumps(info)).instruments
    assert instrument.contract_size_e8 == 100 * 10**8
    assert instrument.notional_min_e8 == 0
    assert instrument.is_trading


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"symbols":3}', b'{"code":-1121,"msg":"Invalid symbol."}'])
def test_what_is_no_exchange_info_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_exchange_info(SPOT, body)
    with pytest.raises(RemoteProtocolError):
        read_server_ms(body)


def test_every_profile_has_its_addresses() -> None:
    for profile in ("live", "testnet", "demo"):
        for venue in (Venue.BINANCE_SPOT, Venue.BINANCE_USDM):
            endpoints = endpoints_of(venue, profile)
            assert endpoints.rest_url.startswith("https://")
            assert endpoints.orders_url.startswith("wss://")
            assert not endpoints.public_url.endswith("/")
    assert endpoints_of(Venue.BINANCE_USDM, "live").private_url == "wss://fstream.binance.com/private"


def test_one_base_address_overrides_all_of_them() -> None:
    endpoints = endpoints_of(Venue.BINANCE_USDM, "generated", "http://127.0.0.1:9081/")
    assert endpoints == endpoints_at(Venue.BINANCE_USDM, "http://127.0.0.1:9081")
    assert endpoints.orders_url == "ws://127.0.0.1:9081/ws-fapi/v1"
    assert endpoints.private_url == "ws://127.0.0.1:9081/private"
    assert orders_url(endpoints).endswith("?returnRateLimits=false")


@pytest.mark.parametrize(
    ("profile", "base"), [("generated", ""), ("nowhere", ""), ("live", "ftp://x"), ("live", "binance.com")]
)
def test_an_address_that_cannot_be_is_a_config_error(profile: str, base: str) -> None:
    with pytest.raises(ConfigError):
        endpoints_of(Venue.BINANCE_SPOT, profile, base)


def test_client_ids_of_ours_fit_every_line() -> None:
    for line in LINES.values():
        assert line.client_id_pattern.match("ct0000100000001c")
        assert not line.client_id_pattern.match("x" * 37)
