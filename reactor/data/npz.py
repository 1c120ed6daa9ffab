"""Writes an event array as `.npz` (key `data`), beyond 4 GB, compressed on all cores, and never half under its name.

numpy's own writer compresses on one core. Here the array is cut into pieces that are deflated side by side and put one after
the other: a deflate stream may be flushed to a byte boundary and continued by another one (as pigz does). The container is
ZIP with the 64-bit extensions of PKWARE's APPNOTE §4.3–4.5; np.load, zipfile and unzip read it.
"""

import io
import os
import struct
import zipfile
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib

from reactor.data.events import EventArray
from reactor.data.part_file import PartFile
from reactor.domain.errors import DataError

PIECE_BYTES = 4 << 20  # Large against the 32 KiB window that each piece starts without, small against memory.
COMPRESSION_LEVEL = 1  # isal's levels 0–3; the next one halves the speed for a few percent.
_ENTRY_NAME = b"data.npy"
_DEFLATED = 8
_VERSION_ZIP64 = 45
_ALL_ONES_32 = 0xFFFFFFFF
_DOS_DATE = (1980 - 1980) << 9 | 1 << 5 | 1  # 1 January 1980: the same array gives the same bytes.


class NpzWriter:
    """Takes event arrays one after the other and writes them as one array. Use as a context manager.

    The file gets its name only when everything is on the disk; on an error nothing is left behind.

    Args:
        path: where the file shall stand.
        count: how many rows will come in all (the npy header says it first).
    """

    def __init__(self, path: str | Path, count: int, dtype: np.dtype[Any], workers: int | None = None) -> None:
        self._path = Path(path)
        self._pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
        self._pending: deque[Future[bytes]] = deque()
        self._crc = self._size = self._packed = 0
        self._expected = count
        self.rows = 0
        self._dtype = dtype
        self._part = PartFile(path)
        self._file = self._part.file
        self._file.write(_local_header(0, 0, 0))
        header = io.BytesIO()
        npy: Any = np.lib.format
        npy.write_array_header_1_0(header, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)})
        self._put(memoryview(header.getvalue()))

    def __enter__(self) -> "NpzWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._part.discard()

    def write(self, events: EventArray) -> None:
        """Appends rows. The array must not change before the file is finished.

        Raises:
            DataError: the disk is full, or cannot be written.
        """
        self.rows += len(events)
        # A memoryview of a structured array has no plain format; bytes have.
        raw: Any = np.ascontiguousarray(events).view(np.uint8)
        whole = memoryview(raw)
        for begin in range(0, len(whole), PIECE_BYTES):
            self._put(whole[begin : begin + PIECE_BYTES])

    def _put(self, piece: memoryview) -> None:
        self._crc = zlib.crc32(piece, self._crc)
        self._size += len(piece)
        self._pending.append(self._pool.submit(_deflate, piece))
        while len(self._pending) > 4:
            self._drain_one()

    def _drain_one(self) -> None:
        packed = self._pending.popleft().result()
        self._packed += len(packed)
        self._to_disk(packed)

    def _to_disk(self, packed: bytes) -> None:
        try:
            self._file.write(packed)
        except OSError as error:
            raise DataError(str(self._path), f"cannot be written: {error.strerror}") from None

    def _finish(self) -> None:
        assert self.rows == self._expected, "as many rows as were announced"
        while self._pending:
            self._drain_one()
        last = isal_zlib.compressobj(COMPRESSION_LEVEL, isal_zlib.DEFLATED, -15).flush()
        self._packed += len(last)
        self._to_disk(last)
        offset = self._file.tell()
        self._to_disk(_directory(self._crc, self._packed, self._size, offset))
        self._file.seek(0)
        self._to_disk(_local_header(self._crc, self._packed, self._size))
        try:
            self._part.finish()
        except OSError as error:
            raise DataError(str(self._path), f"cannot be written: {error.strerror}") from None


def save_npz(path: str | Path, events: EventArray) -> None:
    """Writes one array that is in memory.

    Raises:
        DataError: the path cannot be written, or the disk is full.
    """
    with NpzWriter(path, len(events), events.dtype) as writer:
        writer.write(events)


def load_npz(path: str | Path) -> EventArray:
    """The event array of an npz file (key `data`).

    Raises:
        DataError: no such file, no npz, or no array of event rows in it.
    """
    try:
        with np.load(path) as archive:
            events: EventArray = archive["data"]
    except KeyError:
        raise DataError(str(path), "has no array named 'data': not an event file") from None
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        reason = "it is no archive at all" if "pickle" in str(error) else error
        raise DataError(str(path), f"is not a readable npz file ({reason})") from None
    if events.dtype.names is None or "exch_ts" not in events.dtype.names:
        raise DataError(str(path), f"holds rows of type {events.dtype}, not market events")
    return events


def _deflate(piece: memoryview) -> bytes:
    deflater = isal_zlib.compressobj(COMPRESSION_LEVEL, isal_zlib.DEFLATED, -15)
    packed: bytes = deflater.compress(piece) + deflater.flush(isal_zlib.Z_FULL_FLUSH)
    return packed


# fmt: off
def _local_header(crc: int, packed: int, size: int) -> bytes:
    extra = struct.pack("<HHQQ", 1, 16, size, packed)
    head = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", _VERSION_ZIP64, 0, _DEFLATED, 0, _DOS_DATE, crc,
                       _ALL_ONES_32, _ALL_ONES_32, len(_ENTRY_NAME), len(extra))
    return head + _ENTRY_NAME + extra


def _directory(crc: int, packed: int, size: int, offset: int) -> bytes:
    """The central directory with its one entry, and the three records that end the archive."""
    extra = struct.pack("<HHQQQ", 1, 24, size, packed, 0)
    entry = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", _VERSION_ZIP64, _VERSION_ZIP64, 0, _DEFLATED, 0, _DOS_DATE, crc,
                        _ALL_ONES_32, _ALL_ONES_32, len(_ENTRY_NAME), len(extra), 0, 0, 0, 0, _ALL_ONES_32)
    length = len(entry) + len(_ENTRY_NAME) + len(extra)
    end_64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, _VERSION_ZIP64, _VERSION_ZIP64, 0, 0, 1, 1, length, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, offset + length, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, length, _ALL_ONES_32, 0)
    return entry + _ENTRY_NAME + extra + end_64 + locator + end
# fmt: on
