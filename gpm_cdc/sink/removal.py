"""Taking what a mapping owns out of the graph again, in transactions of bounded size.

Needs the mapping alone, not the tables: those may be gone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gpm_cdc.cypher.edges import path_pattern
from gpm_cdc.cypher.journal import forget
from gpm_cdc.cypher.loading import delete_some
from gpm_cdc.cypher.retiring import retire_nodes
from gpm_cdc.cypher.schema import CHECKPOINT_LABEL, PREFIX
from gpm_cdc.cypher.statement import Statements
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.sink.writer import Neo4jWriter


class Removed(NamedTuple):
    """How much was there. Relationships that go together with a node are not counted."""

    nodes: int
    relationships: int


async def remove_elements(writer: Neo4jWriter, mapping: GraphMapping) -> Removed:
    """Delete every relationship and node that `mapping` owns. The users' own relationships on those nodes go, too."""
    relationships = 0
    for pattern in dict.fromkeys(_patterns(mapping)):
        found = [-1]
        while found[-1]:
            await _run(writer, delete_some(pattern, found.append))
        relationships += sum(found[1:])
    nodes = 0
    for label in dict.fromkeys(node.label for node in mapping.nodes):
        found = [-1]
        while found[-1]:
            await _run(writer, retire_nodes(label, found.append))
        nodes += sum(found[1:])
    return Removed(nodes, relationships)


async def _run(writer: Neo4jWriter, steps: Statements) -> None:
    """Each statement in a transaction of its own: there is no order between them that anybody could see."""
    try:
        statement = next(steps)
        while True:
            statement = steps.send(await writer.ask(statement.text, rows=statement.rows))
    except StopIteration:
        return


def _patterns(mapping: GraphMapping) -> Iterator[str]:
    """One pattern, with relationship `e`, per kind of relationship that the mapping owns."""
    for node in mapping.nodes:
        for edge in node.relationships:
            target = mapping.node(edge.target)
            if target is not None:
                near, far = (node, target) if edge.direction == "out" else (target, node)
                yield path_pattern(near.label, (edge.type,), far.label)
    for table in mapping.relationships:
        start, end = mapping.node(table.start.target), mapping.node(table.end.target)
        if start is not None and end is not None:
            yield path_pattern(start.label, table.types, end.label)


async def remove_schema(writer: Neo4jWriter, mapping: GraphMapping) -> int:
    """Drop our constraints and indexes on the labels and types of `mapping`; how many there were."""
    names = [
        *(node.label for node in mapping.nodes),
        *(kind for table in mapping.relationships for kind in table.types),
    ]
    return await writer.drop_structures(names, keeping=())


async def remove_checkpoint(writer: Neo4jWriter, stream: str) -> None:
    """Delete checkpoint and journal of `stream`; with the last one their constraint and index go, too."""
    await writer.ask(f"MATCH (s:{CHECKPOINT_LABEL} {{stream: $stream}}) DETACH DELETE s", stream=stream)
    await _run(writer, forget(stream))
    if not (await writer.ask(f"MATCH (s:{CHECKPOINT_LABEL}) RETURN count(s)"))[0][0]:
        await writer.ask(f"DROP CONSTRAINT {PREFIX}checkpoint IF EXISTS")
        await writer.ask(f"DROP INDEX {PREFIX}touched IF EXISTS")
