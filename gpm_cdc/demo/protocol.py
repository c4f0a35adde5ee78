"""What the tour and its application say to each other: a task as an argument, then JSON objects, one a line.

The application answers `load` with a line of `Loading` after each step, and the last one is a `Loaded`. It answers
`edit` with `Announced` and `Committed` in turns, and after each it waits for a line on its standard input.
"""

from typing import Final, TypedDict

MIGRATE: Final = "migrate"
LOAD: Final = "load"
EDIT: Final = "edit"


class Loading(TypedDict):
    """How far a load is: files stored, of how many that are new or changed; definitions and rows of all tables."""

    files: int
    of: int
    definitions: int
    rows: int


class Loaded(TypedDict):
    """The end of a load: files that it was about, and what the tables hold now. `seconds` is all that it took."""

    looked_at: int
    unchanged: int
    deleted: int
    failed: int
    definitions: int
    edges: int
    seconds: float


class Announced(TypedDict):
    """The edit that comes next. `signs` are how it shows in the graph, see `edits.Signs`."""

    file: str
    what: str
    signs: dict[str, object]


class Committed(TypedDict):
    """The announced edit is made: so many rows were inserted, updated or deleted.

    `committed_at` is the moment at which COMMIT returned, in seconds of the machine's monotonic clock.
    """

    committed_at: float
    rows: int
