"""When funding is paid."""

from pathlib import Path

import pytest

from reactor.backtest.funding import HOUR_NS, funding_times, funding_words
from reactor.backtest.parameters import BacktestParameters
from reactor.domain.errors import ConfigError, DataError

DAY_NS = 24 * HOUR_NS
MIDNIGHT_NS = 19_944 * DAY_NS  # 9 August 2024


def test_a_rate_is_due_every_eight_hours_from_midnight_on():
    times = funding_times(BacktestParameters((), funding_rate=0.0001), MIDNIGHT_NS - 1, MIDNIGHT_NS + DAY_NS)
    assert [(each.time_ns - MIDNIGHT_NS) // HOUR_NS for each in times] == [0, 8, 16, 24]
    assert {each.rate_e8 for each in times} == {10_000}


def test_without_a_rate_nothing_is_booked_and_the_report_says_so():
    parameters = BacktestParameters(())
    assert funding_times(parameters, 0, DAY_NS) == []
    assert "none booked" in funding_words(parameters)


def test_a_file_gives_times_in_any_unit_or_as_dates(tmp_path: Path):
    path = tmp_path / "funding.csv"
    path.write_text("time,rate\n1723161600,0.0001\n1723161600000,0.0002\n2024-08-09T08:00:00,-0.0003\n1724000000,1e-4\n")
    parameters = BacktestParameters((), funding_file=str(path))
    times = funding_times(parameters, MIDNIGHT_NS, MIDNIGHT_NS + DAY_NS)
    assert [((each.time_ns - MIDNIGHT_NS) // HOUR_NS, each.rate_e8) for each in times] == [
        (0, 10_000),
        (0, 20_000),
        (8, -30_000),
    ]


def test_a_line_that_is_none_is_named(tmp_path: Path):
    path = tmp_path / "funding.csv"
    path.write_text("time,rate\n1723161600,0.0001\nyesterday,0.0001\n")
    with pytest.raises(DataError, match=":3: is not time,rate"):
        funding_times(BacktestParameters((), funding_file=str(path)), 0, 1)


def test_a_rate_in_percent_is_refused():
    with pytest.raises(ConfigError, match="share of the notional"):
        funding_times(BacktestParameters((), funding_rate=1.0), 0, 1)
