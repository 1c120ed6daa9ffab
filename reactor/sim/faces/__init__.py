"""The exchange's faces: what a venue shows to its clients, byte for byte.

    requests, frames ──▶ face (one class per venue) ──▶ responses, frames
                           │            ▲
                     orders│            │events
                           ▼            │
                         the core (venue, matching, accounts, market)

    request      one REST request and the reading of its parameters     refusal   how a venue says no
    keys         who signs with what, clocks, HMAC                      signatures  Ed25519 and RSA, where a key is one
    limits       weight, orders, bans
    api          route, count, authenticate, handle, render             history   candles and aggregate trades
    message_api  the WebSocket API: sessions, logon, user events (spot)
    streams      subscriptions: who gets which market message           face      the verbs of every face
    listen_keys  user events (USD-M)                                    algo_orders  conditional orders (USD-M)
    front        sockets and requests, alike for both           market_streams, market_questions, public   the market, alike
    spot, usdm   the two faces; beside each: _market (what anybody may ask), _account (what an account may ask), _info
                 (exchangeInfo), _streams (which names there are), _public and _private (JSON, field by field): what differs

Owns: wire formats, signatures and clocks, parameter rules, rate limits, stream subscriptions, listen keys, user events.
Reads and writes: the core's books, accounts and orders, through their methods.
Invariants: no socket, clock, randomness or file in here. Time is an argument, `now_ns`, and it is always the exchange's own
wall clock (ns since 1970), because everything a venue promises is said in its own time. Sockets are objects with
`send` and `close`, given by whoever plays the network (reactor/sim/server.py, reactor/sim/world.py). No exception leaves a
face for anything that a client can send.
When it dies: the whole exchange is gone; it keeps nothing on disk.
"""
