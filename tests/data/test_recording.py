"""The recording of one symbol: each message once, snapshots where a book begins, a gap for everything that may be missing."""

from dataclasses import dataclass, field

import pytest

from reactor.data.recording import DAY_NS, HOLD_NS, Frame, Gap, SymbolRecording
from reactor.market.intake import FrameKind
from reactor.market.sync import SyncRule

DAY = 19_943
NOON_NS = DAY * DAY_NS + DAY_NS // 2
MS = 1_000_000


@dataclass
class Stage:
    """One symbol with time in hand. Times are ms after noon."""

    rule: SyncRule = SyncRule.CONTIGUOUS
    lines: list[tuple[int, str]] = field(default_factory=list)  # (day, line)
    gaps: list[Gap] = field(default_factory=list)
    start_ns: int = NOON_NS
    bridges: bool = False

    def __post_init__(self) -> None:
        self.recording = SymbolRecording("BTCUSDT", self.rule, True, self.write, self.gaps.append)

    def write(self, recording: SymbolRecording, line: bytes) -> None:
        self.lines.append((recording.day, line.decode().rstrip("\n")))

    def wall(self, ms: int) -> int:
        return self.start_ns + ms * MS

    def frame(self, ms: int, frame: Frame, text: str) -> None:
        self.recording.on_frame(frame, text.encode(), self.wall(ms), ms * MS, self.bridges)

    def delta(self, ms: int, first_id: int, final_id: int, previous_id: int = -1) -> None:
        frame = Frame(FrameKind.DEPTH_UPDATE, "depth", first_id, final_id, previous_id, is_delta=True)
        self.frame(ms, frame, f"d{final_id}")

    def trade(self, ms: int, trade_id: int) -> None:
        self.frame(ms, Frame(FrameKind.TRADE, "trade", trade_id=trade_id), f"t{trade_id}")

    def ticker(self, ms: int, final_id: int) -> None:
        self.frame(ms, Frame(FrameKind.BOOK_TICKER, "bookTicker", final_id=final_id), f"b{final_id}")

    def snapshot(self, ms: int, update_id: int) -> bool:
        return self.recording.on_snapshot(update_id, f"s{update_id}".encode(), self.wall(ms))

    def time(self, ms: int) -> None:
        self.recording.on_time(self.wall(ms), ms * MS)

    @property
    def told(self) -> list[str]:
        """The lines as "ms:text"."""
        return [f"{(int(line.split()[0]) - self.start_ns) // MS}:{line.split()[1]}" for _, line in self.lines]

    @property
    def reasons(self) -> list[str]:
        return [f"{gap.stream}: {gap.reason}" for gap in self.gaps]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def running(stage: Stage) -> Stage:
    """Synchronised up to id 10, nothing told yet."""
    stage.delta(0, 9, 10)
    assert stage.snapshot(5, 10)
    stage.trade(6, 100)
    stage.lines.clear()
    return stage


def test_a_file_begins_with_a_snapshot_and_nothing_that_came_before_is_lost(stage: Stage) -> None:
    stage.trade(0, 7)
    stage.delta(1, 8, 10)
    stage.delta(2, 11, 12)
    assert stage.lines == []
    assert stage.recording.sync.needs_snapshot
    assert stage.snapshot(50, 10)
    assert stage.told == ["50:s10", "0:t7", "1:d10", "50:d12"]
    assert stage.gaps == []


def test_a_snapshot_older_than_the_first_delta_is_not_written(stage: Stage) -> None:
    stage.delta(0, 8, 10)
    assert not stage.snapshot(50, 6)
    assert stage.lines == []
    assert stage.recording.sync.needs_snapshot
    assert stage.snapshot(90, 9)
    assert stage.told == ["90:s9", "90:d10"]


def test_updates_on_their_way_while_the_snapshot_was_taken_are_written_too(stage: Stage) -> None:
    stage.delta(0, 8, 10)
    assert stage.snapshot(50, 14)
    stage.delta(51, 11, 12)
    stage.delta(52, 13, 15)
    assert stage.told == ["50:s14", "0:d10", "51:d12", "52:d15"]
    assert stage.gaps == []


def test_without_a_snapshot_lines_are_released_and_the_lack_is_said(stage: Stage) -> None:
    stage.delta(0, 8, 10)
    stage.time(HOLD_NS // MS - 1)
    assert stage.lines == []
    stage.time(HOLD_NS // MS)
    assert stage.told == ["0:d10"]
    assert stage.reasons == ["snapshot: no snapshot in time: the book is incomplete until one comes"]
    stage.delta(6000, 11, 12)
    assert stage.told[-1] == "6000:d12", "and the next ones are written at once"
    assert stage.snapshot(6100, 12)
    assert stage.told[-1] == "6100:s12"


def test_each_message_is_written_once_however_many_sessions_bring_it(running: Stage) -> None:
    for _ in range(3):
        running.delta(10, 11, 12)
        running.trade(11, 101)
        running.ticker(12, 12)
        running.frame(13, Frame(FrameKind.UNKNOWN, "kline_1m"), "k1")
    assert running.told == ["10:d12", "11:t101", "12:b12", "13:k1"]
    assert running.recording.statistics.duplicates == 8


def test_missing_updates_are_a_gap_and_the_book_begins_anew(running: Stage) -> None:
    running.delta(10, 11, 12)
    running.delta(20, 15, 16)
    running.trade(21, 101)
    assert running.told == ["10:d12"]
    assert running.reasons == ["depth: the ids of the updates do not follow"]
    assert (running.gaps[0].from_ns, running.gaps[0].to_ns) == (running.wall(10), running.wall(20))
    assert running.snapshot(60, 16)
    assert running.told[1:] == ["60:s16", "20:d16", "21:t101"]
    running.delta(70, 17, 18)
    assert len(running.gaps) == 1


def test_no_line_is_stamped_before_the_one_that_was_heard_before_it(running: Stage) -> None:
    running.trade(20, 101)
    running.trade(18, 102)
    running.trade(25, 103)
    assert running.told == ["20:t101", "20:t102", "25:t103"]


def test_a_gap_begins_with_the_last_line_of_its_own_stream_whatever_other_streams_say_meanwhile(running: Stage) -> None:
    running.delta(10, 11, 12)
    running.trade(11, 101)
    running.ticker(480, 13)
    running.delta(500, 15, 16)
    running.trade(505, 103)
    assert [(gap.stream, gap.from_ns, gap.to_ns) for gap in running.gaps] == [
        ("depth", running.wall(10), running.wall(500)),
        ("trade", running.wall(11), running.wall(505)),
    ]


def test_what_no_session_fills_in_is_a_gap_from_the_last_line_before_the_hole(running: Stage) -> None:
    running.bridges = True
    running.delta(10, 11, 12)
    running.trade(11, 101)
    running.delta(20, 15, 16)
    running.trade(21, 103)
    running.delta(25, 17, 18)
    running.trade(26, 104)
    running.time(5000)
    assert sorted((gap.stream, gap.from_ns) for gap in running.gaps if gap.stream != "snapshot") == [
        ("depth", running.wall(10)),
        ("trade", running.wall(11)),
    ]


def test_futures_follow_by_the_previous_id() -> None:
    stage = Stage(SyncRule.CHAINED)
    stage.delta(0, 90, 100, 80)
    assert stage.snapshot(5, 95)
    stage.delta(10, 150, 160, 100)
    assert stage.gaps == []
    stage.delta(20, 190, 200, 170)
    assert stage.reasons == ["depth: the ids of the updates do not follow"]


def test_updates_that_another_session_fills_in_are_written_in_their_order(running: Stage) -> None:
    running.bridges = True
    running.delta(10, 13, 14)
    running.trade(12, 101)
    running.delta(20, 11, 12)
    running.delta(30, 15, 16)
    assert running.told == ["12:t101", "20:d12", "20:d14", "30:d16"]
    assert running.gaps == []


def test_updates_that_nobody_fills_in_are_a_gap(running: Stage) -> None:
    running.bridges = True
    running.delta(10, 13, 14)
    running.time(200)
    assert running.reasons == ["depth: no session brought the missing updates"]
    assert running.snapshot(210, 14)
    assert running.told == ["210:s14", "10:d14"]


def test_a_hole_in_the_trade_ids_is_a_gap_unless_another_session_fills_it(running: Stage) -> None:
    running.trade(10, 103)
    assert (running.gaps[0].stream, running.gaps[0].count) == ("trade", 2)
    running.bridges = True
    running.trade(20, 105)
    running.trade(21, 104)
    running.time(5000)
    assert len(running.gaps) == 1
    running.trade(5001, 107)
    running.time(9000)
    assert running.reasons[1:] == ["trade: no session brought the trades 106 to 106"]


def test_a_lost_session_is_a_gap_from_the_last_line_to_the_first_moment_of_the_next_one(running: Stage) -> None:
    running.ticker(10, 12)
    running.recording.on_lost(0, "connection lost")
    running.recording.on_lost(0, "connection lost again")
    running.recording.on_found(running.wall(500))
    running.delta(510, 30, 31)
    running.trade(511, 200)
    assert running.snapshot(550, 31)
    assert running.told == ["10:b12", "550:s31", "510:d31", "511:t200"]
    assert [(gap.stream, gap.from_ns, gap.to_ns, gap.reason) for gap in running.gaps] == [
        ("*", running.wall(10), running.wall(500), "connection lost")
    ]


def test_midnight_begins_a_file_with_a_snapshot_and_breaks_nothing() -> None:
    stage = Stage(start_ns=(DAY + 1) * DAY_NS)
    stage.delta(-1000, 1, 10)
    assert stage.snapshot(-990, 10)
    stage.delta(-1, 11, 12)
    stage.delta(1, 13, 14)
    stage.trade(2, 5)
    assert [day for day, _ in stage.lines] == [DAY] * 3
    assert stage.recording.sync.needs_snapshot
    assert stage.snapshot(100, 13)
    assert stage.lines[3:] == [
        (DAY + 1, f"{stage.wall(100)} s13"),
        (DAY + 1, f"{stage.wall(100)} d14"),
        (DAY + 1, f"{stage.wall(2)} t5"),
    ]
    assert stage.gaps == []
    stage.delta(110, 17, 18)
    assert stage.reasons == ["depth: the ids of the updates do not follow"]


def test_an_update_lost_at_midnight_is_noticed() -> None:
    stage = Stage(start_ns=(DAY + 1) * DAY_NS)
    stage.delta(-1000, 1, 10)
    assert stage.snapshot(-990, 10)
    stage.delta(1, 13, 14)
    assert stage.reasons == ["depth: the ids of the updates do not follow"]


def test_a_quiet_symbol_turns_the_day_by_the_clock() -> None:
    stage = Stage(start_ns=(DAY + 1) * DAY_NS)
    stage.delta(-1000, 1, 10)
    assert stage.snapshot(-990, 10)
    stage.time(500)
    assert stage.recording.day == DAY, "a stamp of before midnight may still come"
    stage.time(1001)
    assert stage.recording.day == DAY + 1
    assert stage.snapshot(1100, 10)
    assert stage.lines[-1] == (DAY + 1, f"{stage.wall(1100)} s10")


def test_the_end_writes_what_is_held_and_reports_what_is_lost(running: Stage) -> None:
    running.ticker(10, 12)
    running.recording.on_lost(0, "connection lost")
    running.ticker(15, 13)
    running.delta(20, 30, 31)
    running.recording.finish(running.wall(30))
    assert running.told == ["10:b12", "15:b13", "20:d31"]
    assert running.reasons == ["snapshot: the recording ended before the snapshot came", "*: connection lost"]
