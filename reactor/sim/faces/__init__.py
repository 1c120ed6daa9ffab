"""The exchange's faces: what a venue shows to its clients, byte for byte.

    requests, frames ──▶ face (one class per venue) ──▶ responses, frames
                           │            ▲
                     orders│            │reports, market messages
                           ▼            │
                         the core (matching, accounts, market)

Owns: wire formats, signatures and clocks, parameter rules, rate limits, stream subscriptions, listen keys, user events.
Reads and writes: the core's books, accounts and orders, through their methods.
Invariants: no socket, clock, randomness or file in here. Time is an argument, `now_ns`, and it is always the exchange's own
wall clock (ns since 1970), because everything a venue promises is said in its own time. Sockets are objects with
`send`, `ping` and `close`, given by whoever plays the network (reactor/sim/server.py, reactor/sim/world.py).
When it dies: the whole exchange is gone; it keeps nothing on disk.
"""
