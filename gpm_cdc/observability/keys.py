"""The keys of a log line. A constant lowercase event text, these beside it: so that people can search and count.

Positions are LSNs as Postgres prints them; counts end in `_count`, sizes in `_bytes`, durations in `_seconds`.
"""

from typing import Final

STREAM: Final = "stream"
PHASE: Final = "phase"
"""`snapshot` or `streaming`."""

LSN: Final = "lsn"
"""The end of the last transaction that the graph includes."""

EPOCH: Final = "epoch"
"""How often the stream's ownership changed."""

TABLE: Final = "table"
SLOT: Final = "slot"
PUBLICATION: Final = "publication"
DATABASE: Final = "database"
SERVER: Final = "server"
"""`postgres` or `neo4j`."""

TRANSACTION_COUNT: Final = "transaction_count"
CHANGE_COUNT: Final = "change_count"
ROW_COUNT: Final = "row_count"
ELEMENT_COUNT: Final = "element_count"
INPUT_BYTES: Final = "input_bytes"
LAG_BYTES: Final = "lag_bytes"
LAG_SECONDS: Final = "lag_seconds"
ELAPSED_SECONDS: Final = "elapsed_seconds"
RETRY_SECONDS: Final = "retry_seconds"
"""How long until the next attempt."""

ERROR: Final = "error"
"""The code of an error of ours, or the class of another's; never another's message, which may quote rows."""
