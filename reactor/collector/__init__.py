"""The Signal Collector: signals in, decisions out.

    feed 0 ─┐ signals (URGENT: strategy orders, cancels, halts, quotes; NORMAL: state-like, conflated)
    feed N ─┤                 ┌──────────────────────────────┐
            ├──────────────▶  │ signal table                 │           ┌─ URGENT: close hedge cancel halt ─▶
    topic  ─┤ external.py     │  slot (type, instrument)     │ ─ fire ─▶ │                                    prepost
    ZeroMQ ─┘                 │   last, time, bound triggers │           └─ NORMAL: open quotes order ──────▶
    prepost ── responses ──▶  └──────────────────────────────┘

Owns    the signal table, the triggers (the user's own included), the external signal inputs.
Reads   N signal rings, the response ring of prepost, an iceoryx2 topic and ZeroMQ sockets of anybody.
Writes  the event ring.

    role.py      the door: rings in, rings out, what to read next
    table.py     slots, bindings, freshness; a slot per (type, instrument)
    triggers/    what may fire, and when again
    grids.py     the parts of a strategy's grid stay together
    external.py  signals from outside, in one binary format

Invariants
  - A stale signal never satisfies a trigger: a trigger sees a binding's last signal, or None when it is missing or too old.
  - A trigger fires on an edge and again only as its re-arm rule says.
  - Nothing is read that could not be passed on: when the event ring lacks space, the inputs stay where they are.
  - A user's trigger that raises, or writes an event that makes no sense, is switched off, counted and reported. The role lives.

When it dies, nothing new opens and prepost hedges by itself. A successor starts with an empty table and fills it from live
signals; what its predecessor had not released comes again, and prepost's ledger makes the second time harmless.
"""
