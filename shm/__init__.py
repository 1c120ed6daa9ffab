"""Memory that processes share. Knows slots and bytes, never orders: liftable into any other project.

segment.py   where memory comes from: an iceoryx2 slice, or the heap (simulation, tests)
ring.py      one producer, one consumer, two lanes; claim/commit and peek/release in place
pool.py      preallocated objects with a free list
seqlock.py   one writer, any readers: state that others may watch
wake.py      sleeping without losing a wake-up
topic.py     one publisher, many subscribers, where losing a message is allowed
layout.py    a C struct → numpy dtype, IntEnum, slot view: the only code that knows how
"""
