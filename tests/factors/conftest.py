"""Real captures for the factors' judges."""

import os
from pathlib import Path
from typing import Any

import pytest

CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "captures"


@pytest.fixture(scope="session", params=["usdm/btcusdt_20240808.gz", "spot/btcusdt_20240808.gz"], ids=["perpetual", "spot"])
def capture(request: pytest.FixtureRequest) -> Any:
    """(events, tick size, lot size) of a recorded market."""
    from reactor.data.convert.collector import convert_collector

    path = CAPTURES / request.param
    if not path.is_file():
        pytest.skip(f"no captures: {path}; CRYPTO_TRADE_DATA names their folder")
    events, _ = convert_collector([path])
    return (events, 0.1, 0.001) if "usdm" in request.param else (events, 0.01, 0.00001)
