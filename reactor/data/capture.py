"""Reading recorded text: gzip or plain, in blocks of whole lines, inflated beside the reader.

    file ─▶ [thread: read and inflate] ─▶ a ring of BUFFERS buffers ─▶ blocks of whole lines
                     ▲                                                      │
                     └──────────────── the same buffers again ◀─────────────┘

A capture is hftbacktest's collector format: one line `<receive ns> <json>` per message, gzip members one after the other.
The buffers are few and used again, because memory that is touched for the first time costs more than inflating into it.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from isal import igzip

from reactor.data.capture_file import gzip_pieces
from reactor.domain.errors import DataError

BLOCK_BYTES: Final = 2 << 20  # Large enough that a hand-over is nothing, small enough for the third-level cache.
BUFFERS: Final = 3  # One is read, one is filled, one lies between so that neither side waits for the other's hiccups.
SPARES_MAX: Final = 4 * BUFFERS  # Of four files that are read at the same time.
HEADROOM_BYTES: Final = 64 << 10  # In front of a block: the line that the block before it left unfinished.
PACKED_BYTES: Final = (
    256 << 10
)  # Compressed bytes read at once: about a block's, for each read asks for the interpreter's lock.
SMALL_FILE_BYTES: Final = 64 << 10  # Below, a thread costs more than it gains.
FIRST_LINE_BYTES: Final = 4 << 10
LINE_BYTES_MAX: Final = 64 << 20  # A longer line is damage, not data: no venue sends such a frame.
DAMAGE_STEP_BYTES: Final = 512  # Compressed bytes that damage may cost besides itself.
_GZIP_MAGIC = b"\x1f\x8b"
_reader: Any = igzip._IGzipReader  # What igzip.open wraps: it fills the caller's buffer without the interpreter's lock.

_Buffer = bytearray
_spares: list[_Buffer] = []
"""Buffers that no file uses at the moment: each page touched for the first time costs as much as inflating it."""

_Filled = tuple[_Buffer, int, Exception | None]
"""(buffer, bytes behind its headroom, what went wrong behind them)"""


_on_bytes: Callable[[int], None] | None = None


def tell_bytes_to(listener: Callable[[int], None] | None) -> None:
    """From now on `listener` is told, block by block, how many more bytes of a file (as it lies on the disk) were read."""
    global _on_bytes
    _on_bytes = listener


class LineBlocks:
    """Iterates over a file as blocks of whole lines (the last one gets its newline if the file forgot it).

    A block is valid until the next one is asked for. `damage` is set to a sentence if the file ends in the middle of its
    compressed data; what came before is still given.

    Raises:
        DataError: the file cannot be opened, is binary, or holds a line beyond LINE_BYTES_MAX.
    """

    def __init__(self, path: str | Path, block_bytes: int = 0) -> None:
        self.path = Path(path)
        self.damage = ""
        self._block_bytes = block_bytes or BLOCK_BYTES

    def __iter__(self) -> Iterator[memoryview]:
        with closing(self._open()) as stream:
            is_small = self.path.stat().st_size <= SMALL_FILE_BYTES
            with closing(_inline(stream, self._block_bytes) if is_small else _ahead(stream, self._block_bytes)) as pieces:
                yield from self._blocks(pieces if _on_bytes is None else _counted(pieces, stream, _on_bytes))

    def _blocks(self, pieces: Iterator[_Filled]) -> Iterator[memoryview]:
        tail = bytearray()  # the line that is not whole yet
        given = 0  # bytes of text
        for buffer, size, error in pieces:
            given += size
            if size:
                begin, end = HEADROOM_BYTES, buffer.rfind(b"\n", HEADROOM_BYTES, HEADROOM_BYTES + size) + 1
                if end == 0:
                    tail += buffer[begin : begin + size]
                    self._check_line(tail, given)
                else:
                    rest = buffer[end : begin + size]
                    if len(tail) <= HEADROOM_BYTES:
                        begin -= len(tail)
                        buffer[begin : begin + len(tail)] = tail
                        yield memoryview(buffer)[begin:end]
                    else:
                        yield memoryview(tail + buffer[begin:end])
                    tail = rest
            if error is not None:
                self.damage = f"the compressed data is cut or damaged ({error}); everything before it was read"
                for text in self._before_damage(given):
                    tail += text
                    end = tail.rfind(b"\n") + 1
                    if end:
                        yield memoryview(tail[:end])
                        tail = tail[end:]  # A new one: the block that was given stays as it is.
        if tail and not self.damage:
            yield memoryview(tail + b"\n")

    def _check_line(self, line: bytearray, given: int) -> None:
        """`given`: bytes of text so far, the line's included."""
        if len(line) <= LINE_BYTES_MAX:
            return
        number, left = 1, given - len(line)
        with closing(self._open()) as stream:
            for buffer, size, _ in _inline(stream, self._block_bytes):
                number += buffer.count(b"\n", HEADROOM_BYTES, HEADROOM_BYTES + min(size, left))
                left -= min(size, left)
                if not left:
                    break
        raise DataError(f"{self.path}:{number}", f"a line beyond {LINE_BYTES_MAX >> 20} MiB: not a text of messages")

    def _before_damage(self, given: int) -> Iterator[bytes]:
        """What can be read behind the first `given` bytes of text: a fast reader gives nothing of the block that is damaged."""
        for text, _ in gzip_pieces(self.path, 0, DAMAGE_STEP_BYTES):
            if given >= len(text):
                given -= len(text)
            else:
                yield text[given:]
                given = 0

    def _open(self) -> "_Stream":
        try:
            return _Stream(self.path)
        except OSError as error:
            raise DataError(str(self.path), f"cannot be read: {error.strerror}") from None

    def first_line(self) -> bytes:
        """Without its newline; empty if there is none. Reads no more than that."""
        with closing(self._open()) as stream:
            buffer = bytearray(HEADROOM_BYTES + FIRST_LINE_BYTES)
            size, error = stream.fill(buffer)
        if error is not None:
            text = b"".join(self._before_damage(0))
            if b"\n" not in text:
                raise DataError(f"{self.path}:1", f"the compressed data is cut or damaged ({error}) before the first line ends")
            buffer, size = bytearray(HEADROOM_BYTES) + text, FIRST_LINE_BYTES
        return bytes(buffer[HEADROOM_BYTES : HEADROOM_BYTES + size]).split(b"\n", 1)[0].rstrip(b"\r")


class _Stream:
    """An open file as text, whatever it is packed in."""

    def __init__(self, path: Path) -> None:
        self._plain = path.open("rb", buffering=0)
        magic = self._plain.read(2)
        self._plain.seek(0)
        text: Any = _reader(self._plain, PACKED_BYTES) if magic == _GZIP_MAGIC else self._plain
        self._readinto: Callable[[memoryview], int] = text.readinto

    def fill(self, buffer: _Buffer) -> tuple[int, Exception | None]:
        """Reads behind the headroom until the buffer is full or the file ends: 0. An error comes behind its bytes."""
        view, size = memoryview(buffer)[HEADROOM_BYTES:], 0
        try:
            while size < len(view):
                read = self._readinto(view[size:])
                if not read:
                    break
                size += read
        except (EOFError, OSError, ValueError) as error:
            return size, error
        return size, None

    def position(self) -> int:
        """Bytes of the file that were read."""
        return self._plain.tell()

    def close(self) -> None:
        """Gives the file back."""
        self._plain.close()


def _counted(pieces: Iterator[_Filled], stream: _Stream, on_bytes: Callable[[int], None]) -> Iterator[_Filled]:
    told = 0
    for piece in pieces:
        position = stream.position()
        on_bytes(position - told)
        told = position
        yield piece


def _inline(stream: _Stream, block_bytes: int) -> Generator[_Filled, None, None]:
    buffer = bytearray(HEADROOM_BYTES + block_bytes)
    while True:
        size, error = stream.fill(buffer)
        if size or error is not None:
            yield buffer, size, error
        if not size or error is not None:
            return


def _take_buffer(block_bytes: int) -> _Buffer:
    if block_bytes == BLOCK_BYTES and _spares:
        return _spares.pop()
    return bytearray(HEADROOM_BYTES + block_bytes)


def _give_buffer(buffer: _Buffer) -> None:
    if len(buffer) == HEADROOM_BYTES + BLOCK_BYTES and len(_spares) < SPARES_MAX:
        _spares.append(buffer)


def _ahead(stream: _Stream, block_bytes: int) -> Generator[_Filled, None, None]:
    """The same, filled by a thread while the caller works on the block before."""
    empty: queue.SimpleQueue[_Buffer | None] = queue.SimpleQueue()
    filled: queue.SimpleQueue[_Filled] = queue.SimpleQueue()

    def work() -> None:
        while (buffer := empty.get()) is not None:
            size, error = stream.fill(buffer)
            filled.put((buffer, size, error))
            if not size or error is not None:
                return

    buffers = [_take_buffer(block_bytes) for _ in range(BUFFERS)]
    for each in buffers:
        empty.put(each)
    thread = threading.Thread(target=work, name="inflate", daemon=True)
    thread.start()
    try:
        while True:
            buffer, size, error = filled.get()
            if size or error is not None:
                yield buffer, size, error
            if not size or error is not None:
                return
            empty.put(buffer)
    finally:
        empty.put(None)
        thread.join()
        for each in buffers:
            _give_buffer(each)


def in_words(line: bytes) -> str:
    """How a damaged line begins, for the message that names it."""
    text = line[:120].partition(b"\n")[0].decode("utf-8", "replace")
    return "(binary data)" if text.count("\ufffd") > 1 else repr(text)  # One is a letter that was cut.


def first_line(path: str | Path) -> bytes:
    """The first line of a file without its newline; empty for an empty file.

    Raises:
        DataError: as LineBlocks.
    """
    return LineBlocks(path).first_line()
