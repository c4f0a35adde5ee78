"""How far the graph is behind its source, from what is known of both."""

from dataclasses import dataclass
from typing import NamedTuple

from gpm_cdc.domain.lsn import Lsn


class End(NamedTuple):
    """Where the source's log ended, and when that was seen."""

    position: Lsn
    at: float


@dataclass(slots=True)
class Course:
    """The graph's position and the end of the log. Times are seconds since 1970, by the clock of whoever tells them.

    `position` and `end` are None while unknown. Not all of the log is commits, and an idle source's log still grows: so
    the time of the last commit says nothing of how late the graph is. Each end that was seen has a time, too, and a
    graph that has come to it includes everything from before that.
    """

    position: Lsn | None = None
    end: End | None = None
    _promising: bool = False
    _complete_at: float | None = None
    _awaited: End | None = None

    def moved(self, position: Lsn, *, promising: bool) -> None:
        """The graph is at `position`; only when `promising` is it the state there."""
        self.position, self._promising = position, promising
        self._compare()

    def committed(self, at: float) -> None:
        """The graph includes everything that was committed before."""
        self._complete(at)

    def ends(self, position: Lsn, at: float) -> None:
        """The log ends there."""
        self.end = End(position, at)
        self._compare()

    def unseen(self) -> None:
        """Nobody knows where the log ends now."""
        self.end = None

    def _compare(self) -> None:
        position = self.position
        if position is None or not self._promising:
            return
        if self._awaited is not None and position >= self._awaited.position:
            self._complete(self._awaited.at)
            self._awaited = None
        if self.end is not None and position >= self.end.position:
            self._complete(self.end.at)
        elif self._awaited is None:
            self._awaited = self.end

    def _complete(self, at: float) -> None:
        self._complete_at = at if self._complete_at is None else max(self._complete_at, at)

    @property
    def behind_bytes(self) -> int | None:
        """The log that the graph does not include."""
        if self.position is None or self.end is None:
            return None
        return max(0, self.end.position - self.position)

    def behind_seconds(self, now: float) -> float | None:
        """Before how long it is known that the graph was complete; 0 where nothing is missing."""
        if self.position is None or self.end is None:
            return None
        if self._promising and self.position >= self.end.position:
            return 0.0
        return None if self._complete_at is None else max(0.0, now - self._complete_at)
