"""What the tests of shared memory share: an instance name of their own."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from shm.segment import Memory

_numbers = count()


@pytest.fixture
def instance() -> str:
    """An instance name that no other process uses."""
    return f"test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def memory(instance: str) -> Iterator[Memory]:
    """Shared memory of one process of that instance."""
    with Memory(instance, "tester") as memory:
        yield memory
