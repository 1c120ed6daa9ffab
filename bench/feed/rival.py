"""A rival's handlers on the same frames, in its own environment: `<its python> bench/feed/rival.py cryptofeed|ccxt FRAMES`.

A frame goes in as the text that its own connection would hand over, and out comes its own book or ticker with its own callback
called, which does nothing. Snapshots are put where its REST request would have put them, outside of the time taken.
Prints one line of JSON: CPU ns per message, and the top of each book at the end, so that nobody gains by doing less.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from frames import SNAPSHOT, read


class Cryptofeed:
    """Its message handlers; callbacks for tickers and books."""

    def __init__(self) -> None:
        from cryptofeed.defines import L2_BOOK, TICKER
        from cryptofeed.exchanges import Binance, BinanceFutures
        from cryptofeed.symbols import Symbols

        names = (("BTC-USDT", Binance), ("BTC-USDT-PERP", BinanceFutures))
        self.pairs = tuple(name for name, _ in names)
        self.feeds: list[Any] = []

        async def nothing(*_: Any) -> None:
            return None

        async def make(kind: Any, name: str) -> Any:  # It wants a running loop, though only to make a client.
            return kind(symbols=[name], channels=[TICKER, L2_BOOK], callbacks={TICKER: nothing, L2_BOOK: nothing})

        for name, kind in names:
            Symbols.set(kind.id, {name: "BTCUSDT"}, {"instrument_type": {}, "tick_size": {}})
            feed = asyncio.run(make(kind, name))
            feed._reset()
            self.feeds.append(feed)

    def snapshot(self, venue: int, payload: bytes) -> None:
        from decimal import Decimal

        from cryptofeed.types import OrderBook

        feed, pair, body = self.feeds[venue], self.pairs[venue], json.loads(payload)
        sides = [{Decimal(price): Decimal(size) for price, size in body[side]} for side in ("bids", "asks")]
        feed.last_update_id[pair] = body["lastUpdateId"]
        feed._l2_book[pair] = OrderBook(feed.id, pair, bids=sides[0], asks=sides[1])

    def handle(self, venue: int, payload: str) -> None:
        coroutine = self.feeds[venue].message_handler(payload, None, 0.0)
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise AssertionError("a handler waited for something")

    def tops(self) -> list[list[float]]:
        books = [feed._l2_book[pair].book for feed, pair in zip(self.feeds, self.pairs, strict=True)]
        return [[float(book.bids.index(0)[0]), float(book.asks.index(0)[0])] for book in books]


class Ccxt:
    """ccxt.pro's handlers, with the JSON parser that its client takes when orjson is there."""

    class Client:
        """What the handlers want of a connection."""

        def __init__(self, url: str) -> None:
            self.url = url
            self.subscriptions: dict[str, Any] = {}
            self.futures: dict[str, Any] = {}

        def resolve(self, *_: Any) -> None:
            return None

        def reject(self, error: Exception, *_: Any) -> None:
            raise error

    def __init__(self) -> None:
        import ccxt.pro
        import orjson

        self.loads = orjson.loads
        asyncio.set_event_loop(asyncio.new_event_loop())
        exchange = self.exchange = ccxt.pro.binance({"enableRateLimit": False})
        common = {"base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT", "id": "BTCUSDT", "active": True,
                  "limits": {}, "info": {}, "precision": {"price": 0.01, "amount": 0.00001}}  # fmt: skip
        spot = common | {
            "symbol": "BTC/USDT",
            "type": "spot",
            "spot": True,
            "swap": False,
            "contract": False,
            "linear": None,
            "inverse": None,
        }
        swap = common | {"symbol": "BTC/USDT:USDT", "type": "swap", "spot": False, "swap": True, "contract": True,
                         "linear": True, "inverse": False, "settle": "USDT", "settleId": "USDT"}  # fmt: skip
        exchange.set_markets([spot, swap])
        self.symbols = ("BTC/USDT", "BTC/USDT:USDT")
        urls = exchange.urls["api"]["ws"]
        self.clients = (self.Client(urls["spot"] + "/0"), self.Client("wss://fstream.binance.com/ws/0"))
        for symbol in self.symbols:
            exchange.orderbooks[symbol] = exchange.order_book({}, 5000)

    def snapshot(self, venue: int, payload: bytes) -> None:
        body, symbol = json.loads(payload), self.symbols[venue]
        parsed = self.exchange.parse_order_book(body, symbol)
        parsed["nonce"] = body["lastUpdateId"]
        self.exchange.orderbooks[symbol].reset(parsed)

    def handle(self, venue: int, payload: str) -> None:
        self.exchange.handle_message(self.clients[venue], self.loads(payload))

    def tops(self) -> list[list[float]]:
        books = [self.exchange.orderbooks[symbol] for symbol in self.symbols]
        return [[book["bids"][0][0], book["asks"][0][0]] for book in books]


def main() -> None:
    rival: Any = Cryptofeed() if sys.argv[1] == "cryptofeed" else Ccxt()
    frames = list(read(Path(sys.argv[2])))
    waiting: list[list[str] | None] = [[], []]  # deltas that came before their snapshot
    total, count = 0, 0
    clock, handle = time.thread_time_ns, rival.handle
    first = clock()
    for venue, payload in frames:
        if payload.startswith(SNAPSHOT):
            before = clock()
            rival.snapshot(venue, payload)
            for text in waiting[venue] or ():
                handle(venue, text)
            waiting[venue] = None
            total -= clock() - before
            continue
        early = waiting[venue]
        if early is not None and b"@depth" in payload[:64]:
            early.append(payload.decode())
            continue
        handle(venue, payload.decode())
        count += 1
    total += clock() - first
    print(json.dumps({"ns_per_message": total / count, "messages": count, "tops": rival.tops()}))


if __name__ == "__main__":
    main()
