"""The host's own count of who waits for a core."""

from pathlib import Path

import pytest

from reactor.loop.pressure import Pressure


def test_the_total_of_the_first_line_counts(tmp_path: Path) -> None:
    file = tmp_path / "cpu"
    file.write_text("some avg10=1.50 avg60=0.98 avg300=0.70 total=19172016303\nfull avg10=0.00 avg60=0.00 total=7\n")
    pressure = Pressure(file)
    assert pressure.waited_us() == 19_172_016_303
    file.write_text("some avg10=1.50 avg60=0.98 avg300=0.70 total=19172016304\n")
    assert pressure.waited_us() == 19_172_016_304


@pytest.mark.parametrize("text", [None, "", "some\n", "total=many\n"])
def test_a_kernel_that_does_not_count_has_no_pressure(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "cpu").write_text(text)
    assert Pressure(tmp_path / "cpu").waited_us() == 0
