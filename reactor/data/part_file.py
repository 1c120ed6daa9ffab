"""A file that gets its name when it is whole, and that two processes never write at the same time.

    x.npz.part ──write──▶ finish ▶ on the disk ▶ renamed to x.npz
                   └────▶ discard ▶ gone

What a killed process leaves is `x.npz.part`; the next one that writes x.npz begins it anew.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from reactor.domain.errors import DataError


class PartFile:
    """Write to `file`, then `finish()`; and `discard()` in any case, which removes what was not finished."""

    def __init__(self, path: str | Path) -> None:
        """
        Raises:
            DataError: the folder cannot be written to, or another process is writing the same file.
        """
        self._path = Path(path)
        self._part = self._path.with_name(self._path.name + ".part")
        self._is_finished = False
        try:
            number = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DataError(str(self._part.parent), f"cannot be written to: {error.strerror}") from None
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(os.fstat(number), os.stat(self._part))  # Or its writer has just given it its name.
        except OSError:
            is_ours = False
        if not is_ours:
            os.close(number)
            raise DataError(str(self._path), "another process is writing it")
        os.ftruncate(number, 0)
        self.file: IO[bytes] = os.fdopen(number, "wb")

    def finish(self) -> None:
        """Gives the file its name when the disk has it.

        Raises:
            OSError: the disk is full or broken.
        """
        self.file.flush()
        os.fsync(self.file.fileno())
        os.replace(self._part, self._path)
        self._is_finished = True

    def discard(self) -> None:
        """Closes the file; removes it if it was not finished."""
        if not self._is_finished and not self.file.closed:
            self._part.unlink(missing_ok=True)
        with suppress(OSError):  # What waited for a full disk.
            self.file.close()
