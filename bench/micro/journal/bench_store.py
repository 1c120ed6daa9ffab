"""What the journal costs per entry: journal_message_t → row → committed in SQLite, in batches of several sizes.

    ring ─▶ [ Consumer.peek_into ] ─▶ [ RowMaker.rows ] ─▶ [ Store.write: one transaction ] ─▶ file (synchronous=NORMAL)
               copy                      convert              all of it, with convert

    an order that is placed, acknowledged and cancelled is three entries of kind order

Run: python bench/micro/journal/bench_store.py [batches] [directory] [--json]. The directory names the disk that is measured.
CPU time, not wall time: on a shared core the difference is somebody else's work.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "journal"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench"))

from journal_bench import INSTRUMENTS, WORDS, Entries, batch_of
from machine import Figures, number_argument

from reactor.domain.messages import SIZE, VIEW, JournalKind
from reactor.journal.rows import RowMaker
from reactor.journal.store import Store, StoreParameters
from shm.ring import heap_ring

SIZES = (8, 32, 512)  # about what gathers in a look at 700, 2 700 and 45 000 orders/s
ROWS = 512  # per line and turn of `batches`


def main(batches: int, directory: str | None) -> int:
    """Shows nanoseconds per entry, by kind and size of a batch; returns the rows written, which is the checksum of the work."""
    entries, maker = Entries(), RowMaker(INSTRUMENTS, WORDS)
    kinds = {
        "order": entries.order,
        "fill": entries.fill,
        "quota": lambda number: entries.blank(JournalKind.QUOTA),
    }
    written = 0
    clock = time.process_time
    producer, consumer = heap_ring(1024, SIZE["journal"], VIEW["journal"], lanes=1)
    room = memoryview(bytearray(1024 * SIZE["journal"]))
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        store = Store(Path(folder) / "journal.sqlite", StoreParameters(), INSTRUMENTS, WORDS)
        figures = Figures("ns per entry", ("copy", "convert", "write"))
        for name, make in kinds.items():
            for size in SIZES:
                turns = max(1, batches * ROWS // size)
                copied = converted = committed = 0.0
                for turn in range(turns):
                    producer.write_batch(batch_of(*(make(turn * size + number) for number in range(size))), size)
                    started = clock()
                    count = consumer.peek_into(room)
                    consumer.release()
                    copied += clock() - started
                    batch = room[: count * SIZE["journal"]]
                    started = clock()
                    maker.rows(batch)
                    converted += clock() - started
                    started = clock()
                    written += store.write(batch).rows
                    committed += clock() - started
                figures.row(f"{name} × {size}", [seconds / (turns * size) * 1e9 for seconds in (copied, converted, committed)])
        store.close()
        figures.end(written)
    return written


if __name__ == "__main__":
    folders = [each for each in sys.argv[1:] if not each.isdigit() and each != "--json"]
    main(number_argument(0, 10), folders[0] if folders else None)
