"""Strategies: pure decisions over what they are shown. The same object trades live and is tested on the past.

    strategy.py             what a strategy sees and may want; strategies that are one function (KernelStrategy)
    obi_market_making.py    a grid around a price that leans with the book
    registry.py             names → strategies

    live:      feed/host.py       view ──▶ decide ──▶ grid ──▶ collector ──▶ prepost: difference, risk ──▶ engine
    backtest:  backtest/host.py   the same function compiled, the same difference, hftbacktest as the exchange

Nothing here knows the time, the wire or which of the two it is. A strategy that fails live is switched off and its quotes
are withdrawn; the feed goes on.
"""
