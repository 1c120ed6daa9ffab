"""Which journal is meant, and what the command prints."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from reactor.domain.errors import ConfigError
from reactor.journal.history import next_epoch
from reactor.journal.schema import journal_path
from reactor.monitor.commands import find_journal, history


def test_the_only_journal_is_meant_if_none_is_named(tmp_path: Path) -> None:
    next_epoch(journal_path(tmp_path, "paper"))
    assert find_journal(tmp_path, None) == journal_path(tmp_path, "paper")


def test_of_several_journals_one_must_be_named(tmp_path: Path) -> None:
    for name in ("live", "paper"):
        next_epoch(journal_path(tmp_path, name))
    with pytest.raises(ConfigError, match="There are live, paper below"):
        find_journal(tmp_path, None)
    assert find_journal(tmp_path, "live") == journal_path(tmp_path, "live")


def test_no_journal_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no journal below"):
        find_journal(tmp_path, None)


def test_the_command_shows_and_exports(tmp_path: Path) -> None:
    next_epoch(journal_path(tmp_path, "paper"))
    app = typer.Typer()
    app.command()(history)
    runner = CliRunner()
    shown = runner.invoke(app, ["orders", "--directory", str(tmp_path)])
    assert shown.exit_code == 0
    assert shown.output == "no orders here\n"
    exported = runner.invoke(app, ["fills", "--directory", str(tmp_path), "--export", str(tmp_path / "fills.csv")])
    assert exported.exit_code == 0
    assert (tmp_path / "fills.csv").read_text().startswith("id,wall_ns,time")
