"""Accounts → figures."""

import math

import numpy as np

from reactor.backtest.figures import changes_of, drawdown_of, sharpe, sortino

S = 1_000_000_000


def test_the_drawdown_is_the_deepest_fall_below_an_earlier_high():
    times = np.arange(7, dtype=np.int64) * S
    net = np.array([0.0, 3.0, 1.0, 2.0, 5.0, -1.0, 0.0])
    assert drawdown_of(times, net) == (6.0, 2.0)


def test_an_account_that_only_loses_is_below_its_beginning_all_the_time():
    times = np.arange(4, dtype=np.int64) * S
    assert drawdown_of(times, np.array([-1.0, -2.0, -3.0, -4.0]))[0] == 4.0


def test_an_account_that_only_earns_has_no_drawdown():
    assert drawdown_of(np.arange(3, dtype=np.int64) * S, np.array([0.0, 1.0, 2.0])) == (0.0, 0.0)


def test_sharpe_is_mean_over_deviation_annualised():
    changes = np.array([1.0, 2.0, 3.0])
    assert sharpe(changes, 60) == 2.0 / 1.0 * math.sqrt(365 * 86_400 / 60)


def test_sortino_looks_only_at_losses():
    changes = np.array([1.0, -1.0, 3.0, 1.0])
    assert sortino(changes, 3600) == 1.0 / math.sqrt(1.0 / 4) * math.sqrt(365 * 24)


def test_where_nothing_changes_there_is_neither():
    assert sharpe(np.zeros(5), 60) is None
    assert sortino(np.ones(5), 60) is None
    assert sharpe(np.array([1.0]), 60) is None


def test_the_period_is_the_longest_that_gives_a_hundred_changes():
    times = np.arange(0, 7201, dtype=np.int64) * S
    period_s, changes = changes_of(times, np.arange(7201, dtype=float))
    assert period_s == 60
    assert len(changes) == 120
    assert set(changes.tolist()) == {60.0}


def test_between_samples_the_last_one_holds():
    times = np.array([0, 10, 300], np.int64) * S
    period_s, changes = changes_of(times, np.array([0.0, 5.0, 9.0]))
    assert period_s == 1
    assert changes.sum() == 9.0
    assert changes[9] == 5.0
    assert changes[-1] == 4.0
