"""The journal: what happened, in SQLite. Append, replay, look it up.

    prepost ── journal ring ──▶ scribe.py ── a batch ──▶ store.py ── rows.py ──▶ journal.sqlite (WAL)
                 ▲              (thread)                        (message → row)           │
                 └── released only after the commit ◀── role.py: start, alarm, stop       ▼
                                                             history.py: prepost's start, `crypto-trade history`

Owns    the SQLite file of one instance, and its lock.
Reads   the journal rings of the hot roles.
Writes  what any SQLite tool can read: orders, fills, pairs, funding, quota, operator_actions, epochs, balances (schema.py).

    schema.py    tables, version, where the file is, who may open it
    rows.py      one journal message → one row
    store.py     batches into transactions; what a disk can do wrong
    scribe.py    rings in, batches out, in a thread of its own
    role.py      the door: starts and stops that thread, tells what became of its batches, the alarm
    history.py   what is remembered: for prepost at its start, for people
    checkpoint.py  where a start may begin to read

Invariants
  - A message is released only after the transaction that holds it was committed. A writer that dies is followed by one that
    sees it again; what is seen twice is written once (unique keys). A transaction is there whole, or not at all.
  - The hot path never waits for the disk. The scribe has a thread of its own, so a slow disk is no missing heartbeat either.
  - A disk that is full or slow is an alarm in the metrics (prepost reads it and opens nothing more), never a loss: rows wait in
    the batch and in the ring, and are tried again.
  - The epoch is on the disk (fsync) before the first order of that epoch can be made.

fsync, by name (`JournalParameters.fsync`)
    checkpoint  a commit hands its rows to the operating system within `delay_ms_max`; the disk has them at the next checkpoint,
                a second later, in a thread that no commit waits for. The death of any process loses nothing. A power cut may
                lose that second: never part of a transaction, and reconciliation gets it back from the venue. A disk that does
                not have them after `checkpoint_slow_ms` is an alarm. The default.
    commit      every commit waits (in its thread) until the disk has it: a power cut loses nothing that was committed.

When it dies, the ring fills and is read by the successor. Meanwhile prepost sees no heartbeat and reduces only.
"""
