"""Keeps the cores from falling asleep while a session runs.

A core with nothing to do sleeps, and what wakes it finds everything cold: a virtual one is given back to its host, and a tick
that comes 3 ms later costs twice to three times as much. The kernel lets a process ask for short wake-ups (PM QoS,
Documentation/power/pm_qos_interface.rst): while /dev/cpu_dma_latency is held open with 0 µs written into it, an idle core polls
instead of sleeping. Nobody loses a core to it, but power is spent; it ends with the file, however its holder ends.
"""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CPU_DMA_LATENCY: Final = Path("/dev/cpu_dma_latency")
NO_LATENCY: Final = struct.pack("=i", 0)  # µs


@contextlib.contextmanager
def cores_awake(is_wanted: bool, file: Path = CPU_DMA_LATENCY) -> Iterator[str]:
    """Holds the request. What is yielded says how it stands: it is no reason to stop if the kernel refuses."""
    if not is_wanted:
        yield "as the kernel likes: system.placement.keep_awake is off"
        return
    try:
        held = file.open("wb", buffering=0)
    except OSError as error:
        yield f"cores may sleep between ticks: {file}: {error.strerror}"
        return
    with held:
        try:
            held.write(NO_LATENCY)
        except OSError as error:
            yield f"cores may sleep between ticks: {file}: {error.strerror}"
        else:
            yield "cores are kept awake"
