"""The words of the problem: LSN, changes, catalogue, types, values, keys, digests. No IO, no clock."""
