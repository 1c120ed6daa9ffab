"""Makes the engine's stand importable and hands one out, connected."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from engine_stand import Stand


@pytest.fixture
def stand() -> Stand:
    """An engine with two venues, all sessions up, prepost alive."""
    stand = Stand()
    stand.bring_up()
    return stand
