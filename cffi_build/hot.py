"""Compiles the Python that stands between a tick and an order: the same files, through mypyc, into `build/hot/`.

Python decides, and the files stay the only source: nothing else changes whether this has run or not, but a decision costs
about half. `reactor/compiled.py` takes the compiled modules only if every one of them was made from exactly the files that
lie there, by the same Python; after an edit everything is interpreted until this runs again (`make hot`, one minute).

A module may stand here if it is strictly typed and holds no dataclass that the configuration reads (those are in each
room's parameters.py: mypyc keeps no annotations for pydantic). A class that users inherit from says so:
`@mypyc_attr(allow_interpreted_subclasses=True)`.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "hot"
MANIFEST = "manifest.json"

HOT: dict[str, tuple[str, ...]] = {
    "collector": ("grids", "role", "table"),
    "collector/triggers": ("hedge", "mt", "mt_close", "quotes"),
    "factors": ("window",),
    "feed": ("board", "books", "publish", "role", "sessions"),
    "feed/signals": ("adaptive_spread", "book_top", "fixed_spread", "funding", "position_close"),
    "market": ("intake",),
    "prepost": (
        "balances", "desk", "hedging", "inquiry", "intake", "kill_switch", "orders", "pairs", "pipeline", "positions",
        "post", "pre", "publish", "quota", "quotes", "record", "reports", "restore", "risk", "role", "settle", "stop",
        "terms", "valuation",
    ),
    "engine": (
        "account", "answers", "connections", "health", "in_flight", "order_session", "private_line", "queries", "recovery",
        "refusals", "reports", "requests", "role", "router", "user_stream", "venue", "venue_clock",
    ),
    "exchanges/binance": ("answers", "cancel_all", "orders", "requests", "sign", "user"),
    "net": ("rate_limit", "websocket"),
    "loop": ("link", "shard", "timers", "wait"),
}  # fmt: skip

# Somebody else's warnings are no errors of ours. The modules lie in one library and call each other thousands of times per
# order: hidden, and so directly, not by way of a table that is cold between two orders.
MORE_ARGS = ("-w", "-fvisibility=hidden", "-fno-plt")

CONFIG = """\
[mypy]
python_version = 3.11
strict = True
ignore_missing_imports = True
"""


def sources() -> list[str]:
    """The files, relative to the project."""
    return [f"reactor/{room}/{name}.py" for room, names in HOT.items() for name in names]


def compile_hot(out: Path) -> None:
    """Compiles into `out`, which is replaced as a whole when all of it is there.

    Raises:
        SystemExit: mypyc or the C compiler refused (they have said why).
    """
    from mypyc.build import mypycify
    from setuptools import setup

    os.chdir(ROOT)
    files = sources()
    digests = {path[:-3].replace("/", "."): hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files}
    with tempfile.TemporaryDirectory(prefix=".build-hot-", dir=ROOT) as scratch:
        config = Path(scratch, "mypy.ini")
        config.write_text(CONFIG)
        words = io.StringIO()  # Advice about speed that is of no use to who only wants to trade.
        try:
            with contextlib.redirect_stdout(words):
                extensions: list[Any] = mypycify(
                    [f"--config-file={config}", f"--cache-dir={scratch}/cache", *files],
                    opt_level="1", debug_level="0", multi_file=True, group_name="crypto_trade", target_dir=scratch,
                )  # fmt: skip
        except SystemExit:
            print(words.getvalue(), file=sys.stderr)
            raise
        for extension in extensions:
            usual = [each for each in extension.extra_compile_args if each != "-Werror"]
            extension.extra_compile_args = [*usual, *MORE_ARGS]
        made = Path(scratch, "made")
        setup(
            name="crypto_trade_hot",
            packages=[],
            ext_modules=extensions,
            script_args=[
                "-q", "build_ext", f"--build-lib={made}", f"--build-temp={scratch}/temp", f"--parallel={os.cpu_count() or 1}"
            ],
        )  # fmt: skip
        (made / MANIFEST).write_text(json.dumps({"python": sys.implementation.cache_tag, "modules": digests}, indent=1))
        out.parent.mkdir(exist_ok=True)
        old = Path(scratch, "old")
        if out.exists():
            out.rename(old)
        shutil.move(made, out)


def is_compiled() -> bool:
    """True if everything in `OUT` was made from the files as they are."""
    sys.path.insert(0, str(ROOT))
    from reactor.compiled import COMPILED, state

    form, _, modules = state()
    return form == COMPILED and set(modules) == {path[:-3].replace("/", ".") for path in sources()}


if __name__ == "__main__" and not is_compiled():
    print("compiling the Python between tick and order (mypyc; a minute, once)", flush=True)
    compile_hot(OUT)
