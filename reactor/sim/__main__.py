"""The simulated exchange as a child of the supervisor: `python -m reactor.sim <settings file> [ready fd [log fd]]`.

The settings are one JSON object with SimParameters' fields; unknown ones are refused. `crypto-trade sim` is the same for
humans.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from reactor.domain.errors import TradeError
from reactor.loop.clock import SystemClock
from reactor.loop.log import Log, StreamLog
from reactor.loop.scheduler import NICE_VENUE, give_way
from reactor.sim.parameters import read_settings
from reactor.sim.server import run_server

EXIT_CONFIG = 2
ORPHAN_TIME_S = 8.0  # The engine of a dead supervisor needs up to 5 s to cancel what is open here.


def leave_with(parent: int) -> None:
    """Ends this process some seconds after its parent has died."""
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(ORPHAN_TIME_S)
    os.kill(os.getpid(), signal.SIGTERM)


def log_to(fd: int) -> Log:
    """Log lines into the supervisor's pipe. If nobody reads it, lines are lost; the exchange goes on."""
    os.set_blocking(fd, False)
    return StreamLog(SystemClock(), "sim", stream=os.fdopen(fd, "w", encoding="utf-8"))


def main(arguments: list[str]) -> int:
    """The process. Returns its exit code; what went wrong is one sentence on stderr."""
    threading.Thread(target=leave_with, args=(os.getppid(),), daemon=True).start()
    give_way(NICE_VENUE)  # A venue is another machine: ours must not push the trader off the core when an order arrives.
    try:
        parameters = read_settings(json.loads(Path(arguments[0]).read_text()))
        log = log_to(int(arguments[2])) if len(arguments) > 2 else None
        run_server(parameters, log=log, ready_fd=int(arguments[1]) if len(arguments) > 1 else None)
    except TradeError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
