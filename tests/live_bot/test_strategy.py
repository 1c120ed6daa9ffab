"""The user's function: found, given its values, compiled, and recorded."""

from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the extra `backtest` is not installed")

from reactor.domain.errors import ConfigError
from reactor.live_bot.strategy import arguments_of, compiled, load_function, recorder_name

SOURCE = """
from numba import njit

@njit
def trade(hbt, recorder, skew, levels, half_spread=2.0):
    hbt[0] = skew + half_spread + levels[1]

def plain(hbt):
    hbt[0] = 1.0

@njit
def nonsense(hbt):
    return hbt.no_such_thing

no_function = 5
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return str(path)


def test_every_parameter_gets_its_value_from_the_config_or_its_default(file: str):
    import numpy as np

    function = load_function(file, "trade")
    assert recorder_name(function, {}) == "recorder"
    memory = np.zeros(1)
    arguments = arguments_of(function, memory, 7, {"skew": 1, "levels": [5.0, 6.0]})
    assert arguments[:3] == (memory, 7, 1)
    assert list(arguments[3]) == [5.0, 6.0]
    compiled(function, arguments)()
    assert memory[0] == 9.0


def test_a_plain_function_is_compiled_too(file: str):
    assert hasattr(load_function(file, "plain"), "py_func")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "no value for its parameter 'skew'"),
        ({"skew": 1, "levels": [1], "speed": 3}, "has no parameter 'speed'; it has recorder, skew, levels, half_spread"),
    ],
)
def test_a_parameter_without_value_and_a_value_without_parameter_are_named(file: str, given: dict, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        arguments_of(load_function(file, "trade"), None, None, given)


@pytest.mark.parametrize(("name", "sentence"), [("absent", "no function 'absent'"), ("no_function", "it has njit, trade")])
def test_a_function_that_is_not_there_is_named_with_those_that_are(file: str, name: str, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        load_function(file, name)


def test_a_file_that_cannot_be_loaded_says_why(tmp_path: Path):
    with pytest.raises(ConfigError, match="no such Python file"):
        load_function(str(tmp_path / "absent.py"), "trade")
    (tmp_path / "broken.py").write_text("import no_such_package")
    with pytest.raises(ConfigError, match="no_such_package"):
        load_function(str(tmp_path / "broken.py"), "trade")


def test_what_numba_cannot_compile_is_a_sentence_not_a_page(file: str):
    function = load_function(file, "nonsense")
    with pytest.raises(ConfigError, match="nonsense: cannot be compiled") as error:
        compiled(function, (1.0,))
    assert len(str(error.value)) < 700
