"""Writing captures: `<receive ns> <json>` lines into gzip members that are whole at every moment.

    lines ─▶ buffer ──every flush──▶ one gzip member, appended by one write ─▶ btcusdt_20240808.gz

A member is never continued, so a file that lost its process, its disk or its power ends either well or with one torn member.
Opening it again keeps everything that can be read, cuts the tear and appends behind it: nothing is overwritten.
"""

import fcntl
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isal import isal_zlib

from reactor.domain.errors import DataError

COMPRESSION_LEVEL: Final = 2  # isal's 0 to 3: half a gigabyte a second, and members of a second's lines gain little from more.
MEMBER_BYTES_MAX: Final = 1 << 20  # More lines than that are written without waiting for the clock.
READ_BYTES: Final = 4 << 20
TEAR_STEP_BYTES: Final = 256  # Compressed bytes that damage may cost besides itself.
_Damage: Any = isal_zlib.error
_SNAPSHOT: Final = b'{"lastUpdateId"'
_GZIP: Final = 31  # zlib's window bits for "gzip header and trailer around it"


@dataclass(frozen=True)
class Recovered:
    """What stood in a file before it was appended to."""

    lines: int = 0
    last_ns: int = 0  # stamp of the last line of a stream (a snapshot does not say that the streams came so far); 0: none
    torn_bytes: int = 0  # compressed bytes of the torn member, replaced by what could be read of it
    saved_lines: int = 0  # lines that could be read of it


def recover(path: Path) -> Recovered:
    """Makes an existing capture appendable: a torn last member is replaced by a whole one with all its readable lines.

    The new file takes the old one's name only when it is complete on the disk, so that a crash meanwhile loses nothing.

    Raises:
        DataError: the file cannot be read or written, or is no gzip file at all.
    """
    try:
        return _recover(path)
    except OSError as error:
        raise DataError(str(path), f"cannot be appended to: {error.strerror or error}") from None


def _recover(path: Path) -> Recovered:
    size = path.stat().st_size
    lines = _Lines()
    good_bytes = good_lines = 0
    for text, end in gzip_pieces(path, 0, READ_BYTES):
        lines.take(text)
        if end:
            good_bytes, good_lines = end, lines.count
    if good_bytes == size:
        return Recovered(lines.count, lines.last_ns)
    saved = _readable(path, good_bytes)
    if good_bytes == 0 and not saved:
        raise DataError(str(path), "is no capture that could be appended to: move it away, or record to another folder")
    torn = _Lines()
    torn.take(saved)
    _replace_tail(path, good_bytes, saved)
    return Recovered(good_lines + torn.count, torn.last_ns or lines.last_ns, size - good_bytes, torn.count)


class _Lines:
    """Counts lines in pieces of text and remembers the stamp of the last whole one that is no snapshot."""

    def __init__(self) -> None:
        self.count = 0
        self.last_ns = 0
        self._tail = b""

    def take(self, text: bytes) -> None:
        end = text.rfind(b"\n")
        if end < 0:
            self._tail += text
            return
        self.count += text.count(b"\n")
        while end >= 0:
            begin = text.rfind(b"\n", 0, end) + 1
            stamp, _, message = (text[begin:end] if begin else self._tail + text[:end]).partition(b" ")
            if stamp.isdigit() and not message.startswith(_SNAPSHOT):
                self.last_ns = int(stamp)
                break
            end = begin - 1
        self._tail = text[text.rfind(b"\n") + 1 :]


def gzip_pieces(path: Path, start: int, step: int) -> Iterator[tuple[bytes, int]]:
    """(text, 0) for every piece from byte `start` on, and (b"", its end) after each whole member. Stops at a tear."""
    with path.open("rb") as file:
        file.seek(start)
        inflater, position = isal_zlib.decompressobj(_GZIP), start
        while chunk := file.read(step):
            while chunk:
                try:
                    text = inflater.decompress(chunk)
                except _Damage:
                    return
                yield text, 0
                position += len(chunk)
                chunk = b""
                if inflater.eof:
                    chunk = inflater.unused_data
                    position -= len(chunk)
                    yield b"", position
                    inflater = isal_zlib.decompressobj(_GZIP)


def _readable(path: Path, start: int) -> bytes:
    """The whole lines of a torn member. In small steps, because a step that meets the damage gives nothing."""
    text = b"".join(text for text, _ in gzip_pieces(path, start, TEAR_STEP_BYTES))
    lines = text[: text.rfind(b"\n") + 1].splitlines(keepends=True)
    # Zeros behind a tear (a power cut leaves them) still inflate to something: the first line that is none ends it.
    kept = list(itertools.takewhile(_is_line, lines))
    return b"".join(kept)


def _is_line(line: bytes) -> bool:
    stamp, _, text = line.partition(b" ")
    try:
        json.loads(text)
    except ValueError:
        return False
    return stamp.isdigit()


def _replace_tail(path: Path, good_bytes: int, saved: bytes) -> None:
    part = path.with_name(path.name + ".recovered")
    try:
        with path.open("rb") as source, part.open("wb") as target:
            left = good_bytes
            while left:
                chunk = source.read(min(left, READ_BYTES))
                target.write(chunk)
                left -= len(chunk)
            if saved:
                target.write(packed(saved))
            target.flush()
            os.fsync(target.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def packed(text: bytes) -> bytes:
    """One whole gzip member."""
    deflater = isal_zlib.compressobj(COMPRESSION_LEVEL, isal_zlib.DEFLATED, _GZIP)
    member: bytes = deflater.compress(text) + deflater.flush()
    return member


def _open_locked(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DataError(str(path), f"cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise DataError(str(path), "another recorder is writing it: record to another folder") from None
    return file


class CaptureFile:
    """One symbol's file of one day. Lines wait in memory until `flush`; whoever owns it flushes often."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file and recovers what is torn.

        Raises:
            DataError: it cannot be written, or what stands there is no capture.
        """
        self.path = path
        self.written_bytes = 0  # compressed, by this process
        self._file = _open_locked(path)
        try:
            self.recovered = recover(path)
        except DataError:
            os.close(self._file)
            raise
        if self.recovered.torn_bytes:  # Another file stands under the name now.
            os.close(self._file)
            self._file = _open_locked(path)
        self._size = os.fstat(self._file).st_size
        self._lines: list[bytes] = []
        self._waiting_bytes = 0

    def append(self, line: bytes) -> None:
        """One line with its newline."""
        self._lines.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= MEMBER_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Everything appended becomes a whole member in the file.

        Raises:
            DataError: the disk is full or broken. The file is as it was before; the lines stay waiting.
        """
        if not self._lines:
            return
        member = packed(b"".join(self._lines))
        try:
            written = os.write(self._file, member)
            if written < len(member):  # The disk took a part of it: the rest says why it stopped.
                os.write(self._file, member[written:])
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise DataError(str(self.path), f"cannot be written: {error.strerror}") from None
        self._size += len(member)
        self.written_bytes += len(member)
        self._lines.clear()
        self._waiting_bytes = 0

    def close(self) -> None:
        """Flushes, and returns when the disk has it. A file without a line goes.

        Raises:
            DataError: as flush.
        """
        if self._file < 0:
            return
        try:
            self.flush()
            os.fsync(self._file)
            if self._size == 0:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(str(self.path), f"cannot be written: {error.strerror}") from None
        finally:
            os.close(self._file)
            self._file = -1
