"""How long the host's tasks have waited for a core: pressure stall information (Documentation/accounting/psi.rst)."""

import os
from pathlib import Path
from typing import Final

CPU_PRESSURE: Final = Path("/proc/pressure/cpu")
_TOTAL: Final = b"total="


class Pressure:
    """The host's, not ours alone: who spins wants to know whether somebody else could use the core."""

    def __init__(self, file: Path = CPU_PRESSURE) -> None:
        """A kernel that does not count has no pressure."""
        try:
            self._fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def waited_us(self) -> int:
        """The time since boot in which at least one task was ready and had no core, in µs; 0 if nobody counts it."""
        if self._fd < 0:
            return 0
        try:
            line = os.pread(self._fd, 128, 0).split(b"\n", 1)[0]  # "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234"
            return int(line.rpartition(_TOTAL)[2])
        except (OSError, ValueError):
            return 0
