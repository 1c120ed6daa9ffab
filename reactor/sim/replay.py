"""Recorded captures as a market: `<local ns> <json>` lines, gzip or plain, several files and venues merged by receive time.

    files ─▶ read_lines() ─▶ decode() ─▶ heap merge ─▶ Replay: due_ns, levels in ticks ─▶ SimulatedExchange
             (damage: notice)  (foreign: notice)

- The venue is told by content. Binance spot and USD-M frames are played; COIN-M, Bybit, OKX, Hyperliquid and anything else
  is skipped with one notice per kind and file. A symbol outside the built-in table gets its tick and lot from what it shows.
- Time: one constant moves every time field so that the first line is due at the start of the session. Local stamps and
  exchange clocks may disagree by seconds (1.27 s in the captures we know), so the constant for `E`/`T` is the local one minus
  the largest lead of the exchange's clock in the first lines: nothing claims to be from the future. `speed` divides distances.
- Ids are the simulated venue's own and continuous: our orders trade in this market, so the recorded ids would not stay true.
- The book needs no snapshot: best prices come from bookTicker at once, levels as the diffs name them. A recorded REST snapshot
  replaces what lies in its range, and the diffs that are newer than it are applied again.
- bookTicker runs ahead of the 100 ms diffs; a diff older than the last bookTicker may not put back what that has removed.
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
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from reactor.domain.errors import DataError
from reactor.domain.units import E8
from reactor.sim.events import Levels, Notices
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS, Product, SymbolRules
from reactor.sim.updates import NEVER_NS, BookUpdate, MarketUpdate, TopUpdate, TradeUpdate

MS: Final = 1_000_000
GZIP_MAGIC: Final = b"\x1f\x8b"
LOOK_AHEAD_LINES: Final = 4_000  # Read once before the start: symbols, ticks, and how far the exchange's clock leads.
HOLE_NS_MAX: Final = 10_000 * MS  # Longer silence in all files is jumped.
STEP_BACK_NS_MAX: Final = 1_000 * MS  # Local stamps are monotone; an older one is the tail of an earlier session in the file.
RECENT_DIFFS_MAX: Final = 200  # Diffs kept for a snapshot that comes after newer ones.
MICROSECONDS_MIN: Final = 10**14  # As milliseconds this would be the year 5138.
NOTICES_PER_FILE_MAX: Final = 5
QUOTE_ASSETS: Final = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY")


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded line: what it says, in the venue's own units (prices and quantities in 1e-8)."""

    local_ns: int
    product: Product
    symbol: str  # "": a REST snapshot that does not say; the file's own symbol is meant.
    kind: str  # "book", "top", "trade", "aggregate", "snapshot"
    event_ms: int  # 0: not said
    transaction_ms: int
    last_id: int
    bids: tuple[tuple[int, int], ...] = ()  # (price e8, quantity e8); a trade has one row here
    asks: tuple[tuple[int, int], ...] = ()
    buyer_is_maker: bool = False


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


def decode(raw: bytes) -> Frame | str:
    """One `<ns> <json>` line, or what kind of foreign thing it is.

    Raises:
        ValueError: garbage (also from the JSON parser and from missing fields, as KeyError or TypeError).
    """
    stamp, _, payload = raw.partition(b" ")
    local_ns = int(stamp)
    frame = orjson.loads(payload)
    if not isinstance(frame, dict):
        return "frames that are no JSON object"
    data, stream = frame.get("data"), frame.get("stream")
    if isinstance(stream, str) and isinstance(data, dict):
        return _decode_object(local_ns, data, stream.partition("@")[0].upper())
    return _decode_object(local_ns, frame, "")


def _decode_object(local_ns: int, frame: dict[str, Any], stream_symbol: str) -> Frame | str:
    if "channel" in frame:
        return "Hyperliquid frames"
    if "topic" in frame:
        return "Bybit frames"
    if "arg" in frame:
        return "OKX frames"
    symbol = str(frame.get("s", "")) or stream_symbol
    if "_" in symbol or "_" in str(frame.get("symbol", "")):
        return "Binance COIN-M or delivery frames"
    event = frame.get("e")
    event_ms = _ms(int(frame.get("E", 0)))
    transaction_ms = _ms(int(frame.get("T", 0))) or event_ms
    if event == "depthUpdate":
        product: Product = "usdm" if "pu" in frame else "spot"
        bids, asks = _levels(frame["b"]), _levels(frame["a"])
        return Frame(local_ns, product, symbol, "book", event_ms, transaction_ms, int(frame["u"]), bids, asks)
    if event == "bookTicker" or (event is None and "B" in frame and "A" in frame and "u" in frame):
        product = "usdm" if event else "spot"
        bids = ((_e8(frame["b"]), _e8(frame["B"])),)
        asks = ((_e8(frame["a"]), _e8(frame["A"])),)
        return Frame(local_ns, product, symbol, "top", event_ms, transaction_ms, int(frame["u"]), bids, asks)
    if event in ("trade", "aggTrade"):
        if frame.get("X", "MARKET") != "MARKET":
            return "trades off the book (insurance fund, ADL)"
        row = (_e8(frame["p"]), _e8(frame["q"]))
        if row[0] <= 0 or row[1] <= 0:
            return "trades without price or quantity"
        product = "spot" if "M" in frame else "usdm"
        is_maker = bool(frame["m"])
        kind = "trade" if event == "trade" else "aggregate"
        trade_id = int(frame["t" if event == "trade" else "a"])
        return Frame(local_ns, product, symbol, kind, event_ms, transaction_ms, trade_id, (row,), (), is_maker)
    if "lastUpdateId" in frame and "bids" in frame:
        product = "usdm" if "E" in frame else "spot"
        bids, asks = _levels(frame["bids"]), _levels(frame["asks"])
        return Frame(local_ns, product, symbol, "snapshot", event_ms, transaction_ms, int(frame["lastUpdateId"]), bids, asks)
    return f"{event!r} events" if isinstance(event, str) else "frames of an unknown kind"


def _ms(stamp: int) -> int:
    """Milliseconds, also of a stream that was opened with timeUnit=MICROSECOND."""
    return stamp // 1000 if stamp > MICROSECONDS_MIN else stamp


def _levels(rows: Sequence[Sequence[str]]) -> tuple[tuple[int, int], ...]:
    return tuple((_e8(row[0]), _e8(row[1])) for row in rows)


def _e8(text: str) -> int:
    """A wire decimal in 1e-8, cut there. Four times as fast as Decimal, and frames are hundreds a second."""
    whole, _, fraction = text.partition(".")
    return int(whole) * E8 + int(fraction[:8].ljust(8, "0")) if fraction else int(whole) * E8


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


class _Stream:
    """One symbol of one venue while it is played: units, last bookTicker, recent diffs."""

    def __init__(self, rules: SymbolRules) -> None:
        self.rules = rules
        self._top: Frame | None = None
        self._has_trades = False
        self._ends_old_book = False
        self._recent: deque[Frame] = deque(maxlen=RECENT_DIFFS_MAX)

    def start_over(self) -> None:
        """A new round: ids start over in the recording, and its first best prices end the old book."""
        self._top = None
        self._recent.clear()
        self._ends_old_book = True

    def updates(self, frame: Frame, transaction_ns: int, event_ns: int) -> list[MarketUpdate]:
        """What this frame means for the venue."""
        rules = self.rules
        tick, lot = rules.tick_e8, rules.lot_e8
        times = (transaction_ns, event_ns)
        if frame.kind == "trade" or (frame.kind == "aggregate" and not self._has_trades):
            self._has_trades = self._has_trades or frame.kind == "trade"
            price, quantity = frame.bids[0]
            lots = quantity // lot
            if not lots:
                return []
            return [TradeUpdate(rules.product, rules.symbol, price // tick, lots, frame.buyer_is_maker, *times)]
        if frame.kind == "aggregate":
            return []  # The same trades again, fewer.
        if frame.kind == "top":
            self._top = frame
            top = self._top_update(frame, *times)
            if not self._ends_old_book:
                return [top]
            self._ends_old_book = False
            bids, asks = [(top.bid_ticks, top.bid_lots)], [(top.ask_ticks, top.ask_lots)]
            return [BookUpdate(rules.product, rules.symbol, bids, asks, *times, is_reset=True), top]
        if frame.kind == "book":
            self._recent.append(frame)
            return [self._book_update(frame, *times)]
        rows: list[MarketUpdate] = [
            BookUpdate(rules.product, rules.symbol, self._ticks(frame.bids), self._ticks(frame.asks), *times, is_snapshot=True)
        ]
        rows.extend(self._book_update(diff, *times) for diff in self._recent if diff.last_id > frame.last_id)
        if self._top is not None and self._top.last_id > frame.last_id:
            # Said again with other sizes first, so that the venue does not take it for old news.
            top = self._top_update(self._top, *times)
            rows.append(replace(top, bid_lots=top.bid_lots + 1, ask_lots=top.ask_lots + 1))
            rows.append(top)
        return rows

    def _top_update(self, frame: Frame, transaction_ns: int, event_ns: int) -> TopUpdate:
        rules = self.rules
        (bid, bid_quantity), (ask, ask_quantity) = frame.bids[0], frame.asks[0]
        return TopUpdate(
            rules.product,
            rules.symbol,
            bid // rules.tick_e8,
            bid_quantity // rules.lot_e8,
            ask // rules.tick_e8,
            ask_quantity // rules.lot_e8,
            transaction_ns,
            event_ns,
        )

    def _book_update(self, frame: Frame, transaction_ns: int, event_ns: int) -> BookUpdate:
        rules, top = self.rules, self._top
        bids, asks = self._ticks(frame.bids), self._ticks(frame.asks)
        if top is not None and top.last_id > frame.last_id:
            best_bid, best_ask = top.bids[0][0] // rules.tick_e8, top.asks[0][0] // rules.tick_e8
            bids = [row for row in bids if row[0] < best_bid]
            asks = [row for row in asks if row[0] > best_ask]
        return BookUpdate(rules.product, rules.symbol, bids, asks, transaction_ns, event_ns)

    def _ticks(self, rows: Iterable[tuple[int, int]]) -> Levels:
        tick, lot = self.rules.tick_e8, self.rules.lot_e8
        return [(price // tick, quantity // lot) for price, quantity in rows]


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
        self._streams = {key: _Stream(rules) for key, rules in _rules_of(ahead).items()}
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
