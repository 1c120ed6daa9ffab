"""feed: public market data → books → signals and quotes. One of N, sharded by venue and symbol.

    venue ══ session 0 ══╗                     ┌─▶ signals/ (board.py) ──▶ signal ring NORMAL (conflating) ─▶ collector
          ══ session 1 ══╬═▶ books.py ─▶ tops ─┼─▶ host.py (strategies) ─▶ signal ring URGENT (lossless)  ─▶ collector
             (sessions.py)║                    └─▶ publish.py ─▶ book-top rows · market-data topic
                          ╚═ REST: snapshots and clock (inquiry.py), book check (check.py)

owns      public sessions, local books, signals, hosted strategies
reads     venues' public streams and REST; prepost's position rows; its own order-response ring; control messages
writes    its signal ring, its rows of the book-top segment, the market-data topic

Invariants
    a top is `is_synchronised` only while its book is exactly the venue's and data is fresh; no signal is made from another
    every frame counts once, however many sessions bring it
    nothing a venue sends can end the process: it is counted, logged (sampled), and the feed goes on
    a full ring never loses a grid; a state-like signal waits as its newest self

When it dies: its signals go stale within their age limits and stop triggering; the supervisor restarts it, it fetches its books
anew. When prepost dies: positions stand still, signals go on. When one session dies: the other carries on.
"""
