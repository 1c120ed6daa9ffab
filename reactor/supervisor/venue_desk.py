"""The supervisor's own line to a venue: REST, slow, independent of every role.

It fetches the instrument table before anybody is started, shows the account before the first order, and when a role has
died or the session ends it asks the venue what is really open, and cancels what is ours.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import orjson
import yarl

from reactor.domain.errors import ConfigError, OutcomeUnknown, Rejected, RemoteProtocolError
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import Reason
from reactor.domain.units import parse_e8
from reactor.exchanges.binance.orders import ROWS_MAX, order_codec
from reactor.exchanges.binance.rules import (
    LINES,
    ExchangeInfo,
    ProductLine,
    classify,
    exchange_info_url,
    read_exchange_info,
    read_server_ms,
    time_url,
)
from reactor.exchanges.binance.sign import signed_query, signer_of
from reactor.exchanges.venue import Credentials, Endpoints, Outcome, RestCall

REQUEST_TIME_S = 4.0  # Within the 5 s that a stop may take there is room for one patient try or two quick ones.
RECEIVE_WINDOW_MS = 5_000


@dataclass(frozen=True)
class ListedBalance:
    """What the venue says we have of one asset."""

    venue: int
    asset: str
    free_e8: int
    locked_e8: int


@dataclass(frozen=True)
class ListedPosition:
    """One futures position."""

    venue: int
    symbol: str
    quantity_e8: int  # signed, base asset
    entry_price: float
    unrealised_e8: int


@dataclass(frozen=True)
class Fees:
    """Commission of an account, as fractions · 1e8."""

    maker_e8: int
    taker_e8: int


@dataclass(frozen=True)
class ListedFunding:
    """One funding payment, in 1e-8 of its asset; > 0: received."""

    symbol: str
    time_ms: int  # the venue's
    asset: str
    amount_e8: int


class VenueDesk:
    """One venue, one key."""

    def __init__(self, session: aiohttp.ClientSession, endpoints: Endpoints, credentials: Credentials, ids: ClientIds) -> None:
        self.line: ProductLine = LINES[endpoints.venue]
        self.name = VENUE_NAMES[endpoints.venue]
        self._session = session
        self._endpoints = endpoints
        self.ids = ids
        self.codec = order_codec(endpoints.venue, endpoints, credentials, Instruments(()))  # It places nothing.
        self._api_key = credentials.api_key
        self._signer = signer_of(credentials)
        self.trouble = ""  # why `make` had no answer last time
        self.clock_offset_ms = 0  # venue − ours

    # -- public ---------------------------------------------------------------------------------------------

    async def synchronise(self) -> None:
        """Learns the venue's clock.

        Raises:
            OutcomeUnknown: it cannot be reached.
        """
        before = time.time_ns()
        body = await self._get(time_url(self.line, self._endpoints))
        after = time.time_ns()
        self.clock_offset_ms = read_server_ms(body) - (before + after) // 2_000_000

    async def exchange_info(self, symbols: Sequence[str], first_index: int, fees: Mapping[str, Fees]) -> ExchangeInfo:
        """The venue's rules for `symbols`, in their order.

        Raises:
            ConfigError: a symbol does not exist there, or cannot be traded by us.
        """
        body = await self._get(exchange_info_url(self.line, self._endpoints))
        info = read_exchange_info(self.line, body, symbols, first_index)
        problems = [f"{self.name}:{symbol}: the venue has no such symbol; check strategy.pairs" for symbol in info.missing]
        problems += [f"{self.name}:{text}" for text in info.unusable]
        if problems:
            raise ConfigError(problems)
        charged = tuple(
            replace(row, maker_fee_e8=fees[row.symbol].maker_e8, taker_fee_e8=fees[row.symbol].taker_e8)
            for row in info.instruments
        )
        return replace(info, instruments=charged)

    # -- account --------------------------------------------------------------------------------------------

    async def balances(self) -> list[ListedBalance]:
        """What the account has. Futures: the wallet balance, nothing locked."""
        account = await self._signed("GET", self.line.balance_path, {})
        if not self.line.is_perpetual:
            return [
                ListedBalance(self.line.venue, row["asset"], parse_e8(row["free"]), parse_e8(row["locked"]))
                for row in account["balances"]
            ]
        return [ListedBalance(self.line.venue, row["asset"], parse_e8(row["walletBalance"]), 0) for row in account["assets"]]

    async def positions(self) -> list[ListedPosition]:
        """Futures positions that are not zero; nothing on spot."""
        if not self.line.positions_path:
            return []
        rows = await self._signed("GET", self.line.positions_path, {})
        found = [
            ListedPosition(
                self.line.venue,
                row["symbol"],
                parse_e8(row["positionAmt"]),
                float(row.get("entryPrice", 0)),
                parse_e8(row.get("unRealizedProfit", "0")),
            )
            for row in rows
        ]
        return [row for row in found if row.quantity_e8]

    async def funding_since(self, local_ms: int) -> list[ListedFunding]:
        """Funding payments from that time of our clock on; nothing on spot."""
        if not self.line.income_path:
            return []
        parameters: dict[str, str | int] = {"incomeType": "FUNDING_FEE", "limit": ROWS_MAX}
        parameters["startTime"] = local_ms + self.clock_offset_ms
        rows = await self._signed("GET", self.line.income_path, parameters)
        return [ListedFunding(row["symbol"], row["time"], row["asset"], parse_e8(row["income"])) for row in rows]

    async def fees(self, symbols: Sequence[str]) -> dict[str, Fees]:
        """What the venue charges this account, by symbol."""
        found: dict[str, Fees] = {}
        if not self.line.is_perpetual:
            rates = (await self._signed("GET", self.line.account_path, {})).get("commissionRates", {})
            fee = Fees(parse_e8(rates.get("maker", "0")), parse_e8(rates.get("taker", "0")))
            return dict.fromkeys(symbols, fee)
        for symbol in symbols:
            row = await self._signed("GET", f"{self.line.rest_root}/commissionRate", {"symbol": symbol})
            found[symbol] = Fees(parse_e8(row["makerCommissionRate"]), parse_e8(row["takerCommissionRate"]))
        return found

    # -- bytes ----------------------------------------------------------------------------------------------

    async def _get(self, url: str) -> bytes:
        status, body = await self._request("GET", url)
        if status != 200:
            raise self._refusal(status, body)
        return body

    async def _signed(self, method: str, path: str, parameters: Mapping[str, str | int]) -> Any:
        stamp = time.time_ns() // 1_000_000 + self.clock_offset_ms
        query = signed_query(self._signer, {**parameters, "recvWindow": RECEIVE_WINDOW_MS, "timestamp": stamp})
        status, body = await self._request(method, f"{self._endpoints.rest_url}{path}?{query}")
        if status != 200:
            raise self._refusal(status, body)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise RemoteProtocolError(f"{self.name}: {path} answered {body[:80]!r}") from None

    async def make(self, call: RestCall) -> tuple[int, Mapping[str, str], bytes]:
        """A request of the order codec: (status, headers, body); status 0: no answer, and `trouble` says why."""
        try:
            return await self._exchange(call.method, call.url, call.headers, call.body)
        except OutcomeUnknown as error:
            self.trouble = str(error)
            return 0, {}, b""

    async def _request(self, method: str, url: str) -> tuple[int, bytes]:
        status, _, body = await self._exchange(method, url, {"X-MBX-APIKEY": self._api_key}, b"")
        return status, body

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with self._session.request(
                method,
                yarl.URL(url, encoded=True),  # The query is signed as it stands: nobody may re-encode it.
                headers=headers,
                data=data or None,
                timeout=aiohttp.ClientTimeout(total=REQUEST_TIME_S),
            ) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknown(
                f"{self.name}: {self._endpoints.rest_url} cannot be reached ({_why(error)}); "
                "is the network up, and is the address in exchanges.binance right?"
            ) from None

    def _refusal(self, status: int, body: bytes) -> Exception:
        try:
            row = orjson.loads(body)
            code, text = int(row["code"]), str(row["msg"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            code, text = 0, body[:80].decode("utf-8", "replace") or f"HTTP {status}"
        verdict = classify(self.line, status, code, text)
        if verdict.outcome == Outcome.UNKNOWN:
            return OutcomeUnknown(f"{self.name}: {text} ({code or status})")
        if verdict.reason in (Reason.INVALID_KEY, Reason.BAD_SIGNATURE):
            return ConfigError(f"{self.name} refuses the API key: {text} ({code}). Check key, secret and its permissions.")
        return Rejected(verdict.reason, code, f"{self.name}: {text}")


def _why(error: Exception) -> str:
    return f"no answer within {REQUEST_TIME_S:g} s" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
