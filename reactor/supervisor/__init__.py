"""The supervisor: one session of one instance, from an empty run directory to the report. It trades nothing and lives longest.

    survey ─▶ plan ─▶ crew (start, watch, restart) ─▶ stop: drain, confirm, leave ─▶ final report
                        ▲ operator_requests (control)      │
                        │                                   ▼
                     processes                     venue_desk, cancel_all: its own line to the venue

    session.py     the whole way                       lifecycle.py   what may happen to a role, and the stop (pure tables)
    survey.py      keys, addresses, instruments        crew.py        the processes of the plan
    processes.py   spawn, reap, last words             instance.py    name, lock, leftovers
    control.py     the operator's socket               operator_requests.py   and what it may ask
    exchange_process.py  the simulated exchange        log_file.py    JSON lines of everybody
    venue_desk.py  REST of its own                     cancel_all.py  ours go, foreign ones stay, the venue confirms
    final_report.py books.py   figures and comparison  watch.py bench.py profile.py   metrics page, tools

Owns      the run directory, the processes, the wake-up descriptors, the control rings, the log file, the stop.
Reads     every role's metrics row, the risk row, the log rings, the exchange's pipe.
Writes    the plan, the control rings, the log, the report.
Invariants
    the exit code is 0 only if the venue itself confirmed that nothing of ours is open, positions and balances in our books are
        its own to the last unit, and no role gave up; 1 orders of ours may be open, 2 config, 3 a role gave up, 4 books differ
    a foreign order is never touched
    no child outlives it, and none of its children sees a secret that it does not need
When it dies: every child notices, the engine cancels ours, all leave; the next start finds a clean host.
"""
