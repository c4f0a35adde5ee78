"""Figures: how fast the stream is, and how fast Neo4j itself would take the same rows on the same machine."""
