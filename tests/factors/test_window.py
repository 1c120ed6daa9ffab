"""The C window against a sorted list."""

import math
import random
from collections import deque

import pytest

from reactor.factors.window import Window


@pytest.mark.parametrize(("seed", "capacity"), [(1, 1), (2, 2), (3, 7), (4, 64), (5, 333)])
def test_rank_and_quantile_equal_the_naive_ones_however_many_samples_passed(seed, capacity):
    rng = random.Random(seed)
    window, twin = Window(capacity), deque(maxlen=capacity)
    for _ in range(1500):
        sample = rng.choice([rng.uniform(-1, 1), float(rng.randint(-3, 3))])
        assert window.push(sample)
        twin.append(sample)
        value = rng.choice([rng.uniform(-1.5, 1.5), sample, float(rng.randint(-4, 4))])
        below = sum(other < value for other in twin)
        equal = sum(other == value for other in twin)
        assert window.rank(value) == (below + equal / 2) / len(twin)
        share = rng.random()
        assert window.quantile(share) == sorted(twin)[math.floor(share * (len(twin) - 1))]
        assert len(window) == len(twin)


def test_an_empty_window_has_no_opinion():
    window = Window(4)
    assert window.rank(3.0) == 0.5
    assert math.isnan(window.quantile(0.5))


def test_a_sample_that_is_not_finite_is_refused():
    window = Window(4)
    assert not window.push(math.nan)
    assert not window.push(math.inf)
    assert len(window) == 0


def test_clearing_forgets_every_sample():
    window = Window(2)
    window.push(1.0)
    window.push(2.0)
    assert window.is_full
    window.clear()
    assert len(window) == 0
    window.push(5.0)
    assert window.quantile(0.0) == 5.0
