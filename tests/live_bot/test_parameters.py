"""What a trader may set of a live bot, and what not."""

from dataclasses import replace

import pytest

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.live_bot.parameters import AssetParameters, LiveBotParameters

GOOD = LiveBotParameters("grid", "grid.py", "trade", (AssetParameters(0, 90.0, 110.0),))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"orders_max": 0}, "orders_max 0; give 1 to 8192"),
        ({"orders_max": 9000}, "orders_max 9000"),
        ({"clock_speed": 0.0}, "clock_speed 0.0; give more than 0"),
        ({"assets": ()}, "it trades nothing"),
        ({"assets": (AssetParameters(0, 110.0, 90.0),)}, "must be below roi_ub 90.0"),
        ({"assets": (AssetParameters(0, 0.0, 1e9),)}, "ticks; at most"),
    ],
)
def test_what_cannot_be_is_one_sentence(bench, wrong: dict, sentence: str):
    instruments = Instruments(bench.instruments)
    GOOD.check(instruments)
    with pytest.raises(ConfigError, match=sentence):
        replace(GOOD, **wrong).check(instruments)
