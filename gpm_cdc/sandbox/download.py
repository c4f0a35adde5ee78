"""What is to be downloaded, and how far that has come."""

import threading
from typing import NamedTuple

from gpm_cdc.sandbox.steps import Progress, Step
from gpm_cdc.wording import say


class Coordinate(NamedTuple):
    """An artifact of Maven Central. `product` and `known` are what messages call it and the versions they offer."""

    group: str
    name: str
    version: str
    product: str
    known: str
    transitive: bool
    needed_mb: int
    """Megabytes of disk for it and what it depends on."""

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.product} {self.version}"


class Download:
    """One download under way: counts finished files over several threads, and can be broken off."""

    def __init__(self, coordinate: Coordinate, progress: Progress) -> None:
        self.coordinate = coordinate
        self.stop = threading.Event()
        """Set when nobody waits for the files any more; whoever downloads then raises Stopped."""
        self.total = 0
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def say_looking_up(self) -> None:
        """Tell that the list of files is being made."""
        sentence = say(
            "Looking up the files of {title} at Maven Central (only the first time).", title=self.coordinate.title
        )
        self._progress(Step(sentence))

    def begin(self, total: int) -> None:
        """Tell that `total` files will be fetched."""
        self.total = total
        sentence = say("Downloading {title} from Maven Central (only the first time).", title=self.coordinate.title)
        self._progress(Step(sentence))

    def one_more(self) -> None:
        """Tell that another file is there."""
        with self._lock:
            self._done += 1
            sentence = say(
                "Downloading {title}: {done} of {total} files.",
                title=self.coordinate.title,
                done=self._done,
                total=self.total,
            )
            self._progress(Step(sentence, detail=True))


class Stopped(Exception):
    """The download was broken off."""
