"""Keeps a Neo4j graph equal to what a Postgres database says, commit by commit, and proves it."""

__version__ = "0.1.0"
