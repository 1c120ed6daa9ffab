"""What the tests of backtests share: the real capture converted once, and a small generated market."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "captures"


@pytest.fixture(scope="session")
def perpetual(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The BTCUSDT perpetual of 8 August 2024 as an event file."""
    return _converted(tmp_path_factory, "usdm/btcusdt_20240808.gz")


@pytest.fixture(scope="session")
def spot_days(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two days of BTCUSDT spot."""
    return [_converted(tmp_path_factory, f"spot/btcusdt_{day}.gz") for day in ("20240808", "20240809")]


@pytest.fixture(scope="session")
def inverse(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The coin-margined BTCUSD perpetual."""
    return _converted(tmp_path_factory, "cm/btcusd_perp_20240808.gz")


@pytest.fixture(scope="session")
def small_market(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Half a minute of a generated market."""
    from reactor.backtest.generated import generate

    return str(generate("BTCUSDT", 30.0, 1, tmp_path_factory.mktemp("market") / "btcusdt.npz"))


def _converted(factory: pytest.TempPathFactory, name: str) -> str:
    from reactor.data.convert.collector import convert_collector
    from reactor.data.npz import save_npz

    capture = CAPTURES / name
    if not capture.is_file():
        pytest.skip(f"no captures: {capture}; CRYPTO_TRADE_DATA names their folder")
    path = factory.mktemp("events") / f"{Path(name).name.removesuffix('.gz')}.npz"
    events, _ = convert_collector([capture])
    save_npz(path, events)
    return str(path)
