"""Batches become Cypher: statements with list-shaped rows, in the order that keeps the graph exact. Talks to nobody."""
