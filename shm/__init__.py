"""Memory that processes share. Knows slots and bytes, never orders: liftable into any other project.

    segment.py     where memory comes from: an iceoryx2 slice, or the heap (simulation, tests)
    ring.py        one producer, one consumer, two lanes; claim/commit and peek/release in place
    pool.py        preallocated objects with a free list
    seqlock.py     one writer, any readers: state that others may watch
    histogram.py   how often which latency, in memory that others may watch
    wake.py        sleeping without losing a wake-up
    topic.py       publish and subscribe, where losing a message is allowed and never hidden
    clock.py       CLOCK_MONOTONIC, one clock for all processes of a host
    layout.py      a C struct → numpy dtype, IntEnum, slot view: the only code that knows how

Owns every name on the host that begins with `crypto_trade/<instance>/`. Invariants: each side writes only its own segment; a
partner's cursor is believed only if it can be true; one name has one living owner.

When a process dies, its segments stay mapped where they are in use, its names are removed at the next start of any process
(only the dead's), and its successor meets the survivor as drawn in cffi_build/include/ring.h. Owners and followers call
`refresh(now_ns)` about every 10 ms, or a successor is never found.
"""
