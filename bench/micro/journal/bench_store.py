"""What the journal costs per entry: message → row → committed in SQLite, in batches as the writer makes them.

    journal_message_t ─▶ [ RowMaker.row ] ─▶ [ Store.write, 512 rows a transaction ] ─▶ file (synchronous=NORMAL)
                            convert             write

Run: python bench/micro/journal/bench_store.py [batches] [directory]. The directory names the disk that is measured.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "journal"))

from journal_bench import INSTRUMENTS, WORDS, Entries

from reactor.domain.messages import JournalKind
from reactor.journal.rows import RowMaker
from reactor.journal.store import Store, StoreParameters

BATCH = 512


def main(batches: int, directory: str | None) -> int:
    """Prints microseconds per entry, by kind; returns the rows written, which is the checksum of the work."""
    entries, maker = Entries(), RowMaker(INSTRUMENTS, WORDS)
    kinds = {
        "order": entries.order,
        "fill": entries.fill,
        "quota": lambda number: entries.blank(JournalKind.QUOTA),
    }
    written = 0
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        store = Store(Path(folder) / "journal.sqlite", StoreParameters(), WORDS)
        print(f"{'µs/entry':10} {'convert':>9} {'write':>9}")
        for name, make in kinds.items():
            messages = [make(number) for number in range(batches * BATCH)]
            started = time.perf_counter()
            rows = [maker.row(message) for message in messages]
            converted = time.perf_counter()
            for first in range(0, len(rows), BATCH):
                written += store.write(rows[first : first + BATCH]).rows
            ended = time.perf_counter()
            print(f"{name:10} {(converted - started) / len(rows) * 1e6:9.2f} {(ended - converted) / len(rows) * 1e6:9.2f}")
        store.close()
    return written


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, sys.argv[2] if len(sys.argv) > 2 else None)
