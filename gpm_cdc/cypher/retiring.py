"""Statements that take away what a table is no longer made into, in pieces: each tells how much it did."""

from collections.abc import Callable, Sequence

from gpm_cdc.cypher.loading import DELETES_PER_TRANSACTION
from gpm_cdc.cypher.quoting import labels, quote
from gpm_cdc.cypher.statement import Statement, Statements


def retire_nodes(label: str, count: Callable[[int], None]) -> Statements:
    """Delete nodes with `label`, with all their relationships."""
    limit = DELETES_PER_TRANSACTION // 10
    records = yield Statement(
        f"MATCH (n{labels(label)}) WITH n LIMIT {limit} DETACH DELETE n RETURN count(*)", returns=True
    )
    count(records[0][0])


def retire_from_nodes(
    label: str, properties: Sequence[str], others: Sequence[str], count: Callable[[int], None]
) -> Statements:
    """Take `properties` and the labels `others` off nodes with `label`; at least one of either must be given."""
    found = [f"n.{quote(name)} IS NOT NULL" for name in properties] + [f"n{labels(name)}" for name in others]
    taken = [f"n.{quote(name)}" for name in properties] + [f"n{labels(name)}" for name in others]
    records = yield Statement(
        f"MATCH (n{labels(label)}) WHERE {' OR '.join(found)} WITH n LIMIT {DELETES_PER_TRANSACTION}"
        f" REMOVE {', '.join(taken)} RETURN count(*)",
        returns=True,
    )
    count(records[0][0])
