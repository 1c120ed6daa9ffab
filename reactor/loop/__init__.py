"""The machinery of time: shards, roles, links, waiting, clock, counters, log.

    shard.py      one process: pass, sleep, heartbeat, end
    role.py       what a role promises to its shard
    link.py       lanes and backpressure on top of a ring
    wait.py       spin, hybrid, block: a pure decision     pressure.py  whether others wait for a core
    scheduler.py  what a process asks of the kernel's: its core, its turn
    clock.py      the two clocks        timers.py    periodic work inside a pass
    counters.py   life sign, counters, latency spans        log.py    records that never block

Invariants: nothing in a pass blocks; a heartbeat is at most a few milliseconds old while the process is healthy.
When a shard dies its rings stay: the supervisor starts it again on the same eventfds.
"""
