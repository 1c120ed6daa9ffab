"""The frames that every side of the feed benchmark decodes: recorded captures, or generated ones where there are none.

A frame is (venue, payload), in the order in which it came: venue 0 is Binance spot, 1 USD-M futures; `SNAPSHOT` payloads are
REST bodies. Only standard library: rivals read the same file in environments of their own.
"""

import gzip
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", ROOT.parent / "shared" / "data")) / "captures"
FILES = ("spot/btcusdt_20240808.gz", "usdm/btcusdt_20240808.gz")
SNAPSHOT = b'{"lastUpdateId"'
Frame = tuple[int, bytes]


def is_wanted(payload: bytes) -> bool:
    """Book tickers, depth and snapshots: what a book and a spread are made of."""
    head = payload[:64]
    return b"@bookTicker" in head or b"@depth" in head or payload.startswith(SNAPSHOT)


def captured() -> list[Frame]:
    """Two venues' captures, by time; empty if there are none."""
    rows = []
    for venue, name in enumerate(FILES):
        path = CAPTURES / name
        if not path.exists():
            return []
        with gzip.open(path) as lines:
            for line in lines:
                stamp, payload = line.rstrip().split(b" ", 1)
                if is_wanted(payload):
                    rows.append((int(stamp), venue, payload))
    rows.sort(key=lambda row: row[0])
    return [(venue, payload) for _, venue, payload in rows]


def generated(count: int, seed: int = 1) -> list[Frame]:
    """Two snapshots and the first `count` frames of `endless`."""
    frames = endless(seed)
    return [next(frames) for _ in range(count + 2)]


def endless(seed: int = 1) -> Iterator[Frame]:
    """A random walk in the venues' own words: nine tickers to one depth update, as the captures have them; first two snapshots.

    The best prices move, told by tickers, inside of what the levels of the books leave free: no book ever crosses.
    """
    rng = random.Random(seed)
    ids, mid, middle = [1_000, 1_000], 6_000_000, 6_000_000
    for venue in (0, 1):
        levels = [[f"{(middle - 100 - 10 * step) / 100:.2f}", "1.000"] for step in range(1000)]
        above = [[f"{(middle + 100 + 10 * step) / 100:.2f}", "1.000"] for step in range(1000)]
        yield venue, _json({"lastUpdateId": 1_000, "bids": levels, "asks": above})
    while True:
        venue = int(rng.random() < 0.7)
        mid = min(max(mid + rng.choice((0, 0, 0, 10, -10)), middle - 80), middle + 80)
        ids[venue] += 1
        one = ids[venue]
        data: dict[str, object]
        if rng.random() < 0.1:
            data = {"e": "depthUpdate", "E": 1_700_000_000_000 + one, "s": "BTCUSDT", "U": one, "u": one}
            if venue:
                data |= {"T": 1_700_000_000_000 + one, "pu": one - 1}
            for side, sign in (("b", -1), ("a", 1)):
                prices = [middle + sign * (100 + 10 * step) for step in sorted(rng.sample(range(500), 30))]
                data[side] = [[f"{price / 100:.2f}", f"{rng.randint(0, 3)}.500"] for price in prices]
            yield venue, _json({"stream": "btcusdt@depth", "data": data})
        else:
            ids[venue] -= 1  # A ticker shows the state of the last update; it makes none.
            data = {"e": "bookTicker"} if venue else {}
            data |= {"u": one, "s": "BTCUSDT", "b": f"{(mid - 10) / 100:.2f}", "B": f"{rng.randint(1, 9)}.125",
                     "a": f"{(mid + 10) / 100:.2f}", "A": f"{rng.randint(1, 9)}.250"}  # fmt: skip
            if venue:
                data |= {"T": 1_700_000_000_000 + one, "E": 1_700_000_000_000 + one}
            yield venue, _json({"stream": "btcusdt@bookTicker", "data": data})


def _json(value: object) -> bytes:
    import json

    return json.dumps(value, separators=(",", ":")).encode()


def write(frames: list[Frame], path: Path) -> None:
    """venue, size, payload; one after the other."""
    with path.open("wb") as file:
        for venue, payload in frames:
            file.write(struct.pack("<II", venue, len(payload)) + payload)


def read(path: Path) -> Iterator[Frame]:
    """What `write` wrote."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        venue, size = struct.unpack_from("<II", data, at)
        yield venue, data[at + 8 : at + 8 + size]
        at += 8 + size
