"""Recorded captures as a market: `<local ns> <json>` lines, gzip or plain, several files and venues merged by receive time.

    files ─▶ read_lines() ─▶ decode() ─▶ heap merge ─▶ Replay: due_ns, levels in ticks ─▶ SimulatedExchange
             (damage: notice)  (foreign: notice)

- The venue is told by content. Binance spot and USD-M frames are played; COIN-M, Bybit, OKX, Hyperliquid and anything else
  is skipped with one notice per kind and file. A symbol outside the built-in table gets its tick and lot from what it shows.
- Time: one constant moves every time field so that the first line is due at the start of the session. Local stamps and
  exchange clocks may disagree by seconds (1.27 s in the captures we know), so the constant for `E`/`T` is the local one minus
  the largest lead of the exchange's clock in the first lines: nothing claims to be from the future. `speed` divides distances.
- Ids are the simulated venue's own and continuous: our orders trade in this market, so the recorded ids would not stay true.
- The book needs no snapshot: best prices come from bookTicker at once, levels as the diffs name them (frames.py).
- The end: when the first of the recorded venues has no more lines (a pair with one dead leg is no market), the replay says so
  and starts over, ids running on; with `loops=False` it holds the last book. Where all files are silent for more than ten
  seconds, the silence is skipped.
"""

import gzip
import heapq
import math
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from reactor.domain.errors import DataError
from reactor.domain.units import E8
from reactor.sim.events import Notices
from reactor.sim.frames import Frame, SymbolStream, decode
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS, Product, SymbolRules
from reactor.sim.updates import NEVER_NS, MarketUpdate

MS: Final = 1_000_000
GZIP_MAGIC: Final = b"\x1f\x8b"
LOOK_AHEAD_LINES: Final = 4_000  # Read once before the start: symbols, ticks, and how far the exchange's clock leads.
HOLE_NS_MAX: Final = 10_000 * MS  # Longer silence in all files is jumped.
STEP_BACK_NS_MAX: Final = 1_000 * MS  # Local stamps are monotone; an older one is the tail of an earlier session in the file.
NOTICES_PER_FILE_MAX: Final = 5
QUOTE_ASSETS: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY")


def capture_files(paths: Iterable[Path]) -> list[Path]:
    """All files under the given files and folders, sorted.

    Raises:
        DataError: a path does not exist, or there is no file at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files.extend(sorted(found for found in path.rglob("*") if found.is_file() and not found.name.startswith(".")))
        elif path.is_file():
            files.append(path)
        else:
            raise DataError(
                str(path), "there is no such capture: name a file of `<ns> <json>` lines (gzip or plain) or a folder"
            )
    if not files:
        raise DataError(
            ", ".join(map(str, paths)), "no capture files here: expected files of `<ns> <json>` lines, gzip or plain"
        )
    return files


def read_lines(path: Path, notices: Notices) -> Iterator[tuple[int, bytes]]:
    """(line number, line) of a capture; a damaged end is a notice, what was good before it is given."""
    number = 0
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == GZIP_MAGIC
        with gzip.open(path, "rb") if is_gzip else path.open("rb") as stream:
            for line in stream:
                number += 1
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        notices.warn(f"{path}:{number + 1}: the file is damaged from here on ({error}); playing what came before")


class _Rate:
    """Limits notices: the first few of a file are told, the rest counted."""

    def __init__(self, path: Path, notices: Notices) -> None:
        self._path = path
        self._notices = notices
        self._bad_lines = 0
        self._foreign: dict[str, int] = {}

    def garbage(self, number: int, error: Exception) -> None:
        self._bad_lines += 1
        if self._bad_lines <= NOTICES_PER_FILE_MAX:
            self._notices.warn(f"{self._path}:{number}: not a `<ns> <json>` line of a known form ({error}); skipped")

    def foreign(self, what: str, number: int) -> None:
        count = self._foreign.get(what, 0)
        self._foreign[what] = count + 1
        if count == 0:
            self._notices.add(f"{self._path}:{number}: {what} are not played by this exchange; skipped")

    def close(self) -> None:
        if self._bad_lines > NOTICES_PER_FILE_MAX:
            self._notices.warn(f"{self._path}: {self._bad_lines} damaged lines in all")


def read_frames(path: Path, notices: Notices, lines_max: int | None = None) -> Iterator[Frame]:
    """The playable frames of one file (of its first `lines_max` lines), in time order; everything else becomes notices."""
    rate = _Rate(path, notices)
    latest_ns = 0
    symbols: dict[Product, str] = {}
    for number, line in islice(read_lines(path, notices), lines_max):
        if not line.strip():
            continue
        try:
            frame = decode(line)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            rate.garbage(number, error)
            continue
        if isinstance(frame, str):
            rate.foreign(frame, number)
            continue
        if frame.local_ns < latest_ns - STEP_BACK_NS_MAX:
            rate.foreign("lines older than those before them (the tail of an overwritten file)", number)
            continue
        latest_ns = max(latest_ns, frame.local_ns)
        if frame.symbol:
            symbols[frame.product] = frame.symbol
        elif frame.product in symbols:
            frame = replace(frame, symbol=symbols[frame.product])
        else:
            rate.foreign("snapshots before the first named frame", number)
            continue
        yield frame
    rate.close()


class Replay:
    """A MarketSource over captures.

    Raises:
        DataError: nothing in the files can be played.
    """

    def __init__(self, paths: Sequence[Path], speed: float = 1.0, *, loops: bool = True) -> None:
        self.notices = Notices()
        self._speed = speed
        self._loops = loops
        self._files: list[Path] = []
        ahead: list[Frame] = []
        for path in capture_files(paths):
            complaints = Notices()
            frames = list(read_frames(path, complaints, LOOK_AHEAD_LINES))
            if frames:
                self._files.append(path)  # Its complaints come again, once, while it is played.
                ahead.extend(frames)
            else:
                self.notices.lines.extend(complaints.lines)
                text = f"{path}: nothing in its first {LOOK_AHEAD_LINES} lines that this exchange can play; left out"
                self.notices.warn(text)
        if not ahead:
            raise DataError(", ".join(map(str, paths)), "nothing here can be played: no Binance spot or USD-M frames")
        self._streams = {key: SymbolStream(rules) for key, rules in _rules_of(ahead).items()}
        self._lead_ns = max((frame.event_ms * MS - frame.local_ns for frame in ahead if frame.event_ms), default=0)
        self._frames: Iterator[Frame] = iter(())
        self._round = 0
        self._origin_local_ns = 0
        self._origin_ns = 0
        self._latest_local_ns = 0
        self._due_ns = 0
        self._queue: deque[tuple[int, MarketUpdate]] = deque()

    def symbols(self) -> list[SymbolRules]:
        """What the captures hold."""
        return [stream.rules for stream in self._streams.values()]

    def start(self, now_ns: int) -> None:
        """The first line is due now."""
        names = ", ".join(f"{product} {symbol}" for product, symbol in self._streams)
        self.notices.add(f"replaying {names} from {len(self._files)} file(s) at speed {self._speed:g}")
        self._begin_round(now_ns)

    def next_due_ns(self) -> int:
        """When the next update is due; NEVER_NS after the end."""
        while not self._queue:
            if not self._read_more():
                return NEVER_NS
        return self._queue[0][0]

    def take(self) -> MarketUpdate:
        """The update that is due."""
        return self._queue.popleft()[1]

    def _begin_round(self, at_ns: int) -> None:
        self._round += 1
        # Later rounds would only repeat the complaints about the files.
        self._frames = merge_frames(self._files, self.notices if self._round == 1 else Notices())
        self._origin_local_ns = 0
        self._origin_ns = self._due_ns = at_ns

    def _read_more(self) -> bool:
        frame = next(self._frames, None)
        if frame is None:
            return self._end_round()
        if not self._origin_local_ns:
            self._origin_local_ns = self._latest_local_ns = frame.local_ns
        silence_ns = frame.local_ns - self._latest_local_ns
        if silence_ns > HOLE_NS_MAX:
            self.notices.add(f"the captures are silent for {silence_ns / 1e9:.0f} s; jumped")
            self._origin_local_ns += silence_ns - MS
        self._latest_local_ns = max(self._latest_local_ns, frame.local_ns)
        stream = self._streams.get((frame.product, frame.symbol))
        if stream is None:
            return True  # A symbol that shows up only late in a file: not listed.
        due_ns = self._due_ns = max(self._due_ns, self._wall_ns(frame.local_ns))
        event_ns = transaction_ns = due_ns
        if frame.event_ms:
            event_ns = min(due_ns, self._wall_ns(frame.event_ms * MS - self._lead_ns))
            transaction_ns = event_ns - (frame.event_ms - frame.transaction_ms) * MS
        self._queue.extend((due_ns, update) for update in stream.updates(frame, transaction_ns, event_ns))
        return True

    def _wall_ns(self, local_ns: int) -> int:
        distance_ns = local_ns - self._origin_local_ns
        return self._origin_ns + (distance_ns if self._speed == 1.0 else int(distance_ns / self._speed))

    def _end_round(self) -> bool:
        if self._latest_local_ns == 0 or not self._loops:
            if self._frames is not _OVER:
                self._frames = _OVER
                self.notices.add("the capture has ended; the last book stands still from now on")
            return False
        self.notices.add("the capture has ended; it starts over, ids run on")
        for stream in self._streams.values():
            stream.start_over()
        self._begin_round(self._due_ns + 100 * MS)
        return True


_OVER: Final[Iterator[Frame]] = iter(())


def merge_frames(files: Sequence[Path], notices: Notices) -> Iterator[Frame]:
    """All frames of all files by receive time, until the first venue that has spoken has no file left."""
    heap: list[tuple[int, int, Frame]] = []
    readers = [read_frames(path, notices) for path in files]
    products: dict[int, set[Product]] = {}  # by file that still has lines
    for index, reader in enumerate(readers):
        frame = next(reader, None)
        if frame is not None:
            heapq.heappush(heap, (frame.local_ns, index, frame))
            products[index] = {frame.product}
    spoken: set[Product] = set()
    while heap:
        _, index, frame = heap[0]
        products[index].add(frame.product)
        spoken.add(frame.product)
        yield frame
        following = next(readers[index], None)
        if following is not None:
            heapq.heapreplace(heap, (following.local_ns, index, following))
            continue
        heapq.heappop(heap)
        ended = products.pop(index) - {product for row in products.values() for product in row}
        if ended and len(spoken) > 1 and heap:
            return


def _rules_of(frames: Iterable[Frame]) -> dict[tuple[Product, str], SymbolRules]:
    """The built-in rules, or ones derived from what a symbol's first frames show."""
    prices: dict[tuple[Product, str], int] = {}
    quantities: dict[tuple[Product, str], int] = {}
    for frame in frames:
        key = (frame.product, frame.symbol)
        prices[key] = math.gcd(prices.get(key, 0), *(price for price, _ in frame.bids + frame.asks))
        quantities[key] = math.gcd(quantities.get(key, 0), *(quantity for _, quantity in frame.bids + frame.asks))
    rules: dict[tuple[Product, str], SymbolRules] = {}
    for (product, symbol), price_gcd in prices.items():
        table = SPOT_SYMBOLS if product == "spot" else USDM_SYMBOLS
        rules[(product, symbol)] = table.get(symbol) or _derived(product, symbol, price_gcd, quantities[(product, symbol)])
    return dict(sorted(rules.items()))


def _derived(product: Product, symbol: str, price_gcd: int, quantity_gcd: int) -> SymbolRules:
    """Rules of a symbol nobody listed: the coarsest decimal tick and lot that everything shown is a multiple of."""
    tick, lot = _power_of_ten_in(price_gcd), _power_of_ten_in(quantity_gcd)
    quote = next((name for name in QUOTE_ASSETS if symbol.endswith(name) and symbol != name), "USDT")
    base = symbol.removesuffix(quote) or symbol
    is_spot = product == "spot"
    return SymbolRules(
        symbol=symbol,
        product=product,
        base_asset=base,
        quote_asset=quote,
        tick_e8=tick,
        lot_e8=lot,
        price_places=8 if is_spot else _places(tick),
        quantity_places=8 if is_spot else _places(lot),
        price_ticks_min=1,
        price_ticks_max=1_000_000 * E8 // tick,
        quantity_lots_min=1,
        quantity_lots_max=1_000_000_000 * E8 // lot,
        market_lots_max=100_000_000 * E8 // lot,
        notional_min_e8=5 * E8,
        percent_up_e4=50_000 if is_spot else 10_500,
        percent_down_e4=2_000 if is_spot else 9_500,
    )


def _power_of_ten_in(value: int) -> int:
    power = 1
    while value and value % (power * 10) == 0 and power < E8:
        power *= 10
    return power


def _places(unit_e8: int) -> int:
    return 8 - (len(str(unit_e8)) - 1)
