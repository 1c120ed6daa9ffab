"""Progress on stderr: lines where nobody looks at a bar."""

import pytest

from reactor.data import progress
from reactor.data.progress import ReadingProgress


def test_without_a_terminal_a_line_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with ReadingProgress("converting 1 file", 40_000_000) as reading:
        reading.on_bytes(10_000_000)
        reading.on_bytes(50_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("converting 1 file: 10 of 40 MB read, 25 %")
    assert lines[1].startswith("converting 1 file: 40 of 40 MB read, 100 %")


def test_a_short_run_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with ReadingProgress("converting 1 file", 10) as reading:
        reading.on_bytes(5)
        reading.on_done(10)
    assert capsys.readouterr().err == ""
