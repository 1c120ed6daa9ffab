"""Two runs are compared by ratio, each number in its own direction."""

import json
from pathlib import Path

import pytest

from reactor.domain.errors import ConfigError
from reactor.supervisor.bench import PROGRAMS, ROOT, bench, regressions

BEFORE = {"one_way_ns": {"ring": {"p50": 400, "p99": 900}}, "messages_per_s": {"batch": 20e6}, "seed": 1}


def test_equal_runs_have_no_regression():
    assert regressions(BEFORE, BEFORE) == []


def test_a_latency_is_worse_upwards_and_a_rate_downwards():
    after = {"one_way_ns": {"ring": {"p50": 600, "p99": 300}}, "messages_per_s": {"batch": 10e6}, "seed": 9}
    assert [path for path, _, _ in regressions(BEFORE, after)] == ["one_way_ns.ring.p50", "messages_per_s.batch"]


def test_every_program_is_there_and_gives_its_numbers_to_programs() -> None:
    for name, (program, how) in PROGRAMS.items():
        source = (ROOT / program.split()[0]).read_text()
        assert how in ("stdout", "file"), name
        assert "--json" in source, name


@pytest.mark.parametrize(("text", "words"), [(None, "No such file"), ("{", "--json > FILE")], ids=["no file", "no run"])
def test_what_cannot_be_compared_with_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, words: str
) -> None:
    path = tmp_path / "before.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setitem(PROGRAMS, "ring", ("no such program.py", "stdout"))
    with pytest.raises(ConfigError, match=words):
        bench("ring", compare=path)


def test_a_run_of_another_benchmark_is_no_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, program = tmp_path / "before.json", tmp_path / "program.py"
    before.write_text(json.dumps(BEFORE))
    program.write_text('print(\'{"other": {"p50": 1}}\')')
    monkeypatch.setitem(PROGRAMS, "ring", (str(program), "stdout"))
    with pytest.raises(ConfigError, match="which benchmark"):
        bench("ring", compare=before)
