"""What a market looks like from the inside: books, their synchronisation, one stream out of several sessions, trades.

Pure: bytes, numbers and time come in as arguments. The feed keeps the trading system's books with it, the recorder its
captures' continuity, the strategies and the backtest their view.

    frame bytes ─▶ intake.py (decode, de-duplicate: C) ─▶ sync.py (snapshot + deltas, or a gap) ─▶ book.py (levels: C)
                                   └─▶ tops, trades.py, mark prices

Invariants: prices are ticks and quantities are lots; a book is used only while its synchronisation says so; nothing is
taken twice, however many sessions bring it.
"""
