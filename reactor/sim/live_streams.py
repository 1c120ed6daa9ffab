"""The sockets behind a followed market: one connection per kind of stream, books over REST, again and again until closed.

exchangeInfo ──▶ rules ──▶ LiveMarket ◀──frames── public (and market) streams
                               ▲─────────books──── REST, whenever a connection is new
"""

import asyncio
import contextlib
import random
import time
from typing import Final

import aiohttp

from reactor.domain.errors import ConfigError, TradeError
from reactor.domain.messages import Venue
from reactor.exchanges.binance.rules import LINES, endpoints_at, endpoints_of, exchange_info_url, read_exchange_info
from reactor.exchanges.venue import Endpoints
from reactor.loop.log import Log
from reactor.net.backoff import Backoff, BackoffParameters
from reactor.sim.live import MARK_KIND, STREAM_KINDS, LiveMarket, LiveParameters, rules_of
from reactor.sim.symbols import Product, SymbolRules

VENUES: Final[dict[Product, int]] = {"spot": Venue.BINANCE_SPOT, "usdm": Venue.BINANCE_USDM}
REQUEST_S_MAX: Final = 10.0
BOOK_LEVELS: Final = 1000  # What both product lines serve.
BOOK_RETRY_S: Final = 0.2  # The first delta comes within 100 ms; a refused request is worth waiting for.
HEARTBEAT_S: Final = 20.0  # A silent connection is dropped after this and a pong that does not come.
REMEDY: Final = "is the network up, and is the venue reachable from here?"


class LiveStreams:
    """Follows what `parameters` name. `open()` first, `close()` last."""

    def __init__(self, parameters: LiveParameters, log: Log) -> None:
        self._parameters = parameters
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None

    async def open(self) -> LiveMarket:
        """Fetches the venue's rules and begins to follow. Returns the market.

        Raises:
            ConfigError: the venue cannot be reached, or does not list a symbol.
        """
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_S_MAX))
        try:
            rules: list[SymbolRules] = []
            for product in VENUES:
                rules += await self._rules(product)
        except BaseException:
            await self._http.close()
            raise
        if not rules:
            await self._http.close()
            raise ConfigError("a followed market needs symbols")
        market = self._market = LiveMarket(rules)
        for product in VENUES:
            symbols = [name.lower() for name in self._parameters.symbols(product)]
            if symbols:
                endpoints = self._endpoints(product)
                names = [f"{symbol}@{kind}" for symbol in symbols for kind in STREAM_KINDS[product]]
                self._follow(product, endpoints.public_url, names, has_books=True)
                if product == "usdm":
                    self._follow(
                        product, endpoints.market_url, [f"{symbol}@{MARK_KIND}" for symbol in symbols], has_books=False
                    )
        return market

    async def close(self) -> None:
        """Ends all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def _endpoints(self, product: Product) -> Endpoints:
        venue, base_url = VENUES[product], self._parameters.base_url
        if not base_url:
            return endpoints_of(venue, "live")
        head, _, port = base_url.rstrip("/").rpartition(":")
        if not port.isdigit():
            raise ConfigError(f"a followed market: {base_url!r}; write http://host:port")
        return endpoints_at(venue, f"{head}:{int(port) + (product == 'usdm')}")

    async def _rules(self, product: Product) -> list[SymbolRules]:
        symbols = self._parameters.symbols(product)
        if not symbols:
            return []
        line = LINES[VENUES[product]]
        info = read_exchange_info(line, await self._get(exchange_info_url(line, self._endpoints(product))), symbols)
        problems = [f"the venue lists no {product} {symbol}" for symbol in info.missing]
        problems += [f"{product} {text}" for text in info.unusable]
        if problems:
            raise ConfigError(problems)
        return [rules_of(instrument) for instrument in info.instruments]

    async def _get(self, url: str) -> bytes:
        assert self._http is not None, "opened before"
        try:
            async with self._http.get(url) as response:
                body = await response.read()
                if response.status != 200:
                    raise ConfigError(f"the followed market: {url} answers {response.status} {body[:80]!r}")
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ConfigError(
                f"the followed market: {url} cannot be reached ({str(error) or type(error).__name__}); {REMEDY}"
            ) from None

    def _follow(self, product: Product, url: str, names: list[str], *, has_books: bool) -> None:
        address = f"{url}/stream?streams={'/'.join(names)}"
        self._tasks.append(asyncio.get_running_loop().create_task(self._run(product, address, has_books)))

    async def _run(self, product: Product, address: str, has_books: bool) -> None:
        backoff = Backoff(BackoffParameters(), random.random)
        while True:
            why = await self._listen(product, address, has_books, backoff)
            if has_books:
                self._market.on_break(product)
            if not backoff.failures:  # Once per break, not once per try.
                self._log.warning("the followed market broke off; it stands still until it is back", product=product, why=why)
            await asyncio.sleep(backoff.next_delay_ns() / 1e9)

    async def _listen(self, product: Product, address: str, has_books: bool, backoff: Backoff) -> str:
        """One connection, until it ends. Returns why."""
        assert self._http is not None, "opened before"
        books: asyncio.Task[None] | None = None
        try:
            async with self._http.ws_connect(address, heartbeat=HEARTBEAT_S, max_msg_size=0, compress=0) as socket:
                if has_books:
                    books = asyncio.get_running_loop().create_task(self._fetch_books(product))
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        if backoff.failures:
                            self._log.info("the followed market is back", product=product)
                            backoff.reset()
                        self._market.on_frame(product, message.data, time.time_ns())
                return f"closed by the venue ({socket.close_code})"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return str(error) or type(error).__name__
        finally:
            if books is not None:
                books.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await books

    async def _fetch_books(self, product: Product) -> None:
        """The books of a connection that has just begun, each once its deltas come."""
        root = f"{self._endpoints(product).rest_url}{LINES[VENUES[product]].rest_root}"
        for symbol in self._parameters.symbols(product):
            while True:
                if self._market.wants_snapshot(product, symbol):
                    try:
                        body = await self._get(f"{root}/depth?symbol={symbol}&limit={BOOK_LEVELS}")
                    except TradeError as error:
                        self._log.warning("the followed market gives no book", product=product, symbol=symbol, why=str(error))
                    else:
                        if self._market.on_snapshot(product, symbol, body, time.time_ns()):
                            self._log.info("the book of the followed market is whole", product=product, symbol=symbol)
                            break
                await asyncio.sleep(BOOK_RETRY_S)
