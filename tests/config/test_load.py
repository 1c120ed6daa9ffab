"""From YAML, environment and options to one config, or to every problem at once."""

from pathlib import Path

import pytest

from reactor.config.load import PROFILES, load, merge, profile_text
from reactor.config.schema import Config
from reactor.domain.errors import ConfigError


def problems_of(**arguments) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(**arguments)
    return caught.value.problems


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "replay"])
def test_a_shipped_profile_is_valid(profile: str):
    assert load(profile).profile == profile


def test_the_replay_profile_needs_captures_and_says_how_to_name_them():
    assert any("--replay PATH" in problem for problem in problems_of(profile="replay"))
    options = {"exchanges.binance.simulated.replay_paths": ["captures"]}
    assert load("replay", options=options).exchanges.binance.simulated.replay_paths == ("captures",)


def test_a_profile_that_does_not_exist_is_refused_with_the_nearest_one():
    assert problems_of(profile="genrated") == ["profile: there is no 'genrated'; did you mean 'generated'?"]


def test_an_unknown_key_is_refused_with_its_path_and_the_nearest_key(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("risk_control: {cooldown_sec: 5}\n")
    assert problems_of(path=path) == [f"risk_control.cooldown_sec ({path}): unknown key; did you mean 'cooldown_s'?"]


def test_every_problem_is_told_at_once(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("risk_control: {clip_usdt: many, colldown_s: 1}\nsystem: {instance: 'A B'}\nexchange: {}\n")
    found = problems_of(path=path)
    assert len(found) == 4
    assert {problem.split(" ")[0] for problem in found} == {
        "risk_control.clip_usdt",
        "risk_control.colldown_s",
        "system.instance",
        "exchange",
    }


def test_values_that_are_refused_do_not_hide_contradictions(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "risk_control: {clip_usdt: many}\nsystem: {log: {level: loud}}\nexchanges: {binance: {simulated: {speed: 0.0}}}\n"
    )
    found = problems_of(path=path)
    assert [problem.partition(" ")[0].rstrip(":") for problem in found] == [
        "risk_control.clip_usdt",
        "exchanges.binance.simulated.speed",
        "system.log.level",
    ]


def test_the_token_of_external_signals_has_no_place_in_a_config():
    (problem,) = problems_of(assignments=["strategy.external.decoder.token=secret"])
    assert "unknown key" in problem
    door = "strategy.external.zeromq=[{address: 'tcp://0.0.0.0:5555'}]"
    (problem,) = problems_of(assignments=[door, "strategy.external.allow_remote=true"])
    assert "name a token_variable or token_file" in problem


def test_environment_overrides_file_and_assignments_override_environment(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("risk_control: {clip_usdt: 60.0, cooldown_s: 7.0, daily_trades_max: 5}\n")
    environment = {"CRYPTO_TRADE__RISK_CONTROL__CLIP_USDT": "70", "CRYPTO_TRADE__RISK_CONTROL__COOLDOWN_S": "8", "HOME": "/"}
    risk = load(path=path, environment=environment, assignments=["risk_control.cooldown_s=9"]).risk_control
    assert (risk.clip_usdt, risk.cooldown_s, risk.daily_trades_max) == (70.0, 9.0, 5)


def test_an_environment_variable_reaches_into_lists_and_keys_of_any_case():
    environment = {
        "CRYPTO_TRADE__STRATEGY__PAIRS__1__OPEN": "binance_spot:ETHUSDT",
        "CRYPTO_TRADE__EXCHANGES__BINANCE__SIMULATED__SPOT_BALANCES__BTC": "'2'",
    }
    config = load(environment=environment)
    assert config.strategy.pairs[1].open == "binance_spot:ETHUSDT"
    assert config.exchanges.binance.simulated.spot_balances["BTC"] == "2"


def test_a_wrong_value_in_the_environment_is_named_by_its_variable():
    found = problems_of(environment={"CRYPTO_TRADE__RISK_CONTROL__DAILY_TRADES_MAX": "lots"})
    assert "environment variable CRYPTO_TRADE__RISK_CONTROL__DAILY_TRADES_MAX" in found[0]


def test_a_key_that_appears_twice_is_refused_with_its_line(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("system: {instance: a}\nsystem: {instance: b}\n")
    assert problems_of(path=path) == [f"{path}:2: not valid YAML: key 'system' appears twice"]


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path):
    assert problems_of(path=tmp_path / "none.yaml") == [f"{tmp_path / 'none.yaml'}: No such file or directory"]


def test_merging_changes_neither_side():
    base, over = {"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}
    assert merge(base, over) == {"a": {"b": 1, "c": [2]}}
    assert base == {"a": {"b": 1, "c": [1]}}


def test_the_parameters_of_the_rooms_are_the_defaults_of_the_config():
    risk = load("live").risk_control
    assert (risk.cooldown_s, risk.clip_usdt, risk.capital_usdt_max, risk.exposure_ratio_max) == (60.0, 50.0, 5000.0, 0.03)


def test_a_config_never_holds_a_secret():
    fields = str(Config.model_json_schema())
    assert "secret_variable" in fields
    assert "'secret'" not in fields


def test_profiles_are_readable_texts():
    assert all(profile_text(name).startswith("#") for name in PROFILES)


def test_a_file_that_a_config_names_is_looked_for_beside_the_config(tmp_path: Path):
    (tmp_path / "my_rule.py").write_text("")
    path = tmp_path / "mine.yaml"
    path.write_text("risk_control: {rule_files: [my_rule.py]}\n")
    assert load(path=path).risk_control.rule_files == (str(tmp_path / "my_rule.py"),)


def test_a_file_that_a_config_names_and_that_does_not_exist_is_refused_by_its_full_name(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("risk_control: {rule_files: [my_rule.py]}\n")
    assert problems_of(path=path) == [f"risk_control.rule_files: {tmp_path / 'my_rule.py'}: no such file"]
