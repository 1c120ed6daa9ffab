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
from reactor.sim.faces.spot_public import Time, average_text, levels, percent_text, trade_count
from reactor.sim.symbols import SymbolRules, amount_text

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


def book_ticker_row(view: BookTickerView, time: Time) -> dict[str, Any]:
    """GET ticker/bookTicker."""
    rules = view.rules
    return {
        "symbol": rules.symbol,
        "bidPrice": rules.price_text(view.bid_ticks),
        "bidQty": rules.quantity_text(view.bid_lots),
        "askPrice": rules.price_text(view.ask_ticks),
        "askQty": rules.quantity_text(view.ask_lots),
        "time": time(view.time_ns),
        "lastUpdateId": view.update_id,
    }


def public_trade(row: PublicTrade, rules: SymbolRules, time: Time) -> dict[str, Any]:
    """GET trades."""
    return {
        "id": row.trade_id,
        "price": rules.price_text(row.price_ticks),
        "qty": rules.quantity_text(row.quantity_lots),
        "quoteQty": amount_text(rules.notional_e8(row.price_ticks, row.quantity_lots), 2),
        "time": time(row.trade_ns),
        "isBuyerMaker": row.buyer_is_maker,
        "isRPITrade": False,
    }


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


def day_row(day: DayView, time: Time) -> dict[str, Any]:
    """GET ticker/24hr."""
    rules = day.rules
    change = day.last_ticks - day.open_ticks
    return {
        "symbol": rules.symbol,
        "priceChange": rules.price_text(change),
        "priceChangePercent": percent_text(change, day.open_ticks),
        "weightedAvgPrice": average_text(day),
        "lastPrice": rules.price_text(day.last_ticks),
        "lastQty": rules.quantity_text(day.last_lots),
        "openPrice": rules.price_text(day.open_ticks),
        "highPrice": rules.price_text(day.high_ticks),
        "lowPrice": rules.price_text(day.low_ticks),
        "volume": rules.quantity_text(day.volume_lots),
        "quoteVolume": amount_text(day.quote_e8, 2),
        "openTime": time(day.open_ns),
        "closeTime": time(day.close_ns),
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": trade_count(day),
    }


def trade_message(event: TradeEvent, unit: int) -> bytes:
    """`@trade`."""
    rules = event.rules
    return (
        f'{{"e":"trade","E":{event.event_ns // unit},"T":{event.trade_ns // unit},"s":"{rules.symbol}","t":{event.trade_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{rules.quantity_text(event.quantity_lots)}",'
        f'"X":"MARKET","m":{"true" if event.buyer_is_maker else "false"},"st":1,"ps":"{rules.symbol}"}}'
    ).encode()


def aggregate_message(event: AggregateTradeEvent, unit: int) -> bytes:
    """`@aggTrade`."""
    rules = event.rules
    quantity = rules.quantity_text(event.quantity_lots)
    return (
        f'{{"e":"aggTrade","E":{event.event_ns // unit},"s":"{rules.symbol}","a":{event.aggregate_id},'
        f'"p":"{rules.price_text(event.price_ticks)}","q":"{quantity}","nq":"{quantity}",'
        f'"f":{event.first_trade_id},"l":{event.last_trade_id},"T":{event.trade_ns // unit},'
        f'"m":{"true" if event.buyer_is_maker else "false"},"st":1,"ps":"{rules.symbol}"}}'
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


def day_message(day: DayView, event_time: int, time: Time, is_mini: bool) -> dict[str, Any]:
    """`@ticker` and `@miniTicker`."""
    rules = day.rules
    common = {
        "c": rules.price_text(day.last_ticks),
        "o": rules.price_text(day.open_ticks),
        "h": rules.price_text(day.high_ticks),
        "l": rules.price_text(day.low_ticks),
        "v": rules.quantity_text(day.volume_lots),
        "q": amount_text(day.quote_e8, 2),
    }
    tail = {"st": USDM, "ps": rules.symbol}
    if is_mini:
        return {"e": "24hrMiniTicker", "E": event_time, "s": rules.symbol, **common, **tail}
    change = day.last_ticks - day.open_ticks
    return {
        "e": "24hrTicker",
        "E": event_time,
        "s": rules.symbol,
        "p": rules.price_text(change),
        "P": percent_text(change, day.open_ticks),
        "w": average_text(day),
        "Q": rules.quantity_text(day.last_lots),
        **common,
        "O": time(day.open_ns),
        "C": time(day.close_ns),
        "F": day.first_trade_id,
        "L": day.last_trade_id,
        "n": trade_count(day),
        **tail,
    }
