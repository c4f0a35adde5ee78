"""Logical replication as Postgres's pgoutput plugin speaks it: bytes to messages, without connection or clock."""
