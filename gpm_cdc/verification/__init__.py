"""The graph against the tables, element by element: what must be there, what is there, what is in flight. No driver."""
