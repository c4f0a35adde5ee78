"""What the graph holds of the things that a mapping names."""

from gpm_cdc.cypher.quoting import labels
from gpm_cdc.projection.plan import NodePlan
from gpm_cdc.sink.writer import Neo4jWriter


async def mapped_nodes(writer: Neo4jWriter, node: NodePlan) -> int:
    """How many nodes bear the label of `node`; answered from the count store, in no time."""
    records = await writer.ask(f"MATCH (n{labels(node.label)}) RETURN count(n)")
    return int(records[0][0])
