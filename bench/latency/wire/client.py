"""Our whole system as one client of a venue that measures: any mock of USD-M that streams bookTicker, serves REST, user stream
and ws-api on one port, and answers `order.place`. It orders at the bid of every tick whose bid is thicker than 5 (trigger.py).

    python bench/latency/wire/client.py PORT [auto|colocated|processes] [--set path=value]…

The config is load.yaml: one venue, the trigger on BookTop, our limits lifted by name; `MOCK` is what such a mock needs besides.
To be one more case of somebody's harness, this line is all it takes of one like `CASES = {name: (command, environment)}`:

    "crypto_trade": (["<checkout>/.venv/bin/python", "<checkout>/bench/latency/wire/client.py", "{port}"], {}),

Ends with SIGTERM. The venue of a measurement is gone by then, so there is nobody to confirm an ordered stop: after `STOP_S`
everything that was started here is killed.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
STOP_S = 1.2  # Harnesses kill after two seconds; then our children would be nobody's.
ROLES = ("feed-0", "collector", "prepost", "engine")
LAYOUTS = {
    "auto": (),  # what the system chooses on this host
    "colocated": (f"system.placement.colocate=[[{', '.join(ROLES)}]]",),
    "processes": ("system.placement.layout=processes",),
}
MOCK = (
    "exchanges.binance.feed_sessions.redundancy=1",  # It streams to the connection that came last.
    "strategy.settlement.asks_funding=false",  # It has no /fapi/v1/income.
)


def command(port: int, layout: str, folder: Path, more: list[str]) -> list[str]:
    """How the system is started. A simulated exchange has spot on one port and USD-M on the next: so base_url is PORT − 1."""
    settings = (
        f"exchanges.binance.simulated.base_url=http://127.0.0.1:{port - 1}",
        f"system.instance=wire-{port}",
        f"system.directory={folder}",
        *MOCK,
        *LAYOUTS[layout],
        *more,
    )
    words = [sys.executable, "-m", "reactor", "run", "--plain", "--config", str(HERE / "load.yaml")]
    return words + [word for setting in settings for word in ("--set", setting)]


def main() -> int:
    """Until the session ends, or somebody ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("layout", nargs="?", choices=tuple(LAYOUTS), default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="more settings for the system")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        words = command(options.port, options.layout, Path(folder), options.set)
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        session = subprocess.Popen(words, cwd=ROOT, env=environment, start_new_session=True)

        def end(_number: int, _frame: FrameType | None) -> None:
            session.terminate()
            signal.setitimer(signal.ITIMER_REAL, STOP_S)

        def kill(_number: int, _frame: FrameType | None) -> None:
            for pid in psutil.pids():  # The supervisor first. Roles lead process groups of their own, but are of its session.
                with contextlib.suppress(ProcessLookupError):
                    if os.getsid(pid) == session.pid:
                        os.kill(pid, signal.SIGKILL)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        signal.signal(signal.SIGALRM, kill)
        code = session.wait()
        kill(signal.SIGALRM, None)
        return code


if __name__ == "__main__":
    sys.exit(main())
