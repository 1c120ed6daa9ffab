"""Fixtures of the room's tests; the room itself is in prepost_room.py."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from prepost_room import Room


@pytest.fixture
def make_room() -> Callable[..., Room]:
    """A room that has not started to trade."""
    return Room


@pytest.fixture
def room() -> Room:
    """A room that trades."""
    made = Room()
    made.start_trading()
    return made
