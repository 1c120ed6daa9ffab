"""Makes collector_bench.py importable for the tests beside it, and hands out a bench."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from collector_bench import Bench, make_bench


@pytest.fixture
def bench() -> Bench:
    return make_bench()
