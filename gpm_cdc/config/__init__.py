"""Settings: read once, at the edge, into one frozen object. Importing this package reads nothing."""
