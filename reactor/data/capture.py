"""Reading recorded text: gzip or plain, in blocks of whole lines, inflated beside the reader.

A capture is hftbacktest's collector format: one line `<receive ns> <json>` per message, gzip members one after the other.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from isal import igzip_threaded

from reactor.data.capture_file import gzip_pieces
from reactor.domain.errors import DataError

BLOCK_BYTES = 1 << 20  # Large enough that a call into C is nothing, small enough to stay in the second-level cache.
LINE_BYTES_MAX = 64 << 20  # A longer line is damage, not data: no venue sends such a frame.
DAMAGE_STEP_BYTES = 512  # Compressed bytes that damage may cost besides itself.
_GZIP_MAGIC = b"\x1f\x8b"


class LineBlocks:
    """Iterates over a file as blocks of whole lines (the last one gets its newline if the file forgot it).

    `damage` is set to a sentence if the file ends in the middle of its compressed data; what came before is still given.

    Raises:
        DataError: the file cannot be opened, is binary, or holds a line beyond LINE_BYTES_MAX.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.damage = ""

    def __iter__(self) -> Iterator[bytes]:
        tail = b""
        given = 0  # bytes of text
        saved: Iterator[bytes] = iter(())
        with self._open() as stream:
            while True:
                try:
                    block = next(saved, b"") if self.damage else stream.read(BLOCK_BYTES)
                    given += len(block)
                except (EOFError, OSError, ValueError) as error:
                    saved = self._before_damage(given)
                    block = next(saved, b"")
                    self.damage = f"the compressed data is cut or damaged ({error}); everything before it was read"
                if not block:
                    break
                end = block.rfind(b"\n") + 1
                if end == 0:
                    tail += block
                    if len(tail) > LINE_BYTES_MAX:
                        raise DataError(str(self.path), f"a line beyond {LINE_BYTES_MAX >> 20} MiB: not a text of messages")
                    continue
                yield tail + block[:end] if tail else block[:end]
                tail = block[end:]
        if tail and not self.damage:
            yield tail + b"\n"

    def _before_damage(self, given: int) -> Iterator[bytes]:
        """What can be read behind the first `given` bytes of text: a fast reader gives nothing of the block that is damaged."""
        for text, _ in gzip_pieces(self.path, 0, DAMAGE_STEP_BYTES):
            if given >= len(text):
                given -= len(text)
            else:
                yield text[given:]
                given = 0

    def _open(self) -> IO[bytes]:
        try:
            plain = self.path.open("rb")
            magic = plain.read(2)
        except OSError as error:
            raise DataError(str(self.path), f"cannot be read: {error.strerror}") from None
        if magic == _GZIP_MAGIC:
            plain.close()
            opened: Any = igzip_threaded
            return cast(IO[bytes], opened.open(str(self.path), "rb", threads=1, block_size=BLOCK_BYTES))
        plain.seek(0)
        return plain


def is_gzip(path: str | Path) -> bool:
    """True if the file begins as gzip does, whatever its name."""
    with Path(path).open("rb") as stream:
        return stream.read(2) == _GZIP_MAGIC


def first_line(path: str | Path) -> bytes:
    """The first line without its newline; empty for an empty file.

    Raises:
        DataError: as LineBlocks.
    """
    blocks: Any = iter(LineBlocks(path))
    return next(blocks, b"").split(b"\n", 1)[0].rstrip(b"\r")
