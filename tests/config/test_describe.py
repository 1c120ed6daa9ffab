"""The complete configs in deploy/config are the profiles, with every key and its reason."""

from pathlib import Path

import pytest

from reactor.config.describe import commented_yaml
from reactor.config.load import load
from reactor.domain.errors import ConfigError

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "config"
OPTIONS = {"replay": {"exchanges.binance.simulated.replay_paths": ["captures"]}}


@pytest.mark.parametrize("name", ["generated", "replay", "demo", "testnet", "live"])
def test_a_complete_config_loads_to_its_profile(name: str):
    try:
        whole = load(path=FOLDER / f"{name}.yaml", options=OPTIONS.get(name))
    except ConfigError as error:
        pytest.fail(f"a parameter has changed: run python deploy/config/write.py ({error})")
    assert whole == load(name, options=OPTIONS.get(name)), "a parameter has changed: run python deploy/config/write.py"


@pytest.mark.parametrize("name", ["obi-mm", "live-bots"])
def test_an_example_is_valid_as_it_stands(name: str):
    assert load(path=FOLDER / f"{name}.yaml").profile == "generated"


def test_what_is_written_loads_to_the_same_config(tmp_path: Path):
    config = load("generated", assignments=["risk_control.clip_usdt=75.5", "strategy.pair_terms.opens_as_maker=true"])
    path = tmp_path / "whole.yaml"
    path.write_text(commented_yaml(config))
    assert load(path=path) == config


def test_every_risk_limit_stands_there_with_its_reason():
    text = commented_yaml(load("live"))
    assert "capital_usdt_max: 5000.0  # per instrument, at cost, reserved included" in text
    assert "opens_as_maker: false  # False: takes through the book" in text
