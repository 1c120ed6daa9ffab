"""Which parameters a sweep tries: every point of a grid, or dice thrown in it. Pure.

a=1,2,3        these values                b=0:1:0.1     from 0 to 1 in steps of 0.1, both ends included
c=0.5:2        anything between (--random only)          d=0.001:1:log     likewise, evenly in orders of magnitude
"""

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from reactor.backtest.choice import value_of
from reactor.domain.errors import ConfigError

POINTS_MAX: Final = 1_000_000  # A day's work of a cluster; more was a typing mistake so far.
DIGITS: Final = 6  # Of a value that was drawn: enough to find it again, few enough to read.

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """One parameter: its values, or the range that they are drawn from."""

    name: str
    values: tuple[Any, ...] = ()
    lower: float = 0.0
    upper: float = 0.0
    is_logarithmic: bool = False

    @property
    def is_range(self) -> bool:
        """It has no values of its own."""
        return not self.values

    def draw(self, dice: random.Random) -> Any:
        """One value."""
        if self.values:
            return dice.choice(self.values)
        if self.is_logarithmic:
            drawn = math.exp(dice.uniform(math.log(self.lower), math.log(self.upper)))
        else:
            drawn = dice.uniform(self.lower, self.upper)
        return float(f"{drawn:.{DIGITS}g}")


def axis_of(text: str) -> Axis:
    """`name=…` as above.

    Raises:
        ConfigError: it is none of those.
    """
    name, equals, right = text.partition("=")
    name = name.strip()
    if not equals or not name or not right.strip():
        raise ConfigError(f"--param {text}: write name=1,2,3 or name=from:to:step")
    if ":" in right:
        return _range_of(name, right, text)
    values = tuple(dict.fromkeys(value_of(part) for part in right.split(",") if part.strip()))
    if not values:
        raise ConfigError(f"--param {text}: has no value")
    return Axis(name, values)


def _range_of(name: str, right: str, text: str) -> Axis:
    parts = [part.strip() for part in right.split(":")]
    try:
        lower, upper = Decimal(parts[0]), Decimal(parts[1])
        if len(parts) > 3 or not (lower.is_finite() and upper.is_finite()):
            raise InvalidOperation
        if len(parts) == 2 or parts[2] == "log":
            is_logarithmic = len(parts) == 3
            if not lower < upper or (is_logarithmic and lower <= 0):
                raise ConfigError(
                    f"--param {text}: a range goes from a smaller to a larger number" + " above 0" * is_logarithmic
                )
            return Axis(name, lower=float(lower), upper=float(upper), is_logarithmic=is_logarithmic)
        step = Decimal(parts[2])
    except (InvalidOperation, IndexError):
        raise ConfigError(f"--param {text}: write from:to:step, from:to or from:to:log with numbers") from None
    if not (step.is_finite() and step > 0 and lower <= upper):
        raise ConfigError(f"--param {text}: goes from a smaller to a larger number in steps greater than 0")
    count = int((upper - lower) / step) + 1
    if count > POINTS_MAX:
        raise ConfigError(f"--param {text}: {count:,} values; at most {POINTS_MAX:,}")
    is_whole = all(each == each.to_integral_value() for each in (lower, step))
    steps = (lower + number * step for number in range(count))
    return Axis(name, tuple(int(each) if is_whole else float(each) for each in steps))


def axes_of(texts: Sequence[str]) -> list[Axis]:
    """All of them.

    Raises:
        ConfigError: one is wrong, or a name appears twice.
    """
    axes = [axis_of(text) for text in texts]
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--param {name}: is given twice; write all values behind one")
    return axes


def grid(axes: Sequence[Axis]) -> Iterator[Point]:
    """Every combination, the last axis fastest.

    Raises:
        ConfigError: an axis has no values of its own, or there are too many points.
    """
    for axis in axes:
        if axis.is_range:
            raise ConfigError(f"--param {axis.name}: a range without a step is for --random; give a step")
    count = math.prod(len(axis.values) for axis in axes)
    if count > POINTS_MAX:
        raise ConfigError(f"{count:,} points; at most {POINTS_MAX:,}: take larger steps, or --random N of them")
    names = [axis.name for axis in axes]
    return (dict(zip(names, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes)))


def dice(axes: Sequence[Axis], count: int, seed: int) -> list[Point]:
    """Up to `count` different points: the same seed gives the same ones, and a larger count begins with them."""
    thrower = random.Random(seed)
    has_range = any(axis.is_range for axis in axes)
    there_are = count if has_range else math.prod(len(axis.values) for axis in axes)
    found: dict[str, Point] = {}
    throws = 0
    while len(found) < min(count, there_are) and throws < 1000 + 100 * count:
        throws += 1
        point = {axis.name: axis.draw(thrower) for axis in axes}
        found.setdefault(key_of(point), point)
    return list(found.values())


def key_of(point: Point) -> str:
    """The same point, the same word."""
    return json.dumps(point, sort_keys=True, default=str)
