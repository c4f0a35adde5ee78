"""What replication and verification need from the outside, as Protocols. Their docstrings are the contracts."""
