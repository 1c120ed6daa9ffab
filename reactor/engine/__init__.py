"""The engine: everything private with a venue. It sends what prepost decided and tells what became of it.

    command ring ─▶ role ─▶ requests ─▶ order sessions ──▶ venue
                      │       (router: race, failover)      │
                      ├─▶ account: queries over REST ───────┤
                      │                                     │
    report ring ◀── reports ◀── in_flight ◀── answers ◀─────┤
                                                ▲           │
                                                └── user streams

Owns   order sessions, user-data streams, account queries, the clock offset and the request budget of each venue.
Reads  the command ring. Writes the report ring. Keeps no trading state: what it remembers about an order is only what its
       reports need to carry the decision's stamps on.

Invariants
    a place goes to a venue at most once, unless the config asks for copies by a name that says what may happen
    NOT_SENT is said only when provably nothing left; everything else that nobody answered is OUTCOME_UNKNOWN
    "no such order" is said only when the venue said it
    a full report ring stops the commands, never a report
    nothing that was queued before a restart is sent after it

When it dies, the supervisor cancels ours over REST. When prepost falls silent, it sends nothing new and cancels ours itself.
"""
