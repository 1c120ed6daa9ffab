"""What every benchmark says about the machine that it ran on."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Processor, cores, kernel: one line."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
