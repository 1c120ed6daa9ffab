"""From a YAML file to what each process is told.

    profile ─┐
    file ────┼─▶ load.py ─▶ schema.py ─▶ contradictions.py ─▶ Config ─┐
    --set … ─┘   merges     types        sentences                    ├─▶ assemble.py ─▶ Plan (plan.py), a pickle of mode 0600
                              instruments, addresses, host.py ────────┘   placement.py: which role runs where

    system.py      parameters of the yard       describe.py   a config as commented YAML
    secrets.py     keys, and their way to the process that needs them       profiles/     what ships

Only the supervisor's process has pydantic and YAML: the rooms are handed frozen dataclasses, and a process imports the rooms
that it hosts. Invariants: an unknown key, a wrong type or a contradiction is refused before anything starts, all of them at
once and each with its remedy; a later source wins over an earlier one; no secret stands in a config, a plan or a log; the
same config, instruments and host give the same plan.
"""
