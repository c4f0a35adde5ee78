"""Neo4j: the fenced writer, the reader that verification uses, constraints. The driver is at home here."""
