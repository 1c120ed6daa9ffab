"""Outputs: whole under their name or not there; never written by two at once."""

from pathlib import Path

import pytest

from reactor.data.part_file import PartFile
from reactor.domain.errors import DataError


def test_a_file_has_its_name_only_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    part = PartFile(path)
    part.file.write(b"whole")
    assert not path.exists()
    part.finish()
    part.discard()
    assert [each.name for each in tmp_path.iterdir()] == ["x.npz"]
    assert path.read_bytes() == b"whole"


def test_what_is_discarded_leaves_nothing_and_keeps_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"before")
    part = PartFile(path)
    part.file.write(b"half")
    part.discard()
    assert [each.name for each in tmp_path.iterdir()] == ["x.npz"]
    assert path.read_bytes() == b"before"


def test_two_never_write_the_same_file_at_once(tmp_path: Path) -> None:
    first = PartFile(tmp_path / "x.npz")
    with pytest.raises(DataError, match="another process is writing it"):
        PartFile(tmp_path / "x.npz")
    first.file.write(b"whole")
    first.finish()
    first.discard()
    second = PartFile(tmp_path / "x.npz")
    second.discard()
    assert (tmp_path / "x.npz").read_bytes() == b"whole"


def test_what_a_killed_process_left_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "x.npz.part").write_bytes(b"left by somebody who was killed")
    part = PartFile(tmp_path / "x.npz")
    part.file.write(b"new")
    part.finish()
    assert (tmp_path / "x.npz").read_bytes() == b"new"
