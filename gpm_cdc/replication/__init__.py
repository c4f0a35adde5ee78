"""From a consistent copy to a live graph: snapshot, stream, batching, progress. Knows ports, no driver."""
