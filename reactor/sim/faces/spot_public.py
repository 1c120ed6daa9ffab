"""Binance Spot on the wire, what everybody sees: books, trades, tickers; by REST and by stream.

Quoted numbers are strings because the venue quotes them; times are integers in ms or µs (`unit`: ns per time unit).
"""

from typing import Any, Final

from reactor.sim.events import (
    AggregateTradeEvent,
    BookTickerEvent,
    BookTickerView,
    DayView,
    DepthEvent,
    DepthView,
    PublicTrade,
    TradeEvent,
)
from reactor.sim.faces.public import (
    Time,
    book_ticker_fields,
    day_changes,
    day_prices,
    day_times,
    flag,
    levels,
    mini_ticker,
    ticker,
    trade_fields,
)
from reactor.sim.symbols import SymbolRules

QUOTE_PLACES: Final = 8  # of amounts in the quote asset


def depth(view: DepthView, rules: SymbolRules) -> bytes:
    """GET depth, and `@depth5/10/20`."""
    return (
        f'{{"lastUpdateId":{view.last_update_id},"bids":[{levels(rules, view.bids)}],"asks":[{levels(rules, view.asks)}]}}'
    ).encode()


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


def trade_message(event: TradeEvent, unit: int) -> bytes:
    """`@trade`."""
    rules = event.rules
    return (
        f'{{"e":"trade","E":{event.event_ns // unit},"s":"{rules.symbol}","t":{event.trade_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"T":{event.trade_ns // unit},"m":{flag(event.buyer_is_maker)},"M":true}}'
    ).encode()


def aggregate_message(event: AggregateTradeEvent, unit: int) -> bytes:
    """`@aggTrade`."""
    rules = event.rules
    return (
        f'{{"e":"aggTrade","E":{event.event_ns // unit},"s":"{rules.symbol}","a":{event.aggregate_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"f":{event.first_trade_id},"l":{event.last_trade_id},'
        f'"T":{event.trade_ns // unit},"m":{flag(event.buyer_is_maker)},"M":true}}'
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


def book_ticker_row(view: BookTickerView) -> dict[str, Any]:
    """GET ticker/bookTicker."""
    return book_ticker_fields(view)


def public_trade(row: PublicTrade, rules: SymbolRules, time: Time) -> dict[str, Any]:
    """GET trades."""
    return {**trade_fields(row, rules, time, QUOTE_PLACES), "isBestMatch": True}


def day_row(day: DayView, book: BookTickerView, time: Time, is_mini: bool) -> dict[str, Any]:
    """GET ticker/24hr, FULL or MINI."""
    brief = {"symbol": day.rules.symbol, **day_prices(day, QUOTE_PLACES), **day_times(day, time)}
    if is_mini:
        return brief
    previous = {"prevClosePrice": day.rules.price_text(day.open_ticks)}
    return {**brief, **day_changes(day), **previous, **book_ticker_fields(book)}


def day_message(day: DayView, book: BookTickerView, event_time: int, time: Time, is_mini: bool) -> dict[str, Any]:
    """`@ticker` and `@miniTicker`."""
    if is_mini:
        return mini_ticker(day, event_time, QUOTE_PLACES)
    rules = day.rules
    return {
        **ticker(day, event_time, time, QUOTE_PLACES),
        "x": rules.price_text(day.open_ticks),
        "b": rules.price_text(book.bid_ticks),
        "B": rules.quantity_text(book.bid_lots),
        "a": rules.price_text(book.ask_ticks),
        "A": rules.quantity_text(book.ask_lots),
    }
