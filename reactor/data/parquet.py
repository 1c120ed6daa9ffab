"""Event arrays as Parquet and back, losslessly: one column per field, times and flags as integers, row groups of a million.

Needs pyarrow (extra `parquet`).
"""

from pathlib import Path
from typing import Any

import numpy as np

from reactor.data.events import EVENT_DTYPE, EventArray
from reactor.data.part_file import PartFile
from reactor.domain.errors import DataError

ROWS_PER_GROUP = 1 << 20


def save_parquet(path: str | Path, events: EventArray) -> None:
    """Writes one array; the file gets its name when it is whole.

    Raises:
        DataError: pyarrow is not installed, or the path cannot be written.
    """
    arrow, parquet = _arrow()
    names: tuple[str, ...] = EVENT_DTYPE.names or ()
    table = arrow.table({name: np.ascontiguousarray(events[name]) for name in names})
    part = PartFile(path)
    try:
        parquet.write_table(table, part.file, compression="zstd", row_group_size=ROWS_PER_GROUP)
        part.finish()
    except OSError as error:
        raise DataError(str(path), f"cannot be written: {error.strerror or error}") from None
    finally:
        part.discard()


def load_parquet(path: str | Path) -> EventArray:
    """Reads what save_parquet wrote.

    Raises:
        DataError: pyarrow is not installed, no such file, or other columns.
    """
    _, parquet = _arrow()
    names: tuple[str, ...] = EVENT_DTYPE.names or ()
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow raises its own family, FileNotFoundError and OSError alike.
        raise DataError(str(path), f"is not a readable Parquet file ({error})") from None
    if table.column_names != list(names):
        raise DataError(str(path), f"has the columns {table.column_names}, not those of market events")
    events = np.empty(table.num_rows, EVENT_DTYPE)
    for name in names:
        events[name] = table.column(name).to_numpy()
    return events


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError("Parquet", "needs pyarrow: pip install 'crypto-trade[parquet]'") from None
    return pyarrow, parquet
