"""Words of the tables: what a definition is, and how one uses another."""

from typing import Final

KINDS: Final = {"class": "Class", "function": "Function", "method": "Method", "module": "Module"}
"""What a definition may be, and the label of each."""

CALLS: Final = "calls"
IMPORTS: Final = "imports"
INHERITS: Final = "inherits"
