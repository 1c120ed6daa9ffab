"""What both product lines print alike of books, trades and tickers: the fields that their rows and messages share.

Quoted numbers are strings because the venue quotes them; times are integers in ms or µs (`unit`: ns per time unit).
"""

from collections.abc import Callable
from typing import Any, Final

from reactor.sim.events import BookTickerView, DayView, Levels, PublicTrade
from reactor.sim.symbols import SymbolRules, amount_text

ZERO: Final = "0.00000000"
Time = Callable[[int], int]  # ns → what the client wants


def levels(rules: SymbolRules, rows: Levels) -> str:
    """`["price","quantity"],…` without the outer brackets."""
    prices, quantities = rules.price_texts, rules.quantity_texts
    return ",".join([f'["{prices[ticks]}","{quantities[lots]}"]' for ticks, lots in rows])


def flag(value: bool) -> str:
    """A boolean in JSON text."""
    return "true" if value else "false"


def book_ticker_fields(view: BookTickerView) -> dict[str, Any]:
    """Of GET ticker/bookTicker."""
    rules = view.rules
    return {
        "symbol": rules.symbol,
        "bidPrice": rules.price_text(view.bid_ticks),
        "bidQty": rules.quantity_text(view.bid_lots),
        "askPrice": rules.price_text(view.ask_ticks),
        "askQty": rules.quantity_text(view.ask_lots),
    }


def trade_fields(row: PublicTrade, rules: SymbolRules, time: Time, quote_places: int) -> dict[str, Any]:
    """Of GET trades."""
    return {
        "id": row.trade_id,
        "price": rules.price_text(row.price_ticks),
        "qty": rules.quantity_text(row.quantity_lots),
        "quoteQty": amount_text(rules.notional_e8(row.price_ticks, row.quantity_lots), quote_places),
        "time": time(row.trade_ns),
        "isBuyerMaker": row.buyer_is_maker,
    }


def day_prices(day: DayView, quote_places: int) -> dict[str, Any]:
    """Of GET ticker/24hr: what a MINI ticker has besides its times."""
    rules = day.rules
    return {
        "openPrice": rules.price_text(day.open_ticks),
        "highPrice": rules.price_text(day.high_ticks),
        "lowPrice": rules.price_text(day.low_ticks),
        "lastPrice": rules.price_text(day.last_ticks),
        "volume": rules.quantity_text(day.volume_lots),
        "quoteVolume": amount_text(day.quote_e8, quote_places),
    }


def day_changes(day: DayView) -> dict[str, Any]:
    """Of GET ticker/24hr: how the price has moved."""
    change = day.last_ticks - day.open_ticks
    return {
        "priceChange": day.rules.price_text(change),
        "priceChangePercent": percent_text(change, day.open_ticks),
        "weightedAvgPrice": average_text(day),
        "lastQty": day.rules.quantity_text(day.last_lots),
    }


def day_times(day: DayView, time: Time) -> dict[str, Any]:
    """Of GET ticker/24hr: from when to when, and of which trades."""
    return {
        "openTime": time(day.open_ns),
        "closeTime": time(day.close_ns),
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": trade_count(day),
    }


def mini_ticker(day: DayView, event_time: int, quote_places: int) -> dict[str, Any]:
    """`@miniTicker`."""
    rules = day.rules
    return {
        "e": "24hrMiniTicker",
        "E": event_time,
        "s": rules.symbol,
        "c": rules.price_text(day.last_ticks),
        "o": rules.price_text(day.open_ticks),
        "h": rules.price_text(day.high_ticks),
        "l": rules.price_text(day.low_ticks),
        "v": rules.quantity_text(day.volume_lots),
        "q": amount_text(day.quote_e8, quote_places),
    }


def ticker(day: DayView, event_time: int, time: Time, quote_places: int) -> dict[str, Any]:
    """`@ticker`, as far as it is the same."""
    rules = day.rules
    change = day.last_ticks - day.open_ticks
    return {
        **mini_ticker(day, event_time, quote_places),
        "e": "24hrTicker",
        "p": rules.price_text(change),
        "P": percent_text(change, day.open_ticks),
        "w": average_text(day),
        "Q": rules.quantity_text(day.last_lots),
        "O": time(day.open_ns),
        "C": time(day.close_ns),
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": trade_count(day),
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
