"""The simulated exchange: Binance spot and USD-M of our own, protocol-true, on a generated, a recorded or a live market.

    generator | replay | live ──updates──▶ venue (spot, usdm) ──events──▶ faces ──frames──▶ sockets (server, world)
       strangers' levels             market: displayed book, ids,     JSON, signatures,
       and trades                    streams; matching: our orders,   limits, streams
                                     honest queue; accounts, margin       │
                                            ▲                             │
                                            └──────── orders ─────────────┘

Inside out, each file knows only those above it:

    symbols      what is listed, in ticks and lots          events      what a venue says: orders, fills, events, views
    updates      what a market source says                  accounts    balances and positions     margin   what they bind
    market       one symbol's displayed book and streams    matching    price-time, queue, self-trade prevention
    filters      what is refused, in which words            funding     index, mark, rates
    venue_market what anybody may ask                       venue       what the orders of both products share
    spot  usdm   the two venues                             usdm_wallet positions, funding, liquidation
    generator    a market made of dice                      replay      captures as a market
    frames       a venue's public frames as a market        live        a venue's live streams as a market
    exchange     both venues on one clock                   faults      one seed's plan of misbehaviour
    faces/       wire formats of both venues                parameters  what an operator may turn
    live_streams  the sockets behind a followed market      server      sockets and real time

Owns: the truth about every account and order at the simulated venue.
Reads: captures, if told to. Writes: nothing on disk.
Invariants: integers only, no unit is lost (tests/sim checks it); no file but server.py, sockets.py and live_streams.py
knows sockets or the time of day; the same seed and the same calls give the same exchange; update ids, trade ids and order ids
only grow.
When it dies: its clients reconnect to a new exchange that has forgotten everything, as nobody should rely on it.
"""
