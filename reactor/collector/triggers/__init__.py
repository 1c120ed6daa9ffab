"""Triggers: what the desk has decided to do when signals say so.

    trigger.py   the interface and the edge rule            quotes.py    a strategy's grid, orders, cancels, halts
    mt.py        spread and funding agree → open            registry.py  triggers by name; the user's own from a file
    mt_close.py  take profit, stop loss, age, funding → close
    hedge.py     a required hedge → hedge, urgent

A trigger of your own is a class in a file that the config names:

    from reactor.collector.triggers.trigger import Binding, Trigger, set_leg
    from reactor.domain.messages import EventKind, OrderType, Side, SignalType

    class BuyTheWideSpread(Trigger):
        name = "buy_the_wide_spread"

        def __init__(self, context, instrument: str, spread_min: float) -> None:
            self.instrument = context.instruments.by_name(instrument)
            self.spread_min = spread_min

        def bindings(self):
            return (Binding(SignalType.BOOK_TOP, self.instrument.instrument_index, age_ms_max=500),)

        def evaluate(self, signals, now_ns):
            return 1 if signals[0].values[1] >= self.spread_min else 0

        def write(self, event, signals):
            event.header.kind = EventKind.ORDER
            set_leg(event, self.instrument.instrument_index)
            event.side = Side.BUY
            event.order_type = OrderType.LIMIT
            event.price_ticks = signals[0].bid_ticks
            event.quantity_lots = self.instrument.quantity_lots_min
"""
