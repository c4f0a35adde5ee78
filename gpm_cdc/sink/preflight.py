"""What Neo4j must offer before a stream can begin, looked up without changing anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gpm_cdc.cypher.quoting import labels as labelled, quote
from gpm_cdc.domain.finding import Finding
from gpm_cdc.projection.plan import GraphPlan
from gpm_cdc.sink.writer import Neo4jWriter

_COMPONENTS = (
    "CALL dbms.components() YIELD name, versions, edition WHERE name = 'Neo4j Kernel' RETURN versions[0], edition"
)
_ACCESS = "SHOW DATABASES YIELD name, access, writer WHERE name = toLower($name) RETURN access, writer"
_INDEXES = (
    "SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, owningConstraint"
    " WHERE type = 'RANGE' AND entityType = 'NODE' AND owningConstraint IS NULL"
    " RETURN name, labelsOrTypes[0], properties"
)


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """The server and the database. `indexes` are plain ones on nodes: (label, properties) to the index's name."""

    version: str
    edition: str
    writable: bool
    indexes: Mapping[tuple[str, tuple[str, ...]], str]


async def read_graph(writer: Neo4jWriter, database: str) -> GraphFacts:
    """The facts of the database that `writer` writes to, called `database`."""
    version, edition = (await writer.ask(_COMPONENTS))[0]
    access = await writer.ask(_ACCESS, name=database)
    indexes = await writer.ask(_INDEXES)
    return GraphFacts(
        version=str(version),
        edition=str(edition),
        writable=all(kind == "read-write" for kind, _ in access),
        indexes={(str(label), tuple(properties)): str(name) for name, label, properties in indexes},
    )


async def count_labels(writer: Neo4jWriter, labels: Sequence[str]) -> Mapping[str, int]:
    """How many nodes bear each of `labels`; answered from the count store."""
    return {
        label: int((await writer.ask(f"MATCH (n{labelled(label)}) RETURN count(n)"))[0][0])
        for label in dict.fromkeys(labels)
    }


def graph_findings(facts: GraphFacts, database: str) -> Iterator[Finding]:
    """What keeps the database from being written."""
    if not facts.writable:
        yield Finding.worded(
            "graph_read_only",
            "blocks",
            database,
            "Database {subject} is read-only.",
            "As an administrator: ALTER DATABASE {name} SET ACCESS READ WRITE;",
            name=quote(database),
        )


def index_findings(facts: GraphFacts, plan: GraphPlan) -> Iterator[Finding]:
    """Plain indexes that stand where a uniqueness constraint has to be."""
    for node in plan.nodes:
        name = facts.indexes.get((node.label, node.key_names))
        if name is not None:
            yield Finding.worded(
                "index_in_the_way",
                "blocks",
                node.label,
                "Index {name} stands where {subject} needs a uniqueness constraint on its key, which brings an index "
                "of its own.",
                "DROP INDEX {quoted};",
                name=name,
                quoted=quote(name),
            )
