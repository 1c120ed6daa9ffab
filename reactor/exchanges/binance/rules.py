"""Binance's product lines as records: where they live, what their exchange info says, what their error codes mean.

Three lines share one codec. What differs stands here, line by line, so that a copied folder is never needed:

    spot     /api/v3    LIMIT_MAKER is the post-only type; a cancel renames the order; user events on the WebSocket API
    usdm     /fapi/v1   GTX is the post-only time in force; reduce-only; user events behind a listen key on /private
    coinm    /dapi/v1   as usdm, quantities in contracts of a fixed number of dollars, margin in the coin

An error code means different things per API (−2022 is "cancel-replace failed" on spot and "reduce-only rejected" on futures):
it is mapped per API, and where spot reuses one number for everything (−2010, −2011, −1013) the message decides.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from reactor.domain.errors import ConfigError, RemoteProtocolError
from reactor.domain.instrument import Instrument
from reactor.domain.messages import Reason, Venue
from reactor.domain.units import E8, divide_up
from reactor.exchanges.venue import Endpoints, Outcome, RateLimit, RateLimitKind, Verdict

NOT_CHECKED: Final = 2**62  # "A missing filter or a zero field means 'not checked'": no price or quantity reaches it.

R = Reason


@dataclass(frozen=True)
class ProductLine:
    """One of Binance's APIs."""

    venue: int
    name: str
    rest_root: str
    client_id_pattern: re.Pattern[str]
    post_only_type: str  # "LIMIT_MAKER" or "" (then the time in force GTX says it)
    is_perpetual: bool
    is_inverse: bool
    has_listen_key: bool
    account_path: str
    balance_path: str
    positions_path: str  # "": the line has no positions
    trades_path: str
    income_path: str
    countdown_path: str  # "": no countdown cancel-all
    trades_window_ms: int  # the longest span between startTime and endTime of the trades query
    weights: Mapping[str, int]
    codes: Mapping[int, Verdict]
    messages: tuple[tuple[str, Verdict], ...] = ()
    unavailable: tuple[tuple[str, Verdict], ...] = ()  # what a 503 says, by text
    seconds_between_user_keepalive: int = 0


# ---- error codes ----------------------------------------------------------------------------------------------


def _no(reason: Any) -> Verdict:
    return Verdict(reason, Outcome.NO_EFFECT)


UNKNOWN_EXECUTION: Final = Verdict(R.UNKNOWN_EXECUTION, Outcome.UNKNOWN)
UNMAPPED: Final = Verdict(R.UNMAPPED, Outcome.NO_EFFECT)
RATE_LIMITED: Final = Verdict(R.RATE_LIMITED, Outcome.NO_EFFECT_WAIT)
BANNED: Final = Verdict(R.BANNED, Outcome.FATAL)
SERVER_BUSY: Final = Verdict(R.SERVER_BUSY, Outcome.NO_EFFECT_WAIT)
# "An order with this id exists, maybe yours": the order is looked up, never assumed refused.
DUPLICATE: Final = Verdict(R.DUPLICATE_CLIENT_ID, Outcome.UNKNOWN)
_FATAL_KEY: Final = Verdict(R.INVALID_KEY, Outcome.FATAL)


def _codes(reason: Any, *codes: int) -> dict[int, Verdict]:
    return dict.fromkeys(codes, _no(reason))


# The same on every Binance API.
_COMMON: Final[dict[int, Verdict]] = {
    -1000: UNKNOWN_EXECUTION,  # "An unknown error occurred while processing the request."
    -1006: UNKNOWN_EXECUTION,  # "An unexpected response was received from the message bus. Execution status unknown."
    -1007: UNKNOWN_EXECUTION,  # "Timeout waiting for response from backend server. Send status unknown; …"
    -1001: SERVER_BUSY,  # "Internal error; unable to process your request. Please try again."
    -1008: SERVER_BUSY,  # throttled by system-level protection: failed
    -1003: RATE_LIMITED,
    -1015: RATE_LIMITED,
    -1034: RATE_LIMITED,
    -1021: _no(R.TIMESTAMP),
    -1022: Verdict(R.BAD_SIGNATURE, Outcome.FATAL),
    -1002: _FATAL_KEY,
    -2014: _FATAL_KEY,
    -2015: _FATAL_KEY,
    -2017: _FATAL_KEY,
    -1111: _no(R.PRECISION),
    -2011: _no(R.UNKNOWN_ORDER),
    -2013: _no(R.UNKNOWN_ORDER),
    **_codes(R.BAD_PARAMETER, -1014, *range(-1108, -1099), *range(-1122, -1113), -1127, -1128, -1130, -1131, -1135),
}

_SPOT_CODES: Final[dict[int, Verdict]] = {
    **_COMMON,
    -1016: _no(R.MARKET_CLOSED),
    -2010: _no(R.UNMAPPED),  # "New order rejected": the message says why
    -1013: _no(R.BAD_PARAMETER),  # a filter: the message names it
    -2038: _no(R.BAD_PARAMETER),
    -2039: _no(R.UNKNOWN_ORDER),  # order id and client id belong to different orders
    -2021: UNKNOWN_EXECUTION,  # cancel-replace, one half done: read both
    -2022: _no(R.UNKNOWN_ORDER),  # cancel-replace, nothing done
    -2028: _FATAL_KEY,  # "HMAC-SHA-256 API key is not supported" for session.logon
    -1193: _FATAL_KEY,  # "WebSocket session not authenticated"
}

_SPOT_MESSAGES: Final[tuple[tuple[str, Verdict], ...]] = (
    ("duplicate order sent", DUPLICATE),
    ("insufficient balance", _no(R.INSUFFICIENT_BALANCE)),
    ("immediately match and take", _no(R.POST_ONLY_WOULD_TAKE)),
    ("trigger immediately", _no(R.WOULD_TRIGGER)),
    ("price * qty is zero", _no(R.FILTER_NOTIONAL)),
    ("market is closed", _no(R.MARKET_CLOSED)),
    ("not permitted for this symbol", _no(R.MARKET_CLOSED)),
    ("this symbol is", _no(R.MARKET_CLOSED)),
    ("would change no state", Verdict(R.NO_CHANGE, Outcome.SUCCESS)),
    ("unknown order sent", _no(R.UNKNOWN_ORDER)),
    ("order was canceled or expired", _no(R.ORDER_ALREADY_CLOSED)),
    ("market_lot_size", _no(R.FILTER_LOT)),
    ("lot_size", _no(R.FILTER_LOT)),
    ("notional", _no(R.FILTER_NOTIONAL)),
    ("price", _no(R.FILTER_PRICE)),
    ("max_position", _no(R.MAX_POSITION)),
    ("max_num", _no(R.MAX_ORDERS)),
    ("iceberg", _no(R.BAD_PARAMETER)),
    ("trailing_delta", _no(R.BAD_PARAMETER)),
)

_FUTURES_CODES: Final[dict[int, Verdict]] = {
    **_COMMON,
    -4116: DUPLICATE,
    **_codes(R.INSUFFICIENT_BALANCE, -2018, -2019, -2028, -4050, -4051),
    -5028: _no(R.TIMESTAMP),  # outside of recvWindow when it reached the engine
    -1011: _FATAL_KEY,
    -1099: _FATAL_KEY,
    **_codes(R.BAD_PARAMETER, -4015, -4060, -4061, -4062, -4120, -5038, -5043),
    **_codes(R.PRECISION, -4014, -4023),
    **_codes(R.FILTER_PRICE, -4001, -4002, -4013, -4016, -4024, -4131, -4183, -4184, -5041),
    **_codes(R.FILTER_LOT, -4003, -4004, -4005),
    **_codes(R.FILTER_NOTIONAL, -4164, -5029),
    -5022: _no(R.POST_ONLY_WOULD_TAKE),
    -5021: _no(R.FOK_NOT_FILLED),
    **_codes(R.REDUCE_ONLY, -2022, -2024, -2026, -4087, -4105, -4106, -4107, -4118, -4189, -4400, -4401),
    **_codes(R.MAX_ORDERS, -2025, -4045),
    **_codes(R.MAX_POSITION, -2023, -2027, -4402),
    **_codes(R.MARKET_CLOSED, -4022, -4140, -4141),
    **_codes(R.WOULD_TRIGGER, -2021, -4142),
    **dict.fromkeys((-4046, -4059, -4171, -5027), Verdict(R.NO_CHANGE, Outcome.SUCCESS)),
}

# "HTTP 503": the text decides between "failed" and "nobody knows".
_FUTURES_UNAVAILABLE: Final[tuple[tuple[str, Verdict], ...]] = (
    ("unknown error", UNKNOWN_EXECUTION),
    ("service unavailable", SERVER_BUSY),
    ("internal error; unable to process", SERVER_BUSY),
)

_DAY_MS: Final = 86_400_000

SPOT: Final = ProductLine(
    venue=Venue.BINANCE_SPOT,
    name="spot",
    rest_root="/api/v3",
    client_id_pattern=re.compile(r"^[a-zA-Z0-9-_]{1,36}$"),
    post_only_type="LIMIT_MAKER",
    is_perpetual=False,
    is_inverse=False,
    has_listen_key=False,
    account_path="/api/v3/account",
    balance_path="/api/v3/account",
    positions_path="",
    trades_path="/api/v3/myTrades",
    income_path="",
    countdown_path="",
    trades_window_ms=_DAY_MS,
    weights={
        "order": 1,
        "query": 4,
        "cancel": 1,
        "open_orders": 80,
        "account": 20,
        "trades": 20,
        "time": 1,
        "exchange_info": 20,
    },
    codes=_SPOT_CODES,
    messages=_SPOT_MESSAGES,
)

_FUTURES_WEIGHTS: Final = {
    "order": 0,
    "query": 1,
    "cancel": 1,
    "open_orders": 40,
    "account": 5,
    "trades": 5,
    "time": 1,
    "exchange_info": 1,
    "income": 30,
    "positions": 5,
    "listen_key": 1,
    "countdown": 10,
}

USDM: Final = ProductLine(
    venue=Venue.BINANCE_USDM,
    name="usdm",
    rest_root="/fapi/v1",
    client_id_pattern=re.compile(r"^[.A-Z:/a-z0-9_-]{1,36}$"),
    post_only_type="",
    is_perpetual=True,
    is_inverse=False,
    has_listen_key=True,
    account_path="/fapi/v2/account",
    balance_path="/fapi/v3/account",
    positions_path="/fapi/v3/positionRisk",
    trades_path="/fapi/v1/userTrades",
    income_path="/fapi/v1/income",
    countdown_path="/fapi/v1/countdownCancelAll",
    trades_window_ms=7 * _DAY_MS,
    weights=_FUTURES_WEIGHTS,
    codes=_FUTURES_CODES,
    unavailable=_FUTURES_UNAVAILABLE,
    seconds_between_user_keepalive=1800,
)

COINM: Final = replace(
    USDM,
    venue=Venue.BINANCE_COINM,
    name="coinm",
    rest_root="/dapi/v1",
    is_inverse=True,
    account_path="/dapi/v1/account",
    balance_path="/dapi/v1/account",
    positions_path="/dapi/v1/positionRisk",
    trades_path="/dapi/v1/userTrades",
    income_path="/dapi/v1/income",
    countdown_path="/dapi/v1/countdownCancelAll",
)

LINES: Final[Mapping[int, ProductLine]] = {line.venue: line for line in (SPOT, USDM, COINM)}


def classify(line: ProductLine, status: int, code: int, text: str) -> Verdict:
    """What an error answer means on this API: HTTP status, the venue's code (0: none) and its words.

    A status or code that nobody has mapped is UNMAPPED with no effect when the venue answered 4xx (it understood and refused)
    and UNKNOWN when it answered 5xx (it may have executed first).
    """
    lowered = text.lower()
    if status in (418, 403):
        return BANNED
    if status == 429:
        return RATE_LIMITED
    if status == 408:
        return UNKNOWN_EXECUTION
    if status >= 500:
        # −1008 means "failed" with any status; of the others only what a 503 says in so many words.
        if code == -1008:
            return SERVER_BUSY
        for words, verdict in line.unavailable:
            if words in lowered:
                return verdict
        return UNKNOWN_EXECUTION
    if code in (-2010, -2011, -2038, -1013):
        for words, verdict in line.messages:
            if words in lowered:
                return verdict
    if code == -1000 and line.venue == Venue.BINANCE_SPOT and "would change no state" in lowered:
        return Verdict(R.NO_CHANGE, Outcome.SUCCESS)
    return line.codes.get(code, UNMAPPED)


# ---- addresses ------------------------------------------------------------------------------------------------

# Profiles whose exchange is our own simulated one.
SIMULATED_PROFILES: Final = ("generated", "replay", "paper")
PROFILES: Final = (*SIMULATED_PROFILES, "demo", "testnet", "live")

# Order sessions ask the venue to leave its counters out of each answer: half the bytes, and the headers tell the same.
_QUIET: Final = "?returnRateLimits=false"

# profile, venue → REST, order WebSocket, public, market and private streams. One stream address: it serves every kind.
_PUBLISHED: Final[Mapping[tuple[str, int], tuple[str, str, tuple[str, ...]]]] = {
    ("live", Venue.BINANCE_SPOT): (
        "https://api.binance.com", "wss://ws-api.binance.com:443/ws-api/v3", ("wss://stream.binance.com:9443",),
    ),
    ("testnet", Venue.BINANCE_SPOT): (
        "https://testnet.binance.vision", "wss://ws-api.testnet.binance.vision/ws-api/v3",
        ("wss://stream.testnet.binance.vision",),
    ),
    ("demo", Venue.BINANCE_SPOT): (
        "https://demo-api.binance.com", "wss://demo-ws-api.binance.com/ws-api/v3", ("wss://demo-stream.binance.com",),
    ),
    ("live", Venue.BINANCE_USDM): (
        "https://fapi.binance.com", "wss://ws-fapi.binance.com/ws-fapi/v1",
        ("wss://fstream.binance.com/public", "wss://fstream.binance.com/market", "wss://fstream.binance.com/private"),
    ),
    # Demo and testnet are one backend; it still serves every stream on unrouted paths (measured 2026-09).
    ("demo", Venue.BINANCE_USDM): (
        "https://demo-fapi.binance.com", "wss://testnet.binancefuture.com/ws-fapi/v1", ("wss://demo-fstream.binance.com",),
    ),
    ("testnet", Venue.BINANCE_USDM): (
        "https://testnet.binancefuture.com", "wss://testnet.binancefuture.com/ws-fapi/v1",
        ("wss://fstream.binancefuture.com",),
    ),
    ("live", Venue.BINANCE_COINM): ("https://dapi.binance.com", "", ("wss://dstream.binance.com",)),
    ("testnet", Venue.BINANCE_COINM): ("https://testnet.binancefuture.com", "", ("wss://dstream.binancefuture.com",)),
}  # fmt: skip


def endpoints_at(venue: int, base_url: str) -> Endpoints:
    """Every address of `venue` on one host that speaks all its protocols, as the simulated exchange does (`http://127.0.0.1:8080`).

    Raises:
        ConfigError: `base_url` is not http(s)://host[:port].
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"exchange base URL {base_url!r}: write http://host:port or https://host:port")
    rest = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    socket = ("wss" if parts.scheme == "https" else "ws") + rest[len(parts.scheme) :]
    if venue == Venue.BINANCE_SPOT:
        return Endpoints(venue, rest, f"{socket}/ws-api/v3", socket, socket, "")
    orders = f"{socket}/ws-fapi/v1" if venue == Venue.BINANCE_USDM else ""
    return Endpoints(venue, rest, orders, f"{socket}/public", f"{socket}/market", f"{socket}/private")


def endpoints_of(venue: int, profile: str, base_url: str = "") -> Endpoints:
    """The addresses of `venue` in `profile`; `base_url` overrides all of them.

    Raises:
        ConfigError: no such profile, the profile has no such venue, or a simulated profile without its base URL.
    """
    if base_url:
        return endpoints_at(venue, base_url)
    if profile in SIMULATED_PROFILES:
        raise ConfigError(f"profile {profile!r} trades on the simulated exchange: it needs that server's base URL")
    found = _PUBLISHED.get((profile, venue))
    if found is None:
        known = ", ".join(sorted(name for name, other in _PUBLISHED if other == venue))
        raise ConfigError(f"profile {profile!r} has no {LINES[venue].name} venue; there is {known}")
    rest, orders, streams = found
    public, market, private = streams if len(streams) == 3 else streams * 3
    return Endpoints(venue, rest, orders, public, market, private if LINES[venue].has_listen_key else "")


def orders_url(endpoints: Endpoints) -> str:
    """The order socket's address as the engine opens it."""
    return endpoints.orders_url + _QUIET if endpoints.orders_url else ""


# ---- exchange info --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExchangeInfo:
    """What one exchangeInfo body said."""

    instruments: tuple[Instrument, ...]
    rate_limits: tuple[RateLimit, ...]
    server_ms: int
    missing: tuple[str, ...] = ()  # asked for and not there
    unusable: tuple[str, ...] = field(default=())  # "SYMBOL: why", skipped


def exchange_info_url(line: ProductLine, endpoints: Endpoints) -> str:
    """Where to GET it."""
    return f"{endpoints.rest_url}{line.rest_root}/exchangeInfo"


def time_url(line: ProductLine, endpoints: Endpoints) -> str:
    """Where to ask the venue for its clock."""
    return f"{endpoints.rest_url}{line.rest_root}/time"


def read_server_ms(body: bytes) -> int:
    """The venue's clock out of a time answer.

    Raises:
        RemoteProtocolError: not a time answer.
    """
    try:
        return int(orjson.loads(body)["serverTime"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise RemoteProtocolError(f"not a time answer: {body[:80]!r}") from None


def read_exchange_info(
    line: ProductLine,
    body: bytes,
    symbols: Collection[str] | None = None,
    first_index: int = 0,
    maker_fee_e8: int = 0,
    taker_fee_e8: int = 0,
) -> ExchangeInfo:
    """An exchangeInfo body as domain instruments, in the order of `symbols` (all of the body if None).

    Fees are not in exchange info: they come from the account's commission query, or from the config.

    Raises:
        RemoteProtocolError: not an exchangeInfo body.
    """
    try:
        info = orjson.loads(body)
        rows = {row["symbol"]: row for row in info["symbols"]}
        limits = tuple(_rate_limits(info.get("rateLimits", ())))
        server_ms = int(info.get("serverTime", 0))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise RemoteProtocolError(f"not an exchangeInfo body: {body[:80]!r}") from None
    wanted = [symbol.upper() for symbol in symbols] if symbols is not None else list(rows)
    instruments: list[Instrument] = []
    unusable: list[str] = []
    for symbol in wanted:
        row = rows.get(symbol)
        if row is None:
            continue
        try:
            instruments.append(_instrument(line, row, first_index + len(instruments), maker_fee_e8, taker_fee_e8))
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            unusable.append(f"{symbol}: {error or type(error).__name__}")
    missing = tuple(symbol for symbol in wanted if symbol not in rows)
    return ExchangeInfo(tuple(instruments), limits, server_ms, missing, tuple(unusable))


_INTERVAL_MS: Final = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": _DAY_MS}
_LIMIT_KINDS: Final = {
    "REQUEST_WEIGHT": RateLimitKind.WEIGHT,
    "ORDERS": RateLimitKind.ORDERS,
    "RAW_REQUESTS": RateLimitKind.REQUESTS,
}


def _rate_limits(rows: Collection[Mapping[str, Any]]) -> list[RateLimit]:
    return [
        RateLimit(
            _LIMIT_KINDS[row["rateLimitType"]], _INTERVAL_MS[row["interval"]] * int(row["intervalNum"]), int(row["limit"])
        )
        for row in rows
        if row["rateLimitType"] in _LIMIT_KINDS and row["interval"] in _INTERVAL_MS
    ]


def _instrument(line: ProductLine, row: Mapping[str, Any], index: int, maker_fee_e8: int, taker_fee_e8: int) -> Instrument:
    filters = {entry["filterType"]: entry for entry in row["filters"]}
    price, lot = filters.get("PRICE_FILTER", {}), filters["LOT_SIZE"]
    market_lot = filters.get("MARKET_LOT_SIZE", {})
    # "pricePrecision is not the tick": the filter is.
    tick, tick_decimals, tick_size = _step(price.get("tickSize", "0"), int(row.get("pricePrecision", 8)))
    step, step_decimals, lot_size = _step(lot.get("stepSize", "0"), int(row.get("quantityPrecision", 8)))
    price_min, price_max = Decimal(price.get("minPrice", "0")), Decimal(price.get("maxPrice", "0"))
    quantity_min, quantity_max = Decimal(lot.get("minQty", "0")), Decimal(lot.get("maxQty", "0"))
    market_max = Decimal(market_lot.get("maxQty", "0"))
    # Futures test (price − minPrice) % tickSize: a grid that does not pass through zero cannot be counted in ticks.
    if price_min % tick or quantity_min % step:
        raise ValueError("its price or quantity grid does not start at a whole step")
    lots_max = int(quantity_max // step) if quantity_max else NOT_CHECKED
    contract = int(Decimal(str(row.get("contractSize", 1))) * E8)
    return Instrument(
        instrument_index=index,
        venue=line.venue,
        symbol=row["symbol"],
        base_asset=row["baseAsset"],
        quote_asset=row["quoteAsset"],
        price_decimals=tick_decimals,
        quantity_decimals=step_decimals,
        tick_size=tick_size,
        lot_size=lot_size,
        quantity_lots_min=max(1, divide_up(int(quantity_min * 10**12), int(step * 10**12))),
        quantity_lots_max=lots_max,
        market_quantity_lots_max=min(lots_max, int(market_max // step)) if market_max else lots_max,
        price_ticks_min=max(1, int(price_min / tick)),
        price_ticks_max=int(price_max // tick) if price_max else NOT_CHECKED,
        notional_min_e8=int(_notional_min(filters) * E8),
        maker_fee_e8=maker_fee_e8,
        taker_fee_e8=taker_fee_e8,
        is_perpetual=line.is_perpetual and row.get("contractType", "PERPETUAL") == "PERPETUAL",
        is_trading=row.get("status", row.get("contractStatus", "")) == "TRADING",
        contract_size_e8=contract if line.is_inverse else E8,
        **_percent(filters),
    )


def _step(text: str, decimals: int) -> tuple[Decimal, int, int]:
    """(step, digits after the point on the wire, step in units of the last digit); "0" means one unit of `decimals`."""
    step = Decimal(text).normalize()
    if step == 0:
        step = Decimal(1).scaleb(-decimals)
    exponent = step.as_tuple().exponent
    assert isinstance(exponent, int), "a filter's step is a finite number"
    digits = max(0, -exponent)
    return step, digits, int(step.scaleb(digits))


def _notional_min(filters: Mapping[str, Mapping[str, Any]]) -> Decimal:
    """Spot says NOTIONAL or MIN_NOTIONAL with minNotional, futures MIN_NOTIONAL with notional."""
    candidates = [filters.get("NOTIONAL", {}).get("minNotional", "0")]
    minimum = filters.get("MIN_NOTIONAL", {})
    candidates.append(minimum.get("minNotional", minimum.get("notional", "0")))
    return max(Decimal(text) for text in candidates)


def _percent(filters: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The price band. Where the sides differ, the narrower one: an order inside it passes on both."""
    by_side, both = filters.get("PERCENT_PRICE_BY_SIDE"), filters.get("PERCENT_PRICE")
    if by_side is not None:
        up = min(float(by_side["bidMultiplierUp"]), float(by_side["askMultiplierUp"]))
        down = max(float(by_side["bidMultiplierDown"]), float(by_side["askMultiplierDown"]))
        return {"percent_price_up": up, "percent_price_down": down}
    if both is not None:
        return {"percent_price_up": float(both["multiplierUp"]), "percent_price_down": float(both["multiplierDown"])}
    return {}
