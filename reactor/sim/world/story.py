"""What a failing seed tells: a timeline of what each role saw, said and suffered."""

from collections import deque
from typing import Final

from reactor.loop.log import FieldValue
from reactor.sim.world.time import BOOT_NS, VirtualTime

LINES_MAX: Final = 4_000  # About two seconds of a busy world: what led to a violation is in there.


class Story:
    """Keeps the last lines, if somebody wants to hear them."""

    def __init__(self, time: VirtualTime, *, is_told: bool, lines_max: int = LINES_MAX) -> None:
        self._time = time
        self.is_told = is_told
        self.lines: deque[str] = deque(maxlen=lines_max)

    def tell(self, who: str, text: str) -> None:
        """One line."""
        if self.is_told:
            self.lines.append(f"{(self._time.now_ns - BOOT_NS) / 1e9:12.6f}  {who:<10} {text}")


class StoryLog:
    """A role's log goes into the story; errors are counted."""

    def __init__(self, story: Story, name: str) -> None:
        self._story = story
        self._name = name

    def _tell(self, level: str, text: str, fields: dict[str, FieldValue]) -> None:
        if self._story.is_told:
            self._story.tell(self._name, f"{level} {text} " + " ".join(f"{key}={value}" for key, value in fields.items()))

    def debug(self, text: str, **fields: FieldValue) -> None:
        """See reactor/loop/log.py."""
        self._tell("·", text, fields)

    def info(self, text: str, **fields: FieldValue) -> None:
        """See reactor/loop/log.py."""
        self._tell("·", text, fields)

    def warning(self, text: str, **fields: FieldValue) -> None:
        """See reactor/loop/log.py."""
        self._tell("!", text, fields)

    def error(self, text: str, **fields: FieldValue) -> None:
        """See reactor/loop/log.py."""
        self._tell("!!", text, fields)
