"""How long tests wait for what has to happen. Only a failure takes that long, and no test proves speed by it."""

PATIENCE = 120.0
"""Seconds. A machine that does several other things at once needs minutes for what takes it seconds otherwise."""
