"""Progress of long work: a bar on a terminal, plain lines elsewhere, with the time left."""

import sys
import time
from collections.abc import Callable

from tqdm import tqdm  # type: ignore[import-untyped]

from artifacts.workers import lead

Progress = Callable[[str], None]
LINE_EVERY = 20
"""Steps between lines where there is no terminal; where there are fewer in all, each has its line."""
MOST_LINES = 100


class Steps:
    """`total` counted steps, `done` of them in an earlier run."""

    def __init__(self, label: str, total: int, done: int, say: Progress) -> None:
        self.label, self.total, self.done, self.first, self.say = label, total, done, done, say
        self.started = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(total=total, initial=done, desc=label, leave=False, disable=not (self.terminal and lead()))

    def update(self, text: str, count: int = 1) -> None:
        """`count` more steps are done; `text` tells the current metric."""
        before, self.done = self.done, self.done + count
        every = 1 if self.total < LINE_EVERY else max(LINE_EVERY, self.total // MOST_LINES)
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(count)
        if not self.terminal and (self.done // every > before // every or self.done == self.total):
            self.say(f"{self.label}: step {self.done}/{self.total}, {text}, {duration(self.left())} left")

    def left(self) -> float:
        """Seconds to the end, at the mean speed of this run."""
        return (time.monotonic() - self.started) / (self.done - self.first) * (self.total - self.done)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


def duration(seconds: float) -> str:
    """For people: `42 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
