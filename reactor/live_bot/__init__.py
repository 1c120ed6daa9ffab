"""live_bot: hftbacktest's strategies, unchanged, live. One process per bot, one more producer among the N.

    feed ──market messages──▶ ┌───────────────────────────┐
                              │ @njit def strategy(hbt, …)│ ──orders, cancels──▶ collector ─▶ prepost ─▶ engine
    prepost ──responses─────▶ │   while hbt.elapse(…) == 0│     (signal ring)
            ──positions─────▶ └───────────────────────────┘
                                hbt: books, own orders, waiting, heartbeat, all in C (cffi_build/src/live_bot.c)

    role.py      the door: the process; its main thread meets links, signals and the end, the strategy has a thread of its own
    core.py      the C bot and the memory it lives in
    surface.py   what the strategy holds in its hands: the calls of hftbacktest's bots and backtests, as Numba classes
    strategy.py  loads the user's function, gives each of its parameters a value, compiles it without the interpreter's lock
    records.py   the `recorder` of the tutorials, for ever and without an end: the last rows are kept and saved at the end
    counters.py  what it counts                     parameters.py  what a trader may set

Owns      the order table of its strategy (user's id ↔ ours), its copies of the books, the records.
Reads     its market rings (one per feed), its response ring, prepost's position rows, control.
Writes    its signal ring, its metrics.

What the strategy sees
    Between two waits nothing moves: it sees one moment. A book that cannot be believed (gap, silence) is an empty depth:
    best_bid is NaN, as in hftbacktest where there is none; the tutorials then place nothing and cancel what rests.
    `position` is the account's on that instrument, as prepost counts it; balance, trades and volume are of its own fills.
    Orders carry the user's ids. A price or quantity that is not on the grid is refused (20, 21), never rounded away; what our
    risk rules or the venue refuse becomes an order with status REJECTED (EXPIRED where post-only would have taken). While the
    desk refuses everybody (kill switch, books not compared, order rate) a submit answers 23 and is not sent.
    modify() is cancel and place under the same id: no venue's amendment, so the place in the queue is lost.
    Stop arrives as 1 from elapse and the other waits: "the end of the data".

Invariants
    - No order leaves but through prepost's risk; a resting order is a rung (quotes_max, no cooldown), a taking one is not.
    - The strategy's thread holds the bot's lock but while it sleeps in a wait; everybody else touches it under the lock.
    - Inside a wait no interpreter is needed, and none is held.

When it dies, hangs, raises or returns, its orders go: by itself if it can, by prepost otherwise, which watches its heartbeat.
The session goes on; a dead process is started again, with an empty table and the account's position.
"""
