"""A market of our own, when there is no data: the simulated exchange's generator, recorded and converted like any other.

The exchange runs on a virtual clock, as fast as the machine can. What it says goes into a capture, each line with the time at
which it would have been received (a few ms later, from the same dice); the capture goes the way of every capture. The same
seed gives the same file.
"""

import math
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from isal import igzip

from reactor.data.convert.collector import convert_collector
from reactor.data.npz import save_npz
from reactor.domain.errors import ConfigError, DataError
from reactor.sim.events import DepthEvent, DepthView, TradeEvent
from reactor.sim.exchange import SimulatedExchange
from reactor.sim.faces import usdm_public as public
from reactor.sim.generator import COINS

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
START_NS: Final = 1_723_161_600 * SECOND  # 9 August 2024, when the captures that it imitates were made.
STEP_NS: Final = 5 * MS
SNAPSHOT_AFTER_NS: Final = SECOND // 2
SNAPSHOT_LEVELS: Final = 1000
LATENCY_MS: Final = 2.0  # median; BTCUSDT's feed had 3 to 4 ms, a host near the venue has less
LATENCY_SIGMA: Final = 0.35
DURATION_MAX_S: Final = 86_400.0


def generate(symbol: str, duration_s: float, seed: int, path: Path) -> Path:
    """Writes the event file `path` (npz) of a generated USD-M market. Returns it.

    Raises:
        ConfigError: the generator does not know the symbol, or the duration makes no sense.
        DataError: the file cannot be written.
    """
    if symbol not in COINS:
        raise ConfigError(f"--symbol {symbol}: the generator knows {', '.join(COINS)}")
    if not 10 <= duration_s <= DURATION_MAX_S:
        raise ConfigError(f"--seconds {duration_s:g}: of market, from 10 to {DURATION_MAX_S:g}")
    with tempfile.TemporaryDirectory(prefix="crypto_trade-market-") as directory:
        capture = Path(directory) / f"{symbol.lower()}_20240809.gz"
        try:
            with igzip.open(capture, "wb", compresslevel=1) as file:  # type: ignore[no-untyped-call]
                for line in _lines(symbol, round(duration_s * SECOND), seed):
                    file.write(line)
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(str(path.parent), f"the generated market cannot be written: {error.strerror}") from None
        events, _ = convert_collector([capture])
        save_npz(path, events)
    return path


def _lines(symbol: str, duration_ns: int, seed: int) -> Iterator[bytes]:
    """Capture lines in the order in which they are received."""
    dice = random.Random(f"{symbol}-{seed}-latency")
    exchange = SimulatedExchange.open(START_NS, symbols=(symbol,), seed=seed)
    for speed_ms in (100, 250, 500):
        exchange.usdm.want_depth(symbol, speed_ms, False)
    name, now_ns, received_ns, has_snapshot = symbol.lower(), START_NS, START_NS, False
    while now_ns < START_NS + duration_ns:
        now_ns += STEP_NS
        exchange.advance(now_ns)
        exchange.spot.take_events()
        for event in exchange.usdm.take_events():
            if isinstance(event, DepthEvent) and event.speed_ms == 0:
                stream, payload = "depth@0ms", public.depth_message(event, MS)
            elif isinstance(event, TradeEvent):
                stream, payload = "trade", public.trade_message(event, MS)
            else:
                continue
            received_ns = max(received_ns, event.event_ns + _latency_ns(dice))
            yield b'%d {"stream":"%s@%s","data":%s}\n' % (received_ns, name.encode(), stream.encode(), payload)
        if not has_snapshot and now_ns >= START_NS + SNAPSHOT_AFTER_NS:
            has_snapshot = True
            view = exchange.usdm.depth(symbol, SNAPSHOT_LEVELS)
            assert isinstance(view, DepthView), "the symbol is listed"
            received_ns = max(received_ns, now_ns + _latency_ns(dice))
            time_ms = now_ns // MS
            yield b"%d %s\n" % (received_ns, public.depth(view, exchange.usdm.symbols[symbol], time_ms, time_ms))


def _latency_ns(dice: random.Random) -> int:
    return round(LATENCY_MS * MS * math.exp(dice.gauss(0.0, LATENCY_SIGMA)))
