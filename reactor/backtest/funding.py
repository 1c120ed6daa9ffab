"""When funding is paid and at which rate: one rate for all, or a file. Event files and hftbacktest know nothing of it."""

import csv
from datetime import UTC, datetime

from reactor.backtest.ledger import FundingTime
from reactor.backtest.parameters import BacktestParameters
from reactor.domain.errors import ConfigError, DataError
from reactor.domain.units import E8

HOUR_NS = 3_600_000_000_000
RATE_MAX = 1.0  # A rate is a share of the notional: 0.0001 is one basis point.


def funding_times(parameters: BacktestParameters, first_ns: int, last_ns: int) -> list[FundingTime]:
    """Every funding time within the data.

    Raises:
        ConfigError: the rate or the interval make no sense.
        DataError: the file is none of funding rates.
    """
    if parameters.funding_file:
        return [each for each in _of_file(parameters.funding_file) if first_ns <= each.time_ns <= last_ns]
    if parameters.funding_rate is None:
        return []
    if not abs(parameters.funding_rate) < RATE_MAX:
        raise ConfigError(f"--funding-rate {parameters.funding_rate:g}: is a share of the notional (0.0001: one basis point)")
    step_ns = round(parameters.funding_interval_h * HOUR_NS)
    if step_ns <= 0:
        raise ConfigError(f"--funding-interval {parameters.funding_interval_h:g}: must be greater than 0 hours")
    rate_e8 = round(parameters.funding_rate * E8)
    first = -(-first_ns // step_ns) * step_ns
    return [FundingTime(time_ns, rate_e8) for time_ns in range(first, last_ns + 1, step_ns)]


def funding_words(parameters: BacktestParameters) -> str:
    """What the report says about it."""
    if parameters.funding_file:
        return f"from {parameters.funding_file}, on the mid price"
    if parameters.funding_rate is None:
        return "none booked: no rate was given (--funding-rate, --funding)"
    return f"{parameters.funding_rate:.6%} every {parameters.funding_interval_h:g} h from midnight UTC on, on the mid price"


def _of_file(path: str) -> list[FundingTime]:
    """`time,rate` per line; the time in ns, ms or s since the epoch, or ISO 8601 (UTC unless it says otherwise)."""
    try:
        with open(path, newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise DataError(path, "is not a CSV file of time,rate") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            rate = float(line[1])
            if not abs(rate) < RATE_MAX:
                raise ValueError(rate)
            found.append(FundingTime(_time_ns(line[0]), round(rate * E8)))
        except (ValueError, IndexError, OverflowError):
            if number > 1:  # The first may be a heading.
                raise DataError(f"{path}:{number}", "is not time,rate") from None
    if not found:
        raise DataError(path, "holds no funding rate")
    return found


def _time_ns(text: str) -> int:
    if text.strip().isdigit():
        number = int(text)
        for factor in (1, 1_000_000, 1_000_000_000):
            if number * factor > 10**17:  # 1973 in ns: smaller numbers are of a coarser unit.
                return number * factor
        raise ValueError(text)
    moment = datetime.fromisoformat(text.strip())
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6) * 1000
