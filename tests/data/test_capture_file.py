"""Writing captures: what is in the file stays in it, whatever happens to the process, the disk or the bytes."""

import gzip
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from reactor.data.capture_file import CaptureFile, Recovered, packed
from reactor.domain.errors import DataError

LINES = [
    b'%d {"u":%d,"b":"60000.%02d"}\n' % (1_700_000_000_000_000_000 + number, number, number % 100) for number in range(5000)
]


def write(path: Path, lines: list[bytes]) -> Recovered:
    file = CaptureFile(path)
    for line in lines:
        file.append(line)
    file.close()
    return file.recovered


def read(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def test_a_flush_makes_every_line_readable(tmp_path: Path) -> None:
    file = CaptureFile(tmp_path / "a.gz")
    for line in LINES[:10]:
        file.append(line)
    file.flush()
    assert read(file.path) == LINES[:10]
    file.append(LINES[10])
    assert read(file.path) == LINES[:10], "what waits is not in the file yet"
    file.close()
    assert read(file.path) == LINES[:11]


def test_a_second_process_appends_and_knows_the_last_line(tmp_path: Path) -> None:
    assert write(tmp_path / "a.gz", LINES[:100]) == Recovered()
    recovered = write(tmp_path / "a.gz", LINES[100:200])
    assert (recovered.lines, recovered.last_ns, recovered.torn_bytes) == (100, 1_700_000_000_000_000_099, 0)
    assert read(tmp_path / "a.gz") == LINES[:200]


def test_a_snapshot_at_the_end_does_not_say_that_the_streams_came_so_far(tmp_path: Path) -> None:
    write(tmp_path / "a.gz", [*LINES[:100], b'1800000000000000000 {"lastUpdateId":1,"bids":[],"asks":[]}\n'])
    recovered = write(tmp_path / "a.gz", [])
    assert (recovered.lines, recovered.last_ns) == (101, 1_700_000_000_000_000_099)


@pytest.mark.parametrize("lost", [1, 8, 500, 5000])
def test_a_torn_member_keeps_every_line_that_can_be_read(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "a.gz"
    whole, torn = packed(b"".join(LINES[:1000])), packed(b"".join(LINES[1000:]))
    path.write_bytes(whole + torn[:-lost])
    recovered = write(path, [b"1800000000000000000 {}\n"])
    kept = read(path)
    assert kept[-1] == b"1800000000000000000 {}\n"
    assert kept[:-1] == LINES[: len(kept) - 1]
    assert recovered.lines == len(kept) - 1
    assert recovered.saved_lines == recovered.lines - 1000
    assert recovered.torn_bytes == len(torn) - lost
    if lost == 1:
        assert recovered.lines == 5000
    assert recovered.saved_lines > 3000 * (lost < 5000)


def test_zeros_behind_a_torn_member_cost_at_most_a_few_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    torn = packed(b"".join(LINES))
    path.write_bytes(torn[: len(torn) // 2] + bytes(8192))
    recovered = write(path, [])
    assert read(path) == LINES[: recovered.lines]
    assert recovered.lines > 1500


def test_a_file_that_is_no_capture_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(b"my diary, not a capture" * 100)
    with pytest.raises(DataError, match="is no capture that could be appended to"):
        CaptureFile(path)
    assert path.read_bytes() == b"my diary, not a capture" * 100


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/a\.gz.*cannot be written"):
        CaptureFile(tmp_path / "file" / "a.gz")


def test_two_recorders_do_not_write_one_file(tmp_path: Path) -> None:
    first = CaptureFile(tmp_path / "a.gz")
    with pytest.raises(DataError, match="another recorder is writing it"):
        CaptureFile(tmp_path / "a.gz")
    first.close()
    CaptureFile(tmp_path / "a.gz").close()


FULL = """
import resource, sys
from reactor.data.capture_file import CaptureFile
from reactor.domain.errors import DataError
from pathlib import Path
file = CaptureFile(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
try:
    for number in range(200_000):
        file.append(b"%d {%d}\\n" % (number, number * number))
        if number % 100 == 0:
            file.flush()
except DataError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, timeout=60, check=True)
    assert "cannot be written" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY, "only the child's disk was full"
    numbers = [int(line.split()[0]) for line in read(path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 1000
