"""Postgres: the replication stream, copies under a snapshot, the catalogue, publication and slot."""
