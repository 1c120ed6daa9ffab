"""A compiled module is used only where it was made from the very file that lies there, by this Python."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from reactor.compiled import COMPILED, INTERPRETED, state

SOURCE = "VALUE = 1\n"


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRYPTO_TRADE_INTERPRETED", raising=False)


def compiled(root: Path, python: str = str(sys.implementation.cache_tag)) -> Path:
    (root / "room.py").write_text(SOURCE)
    folder = root / "hot"
    folder.mkdir()
    modules = {"room": hashlib.sha256(SOURCE.encode()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"python": python, "modules": modules}))
    return folder


def test_what_was_made_from_these_files_is_used(tmp_path: Path) -> None:
    assert state(tmp_path, compiled(tmp_path))[0] == COMPILED


def test_after_an_edit_everything_is_interpreted_and_the_file_is_named(tmp_path: Path) -> None:
    folder = compiled(tmp_path)
    (tmp_path / "room.py").write_text(SOURCE + "# another thought\n")
    form, why, modules = state(tmp_path, folder)
    assert (form, dict(modules)) == (INTERPRETED, {})
    assert why.startswith("room was edited")


def test_a_file_that_is_gone_counts_as_edited(tmp_path: Path) -> None:
    folder = compiled(tmp_path)
    (tmp_path / "room.py").unlink()
    assert state(tmp_path, folder)[0] == INTERPRETED


def test_another_pythons_modules_are_left_alone(tmp_path: Path) -> None:
    assert state(tmp_path, compiled(tmp_path, "cpython-27"))[0] == INTERPRETED


def test_the_environment_overrules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_TRADE_INTERPRETED", "1")
    assert state(tmp_path, compiled(tmp_path))[0] == INTERPRETED


def test_where_nothing_was_compiled_the_remedy_is_named(tmp_path: Path) -> None:
    assert "make hot" in state(tmp_path, tmp_path / "hot")[1]
