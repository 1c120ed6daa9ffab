"""Binance USD-M futures on the wire, what everybody sees: books, trades, marks, tickers; by REST and by stream.

Quoted numbers are strings because the venue quotes them; times are integers in ms or µs (`unit`: ns per time unit).
"""

from typing import Any, Final

import orjson

from reactor.sim.events import (
    AggregateTradeEvent,
    BookTickerEvent,
    BookTickerView,
    DayView,
    DepthEvent,
    DepthView,
    ForceOrderEvent,
    FundingRow,
    MarkPrice,
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
from reactor.sim.symbols import SymbolRules, amount_text

QUOTE_PLACES: Final = 2  # of amounts in the quote asset
USDM: Final = 1  # `st`: 1 = UM, 2 = CM, in every market message since 2026-06-30


def short_text(value_e8: int) -> str:
    """An amount without trailing zeros, as the streams print it: `0`, `9910`, `0.5`."""
    text = amount_text(value_e8)
    return text.rstrip("0").rstrip(".")


def depth(view: DepthView, rules: SymbolRules, event_time: int, transaction_time: int) -> bytes:
    """GET depth: with E and T."""
    return (
        f'{{"lastUpdateId":{view.last_update_id},"E":{event_time},"T":{transaction_time},'
        f'"bids":[{levels(rules, view.bids)}],"asks":[{levels(rules, view.asks)}]}}'
    ).encode()


def aggregate_row(row: AggregateTradeEvent, time: Time) -> dict[str, Any]:
    """GET aggTrades."""
    return {
        "a": row.aggregate_id,
        "p": row.rules.price_text(row.price_ticks),
        "q": row.rules.quantity_text(row.quantity_lots),
        "nq": row.rules.quantity_text(row.quantity_lots),
        "f": row.first_trade_id,
        "l": row.last_trade_id,
        "T": time(row.trade_ns),
        "m": row.buyer_is_maker,
    }


def premium_index(mark: MarkPrice, time: Time) -> dict[str, Any]:
    """GET premiumIndex. `lastFundingRate` is the current estimate, in spite of its name."""
    return {
        "symbol": mark.rules.symbol,
        "markPrice": amount_text(mark.mark_e8),
        "indexPrice": amount_text(mark.index_e8),
        "estimatedSettlePrice": amount_text(mark.settle_e8),
        "lastFundingRate": amount_text(mark.funding_rate_e8),
        "interestRate": amount_text(mark.interest_rate_e8),
        "nextFundingTime": time(mark.next_funding_ns),
        "time": time(mark.time_ns),
    }


def funding_rate(row: FundingRow, time: Time) -> dict[str, Any]:
    """GET fundingRate."""
    return {
        "symbol": row.rules.symbol,
        "fundingRate": amount_text(row.rate_e8),
        "fundingTime": time(row.funding_ns),
        "markPrice": amount_text(row.mark_e8),
        "rateType": "Regular",
    }


def trade_message(event: TradeEvent, unit: int) -> bytes:
    """`@trade`."""
    rules = event.rules
    return (
        f'{{"e":"trade","E":{event.event_ns // unit},"T":{event.trade_ns // unit},"s":"{rules.symbol}","t":{event.trade_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"X":"MARKET","m":{flag(event.buyer_is_maker)},"st":1,"ps":"{rules.symbol}"}}'
    ).encode()


def aggregate_message(event: AggregateTradeEvent, unit: int) -> bytes:
    """`@aggTrade`."""
    rules = event.rules
    quantity = rules.quantity_text(event.quantity_lots)
    return (
        f'{{"e":"aggTrade","E":{event.event_ns // unit},"s":"{rules.symbol}","a":{event.aggregate_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{quantity}","nq":"{quantity}",'
        f'"f":{event.first_trade_id},"l":{event.last_trade_id},"T":{event.trade_ns // unit},'
        f'"m":{flag(event.buyer_is_maker)},"st":1,"ps":"{rules.symbol}"}}'
    ).encode()


def book_ticker_message(event: BookTickerEvent, unit: int) -> bytes:
    """`@bookTicker`: `T` before `E`."""
    rules = event.rules
    return (
        f'{{"e":"bookTicker","u":{event.update_id},"s":"{rules.symbol}",'
        f'"b":"{rules.price_text(event.bid_ticks)}","B":"{rules.quantity_text(event.bid_lots)}",'
        f'"a":"{rules.price_text(event.ask_ticks)}","A":"{rules.quantity_text(event.ask_lots)}",'
        f'"T":{event.transaction_ns // unit},"E":{event.event_ns // unit},"st":1,"ps":"{rules.symbol}"}}'
    ).encode()


def depth_message(event: DepthEvent, unit: int) -> bytes:
    """`@depth`."""
    return _depth(event, levels(event.rules, event.bids), levels(event.rules, event.asks), unit)


def top_message(event: DepthEvent, view: DepthView, unit: int) -> bytes:
    """`@depth5/10/20`: the same fields, full top levels."""
    return _depth(event, levels(event.rules, view.bids), levels(event.rules, view.asks), unit)


def _depth(event: DepthEvent, bids: str, asks: str, unit: int) -> bytes:
    return (
        f'{{"e":"depthUpdate","E":{event.event_ns // unit},"T":{event.transaction_ns // unit},"s":"{event.rules.symbol}",'
        f'"U":{event.first_update_id},"u":{event.last_update_id},"pu":{event.previous_update_id},'
        f'"b":[{bids}],"a":[{asks}],"st":1,"ps":"{event.rules.symbol}"}}'
    ).encode()


def mark_price(mark: MarkPrice, event_ns: int, unit: int) -> dict[str, Any]:
    """`@markPrice`."""
    return {
        "e": "markPriceUpdate",
        "E": event_ns // unit,
        "s": mark.rules.symbol,
        "p": amount_text(mark.mark_e8),
        "ap": amount_text(mark.average_e8),
        "i": amount_text(mark.index_e8),
        "P": amount_text(mark.settle_e8),
        "r": amount_text(mark.funding_rate_e8),
        "T": mark.next_funding_ns // unit,
        "st": USDM,
        "ps": mark.rules.symbol,
    }


def force_order(event: ForceOrderEvent, unit: int) -> bytes:
    """`@forceOrder`."""
    row = event.order
    rules = row.rules
    return orjson.dumps(
        {
            "e": "forceOrder",
            "E": event.event_ns // unit,
            "o": {
                "s": rules.symbol,
                "S": row.side,
                "o": "LIMIT",
                "f": "IOC",
                "q": rules.quantity_text(row.quantity_lots),
                "p": short_text(row.average_price_e8),
                "ap": short_text(row.average_price_e8),
                "X": row.status,
                "l": rules.quantity_text(row.executed_lots),
                "z": rules.quantity_text(row.executed_lots),
                "T": row.updated_ns // unit,
            },
            "st": USDM,
            "ps": rules.symbol,
        }
    )


def book_ticker_row(view: BookTickerView, time: Time) -> dict[str, Any]:
    """GET ticker/bookTicker."""
    return {**book_ticker_fields(view), "time": time(view.time_ns), "lastUpdateId": view.update_id}


def public_trade(row: PublicTrade, rules: SymbolRules, time: Time) -> dict[str, Any]:
    """GET trades."""
    return {**trade_fields(row, rules, time, QUOTE_PLACES), "isRPITrade": False}


def day_row(day: DayView, time: Time) -> dict[str, Any]:
    """GET ticker/24hr."""
    return {"symbol": day.rules.symbol, **day_changes(day), **day_prices(day, QUOTE_PLACES), **day_times(day, time)}


def day_message(day: DayView, event_time: int, time: Time, is_mini: bool) -> dict[str, Any]:
    """`@ticker` and `@miniTicker`."""
    fields = mini_ticker(day, event_time, QUOTE_PLACES) if is_mini else ticker(day, event_time, time, QUOTE_PLACES)
    return {**fields, "st": USDM, "ps": day.rules.symbol}
