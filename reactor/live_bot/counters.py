"""What a live bot counts. C counts, so the names come from its header."""

from typing import Any

from reactor._native import ffi
from shm.layout import enum_of

Counter: Any = enum_of(ffi, "live_counter_e", "LIVE_COUNTER_")
