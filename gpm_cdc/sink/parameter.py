"""What travels to Neo4j as a parameter."""

from typing import Any, override


class Rows(list[Any]):
    """Rows that do not spell themselves out.

    The driver makes a text of every parameter for its debug log, whether anybody reads that or not: a tenth of the
    stream's processor time, and row values where none belong.
    """

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return f"<{len(self)} rows>"
