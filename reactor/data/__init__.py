"""The yard's market data: recording what venues send, converting it for backtests, judging it.

    venue ─ sessions ─┐                                                             ┌▶ validate ▶ verdict
                      ├▶ recording ▶ captures (gz) ─┐                               │
    system ─ topic ───┘      └▶ gaps.jsonl          ├▶ convert ▶ weave ▶ events (npz, parquet)
    Tardis CSV ─────────────────────────────────────┘      └▶ Tardis CSV

Owns the files it writes; reads captures, Tardis CSVs, event files. `recording`, `venues` and the converters are cores;
`recorder`, `sources`, `capture_file` touch the world. Invariants: a file under its final name is whole (captures: whole gzip
members at every moment); each message is written once, and what may be missing is in gaps.jsonl; conversions equal
hftbacktest's byte for byte wherever theirs are right. When a recorder dies it loses at most `--flush` seconds and what waits
for a snapshot, which the next one reports; nothing that trades depends on it.
"""
