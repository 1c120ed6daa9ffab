"""Binance Spot on the wire, what everybody sees: books, trades, tickers; by REST and by stream.

Quoted numbers are strings because the venue quotes them; times are integers in ms or µs (`unit`: ns per time unit).
"""

from collections.abc import Callable
from typing import Any, Final

from reactor.sim.events import (
    AggregateTradeEvent,
    BookTickerEvent,
    BookTickerView,
    DayView,
    DepthEvent,
    DepthView,
    Levels,
    PublicTrade,
    TradeEvent,
)
from reactor.sim.symbols import SymbolRules, amount_text

ZERO: Final = "0.00000000"
Time = Callable[[int], int]  # ns → what the client wants


def levels(rules: SymbolRules, rows: Levels) -> str:
    """`["price","quantity"],…` without the outer brackets."""
    price, quantity = rules.price_text, rules.quantity_text
    return ",".join([f'["{price(ticks)}","{quantity(lots)}"]' for ticks, lots in rows])


def depth(view: DepthView, rules: SymbolRules) -> bytes:
    """GET depth, and `@depth5/10/20`."""
    return (
        f'{{"lastUpdateId":{view.last_update_id},"bids":[{levels(rules, view.bids)}],"asks":[{levels(rules, view.asks)}]}}'
    ).encode()


def book_ticker_row(view: BookTickerView) -> dict[str, Any]:
    """GET ticker/bookTicker."""
    rules = view.rules
    return {
        "symbol": rules.symbol,
        "bidPrice": rules.price_text(view.bid_ticks),
        "bidQty": rules.quantity_text(view.bid_lots),
        "askPrice": rules.price_text(view.ask_ticks),
        "askQty": rules.quantity_text(view.ask_lots),
    }


def public_trade(row: PublicTrade, rules: SymbolRules, time: Time) -> dict[str, Any]:
    """GET trades."""
    return {
        "id": row.trade_id,
        "price": rules.price_text(row.price_ticks),
        "qty": rules.quantity_text(row.quantity_lots),
        "quoteQty": amount_text(rules.notional_e8(row.price_ticks, row.quantity_lots)),
        "time": time(row.trade_ns),
        "isBuyerMaker": row.buyer_is_maker,
        "isBestMatch": True,
    }


def aggregate_row(row: AggregateTradeEvent, time: Time) -> dict[str, Any]:
    """GET aggTrades."""
    return {
        "a": row.aggregate_id,
        "p": row.rules.price_text(row.price_ticks),
        "q": row.rules.quantity_text(row.quantity_lots),
        "f": row.first_trade_id,
        "l": row.last_trade_id,
        "T": time(row.trade_ns),
        "m": row.buyer_is_maker,
        "M": True,
    }


def day_row(day: DayView, book: BookTickerView, time: Time, is_mini: bool) -> dict[str, Any]:
    """GET ticker/24hr, FULL or MINI."""
    rules = day.rules
    times: dict[str, Any] = {
        "openTime": time(day.open_ns),
        "closeTime": time(day.close_ns),
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": trade_count(day),
    }
    prices = {
        "openPrice": rules.price_text(day.open_ticks),
        "highPrice": rules.price_text(day.high_ticks),
        "lowPrice": rules.price_text(day.low_ticks),
        "lastPrice": rules.price_text(day.last_ticks),
        "volume": rules.quantity_text(day.volume_lots),
        "quoteVolume": amount_text(day.quote_e8),
    }
    if is_mini:
        return {"symbol": rules.symbol, **prices, **times}
    change = day.last_ticks - day.open_ticks
    return {
        "symbol": rules.symbol,
        "priceChange": rules.price_text(change),
        "priceChangePercent": percent_text(change, day.open_ticks),
        "weightedAvgPrice": average_text(day),
        "prevClosePrice": rules.price_text(day.open_ticks),
        "lastPrice": prices["lastPrice"],
        "lastQty": rules.quantity_text(day.last_lots),
        "bidPrice": rules.price_text(book.bid_ticks),
        "bidQty": rules.quantity_text(book.bid_lots),
        "askPrice": rules.price_text(book.ask_ticks),
        "askQty": rules.quantity_text(book.ask_lots),
        "openPrice": prices["openPrice"],
        "highPrice": prices["highPrice"],
        "lowPrice": prices["lowPrice"],
        "volume": prices["volume"],
        "quoteVolume": prices["quoteVolume"],
        **times,
    }


def trade_count(day: DayView) -> int:
    """How many trades the statistics hold."""
    return day.last_trade_id - day.first_trade_id + 1 if day.last_trade_id else 0


def percent_text(change: int, base: int) -> str:
    """A change in percent with three digits."""
    return f"{100 * change / base:.3f}" if base else "0.000"


def average_text(day: DayView) -> str:
    """Volume-weighted price, eight digits."""
    base_e8 = day.rules.base_e8(day.volume_lots)
    return amount_text(day.quote_e8 * 100_000_000 // base_e8) if base_e8 else ZERO


def trade_message(event: TradeEvent, unit: int) -> bytes:
    """`@trade`."""
    rules = event.rules
    return (
        f'{{"e":"trade","E":{event.event_ns // unit},"s":"{rules.symbol}","t":{event.trade_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"T":{event.trade_ns // unit},"m":{"true" if event.buyer_is_maker else "false"},"M":true}}'
    ).encode()


def aggregate_message(event: AggregateTradeEvent, unit: int) -> bytes:
    """`@aggTrade`."""
    rules = event.rules
    return (
        f'{{"e":"aggTrade","E":{event.event_ns // unit},"s":"{rules.symbol}","a":{event.aggregate_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"f":{event.first_trade_id},"l":{event.last_trade_id},'
        f'"T":{event.trade_ns // unit},"m":{"true" if event.buyer_is_maker else "false"},"M":true}}'
    ).encode()


def book_ticker_message(event: BookTickerEvent, unit: int) -> bytes:
    """`@bookTicker`: no `e`, `E`, `T`."""
    rules = event.rules
    return (
        f'{{"u":{event.update_id},"s":"{rules.symbol}",'
        f'"b":"{rules.price_text(event.bid_ticks)}","B":"{rules.quantity_text(event.bid_lots)}",'
        f'"a":"{rules.price_text(event.ask_ticks)}","A":"{rules.quantity_text(event.ask_lots)}"}}'
    ).encode()


def depth_message(event: DepthEvent, unit: int) -> bytes:
    """`@depth`: no `T`, no `pu`."""
    rules = event.rules
    return (
        f'{{"e":"depthUpdate","E":{event.event_ns // unit},"s":"{rules.symbol}",'
        f'"U":{event.first_update_id},"u":{event.last_update_id},'
        f'"b":[{levels(rules, event.bids)}],"a":[{levels(rules, event.asks)}]}}'
    ).encode()


def day_message(day: DayView, book: BookTickerView, event_time: int, time: Time, is_mini: bool) -> dict[str, Any]:
    """`@ticker` and `@miniTicker`."""
    rules = day.rules
    if is_mini:
        return {
            "e": "24hrMiniTicker",
            "E": event_time,
            "s": rules.symbol,
            "c": rules.price_text(day.last_ticks),
            "o": rules.price_text(day.open_ticks),
            "h": rules.price_text(day.high_ticks),
            "l": rules.price_text(day.low_ticks),
            "v": rules.quantity_text(day.volume_lots),
            "q": amount_text(day.quote_e8),
        }
    change = day.last_ticks - day.open_ticks
    return {
        "e": "24hrTicker",
        "E": event_time,
        "s": rules.symbol,
        "p": rules.price_text(change),
        "P": percent_text(change, day.open_ticks),
        "w": average_text(day),
        "x": rules.price_text(day.open_ticks),
        "c": rules.price_text(day.last_ticks),
        "Q": rules.quantity_text(day.last_lots),
        "b": rules.price_text(book.bid_ticks),
        "B": rules.quantity_text(book.bid_lots),
        "a": rules.price_text(book.ask_ticks),
        "A": rules.quantity_text(book.ask_lots),
        "o": rules.price_text(day.open_ticks),
        "h": rules.price_text(day.high_ticks),
        "l": rules.price_text(day.low_ticks),
        "v": rules.quantity_text(day.volume_lots),
        "q": amount_text(day.quote_e8),
        "O": time(day.open_ns),
        "C": time(day.close_ns),
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": trade_count(day),
    }
