"""The strategies of the house on the past: the same objects that trade live, with hftbacktest as the exchange.

    files ─▶ market.py ─▶ exchange.py (hftbacktest: fees, latency, queue) ─▶ host.py ─▶ Run ─▶ ledger ─▶ figures ─▶ report
             checked      latency.py                                          │
                                                                  machine.py ─┤ one loop: wait, look, decide, difference, send
                                                                compiled.py ──┤ … with a kernel inside, all of it compiled
                                                                   plain.py ──┘ … with any Python object that decides

    parity.py      the same market through the live path (parity_live.py) and through here: equal, or where they part first
    generated.py   a market of our own, when there is no data        sweep.py    many runs: grids, dice, cores, clusters

Owns the folder it writes its report to; reads event files. Invariants: a strategy exists once and cannot tell that this is
not the market; a decision sees only what had arrived by its time; prices, quantities and money of ours are integers, and
hftbacktest's own floats are only compared with them; the same data and parameters give the same fills.

What differs from the live system is said here and in the report: no risk rules but the strategy's own, orders fill whole
(hftbacktest's exchange without partial fills), and an order on its way is withdrawn only after it was acknowledged.
"""
