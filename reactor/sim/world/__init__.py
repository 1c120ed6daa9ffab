"""The world: the whole session and the simulated exchange in one process, under one virtual clock, from one seed.

    world.py ── one seed: dice, exchange, house, faults, end ──▶ Verdict
       │
       ├─ time.py      virtual time, the host's clocks
       ├─ network.py   connections and requests between roles and faces, with every way to fail that a network has
       ├─ house.py     the roles as wiring.py builds them, on heap rings; deaths and restarts; the supervisor's part
       ├─ faults.py    what goes wrong and when
       ├─ checks.py    what must be true all the same
       └─ story.py     what a failing seed tells

Owns: nothing that trades. It plugs the same role classes and the same faces together that run in processes.
Invariants: no asyncio, no real time, no threads; the same seed gives the same digest on every machine.
When a check fails: the seed is run again with the story switched on; it fails at the same instant.
"""
