"""What can be set, its default, and the reason for the number."""

from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gpm_cdc.config.redaction import HIDDEN, redact

NEO4J_URI: Final = "bolt://localhost:7687"
NEO4J_USER: Final = "neo4j"
NEO4J_DATABASE: Final = "neo4j"
STREAM: Final = "gpm_cdc"

BATCH_ROWS: Final = 10_000
"""Rows in one Neo4j transaction. The rate of a MERGE over a list stops rising here; latency and memory go on rising."""

BATCH_BYTES: Final = ByteSize(8 * 1024**2)
"""Bytes of row text in one Neo4j transaction: wide rows fill a transaction's memory long before their number does."""

BATCH_ELEMENTS: Final = 50_000
"""Nodes and relationships that deletes touch in one Neo4j transaction: about two seconds of work. A TRUNCATE or a node
with more relationships is deleted in pieces of this size."""

TRANSACTION_BYTES: Final = ByteSize(256 * 1024**2)
"""What is kept of one transaction: about half a million rows. The tables of a larger one are read again instead, which
takes neither memory nor a single transaction of the graph."""

QUEUE_BYTES: Final = ByteSize(64 * 1024**2)
"""Decoded changes that wait for the sink: a few batches, so that the reader works while a batch commits, no more."""

TRANSACTION_TIMEOUT: Final = 30.0
"""Seconds until Neo4j ends a transaction: a hundred times a usual batch, and what a take-over waits at the most when
the former owner was stopped while it held the checkpoint's lock."""

WAL_SENDER_TIMEOUT: Final = 20.0
"""Seconds of silence until Postgres gives our stream up and frees its slot for a standby. Far above the interval of our
keepalives, so that a busy machine is not taken for a dead one."""

KEEPALIVE_INTERVAL: Final = 1.0
"""Seconds between our answers to Postgres: what an idle stream may lag behind in its confirmed position."""

LOCK_TIMEOUT: Final = 10.0
"""Seconds a statement of ours waits for a lock in Postgres. A publication change that waits makes every writer behind
it wait too, so it gives up early and says so."""

HISTORY_FINDINGS: Final = 10_000
"""Findings that schema gpm_cdc keeps of one pass: more than anybody reads, and some megabytes. The rest is counted."""

HISTORY_DAYS: Final = 90
"""Days that schema gpm_cdc keeps findings, which hold values of rows. The numbers of a pass stay: they hold none."""

FULL_VERIFY_DAYS: Final = 7
"""Days for which incremental passes may rest on a full one, which alone finds what somebody else wrote to the graph."""

_NEO4J_SCHEMES: Final = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
_LARGEST_BATCH: Final = 1_000_000
_KEEPALIVES_BEFORE_TIMEOUT: Final = 4
_LARGEST_PORT: Final = 65_535

type StreamName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")]
"""A stream's name: letters that a replication slot may have, short enough to leave room for a suffix in 63 bytes."""

type Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


def _neo4j_uri(uri: str) -> str:
    """`uri` if it is one of Neo4j's and holds no password; both are refused without repeating it."""
    parts = urlsplit(uri)
    try:
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        code, reason = "port", "its port must be a number below 65536"
        raise PydanticCustomError(code, reason) from None
    if parts.username is not None or parts.password is not None:
        code, reason = "userinfo", "user and password have settings of their own, neo4j_user and neo4j_password"
        raise PydanticCustomError(code, reason)
    if parts.scheme not in _NEO4J_SCHEMES or not parts.hostname:
        code, reason = "scheme", "it must look like bolt://host:7687; the schemes are {schemes}"
        raise PydanticCustomError(code, reason, {"schemes": ", ".join(_NEO4J_SCHEMES)})
    return uri


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of HOST:PORT, an IPv6 host being in brackets. ValueError for anything else."""
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or bracketed != (":" in host) or not (port.isascii() and port.isdigit()):
        raise ValueError
    if not 0 < int(port) <= _LARGEST_PORT:
        raise ValueError
    return (host[1:-1] if bracketed else host), int(port)


def _address(address: str) -> str:
    try:
        host_and_port(address)
    except ValueError:
        code, reason = "address", "it must look like 127.0.0.1:9187 or [::1]:9187"
        raise PydanticCustomError(code, reason) from None
    return address


class Settings(BaseModel):
    """Everything that is set from outside. Frozen; sizes in bytes, durations in seconds.

    `config.loading.load` makes one from flags, environment and file; the model itself reads nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    postgres_dsn: SecretStr | None = None
    """The source, as a URI or as libpq's key=value text. None leaves all to libpq: PGHOST, PGSERVICE, ~/.pgpass."""

    state_dsn: SecretStr | None = None
    """The database of our own schema. None is the source."""

    neo4j_uri: Annotated[str, AfterValidator(_neo4j_uri)] = NEO4J_URI
    neo4j_user: Annotated[str, Field(min_length=1)] = NEO4J_USER

    neo4j_password: SecretStr | None = None
    """None is for a Neo4j without authentication."""

    neo4j_database: Annotated[str, Field(min_length=1)] = NEO4J_DATABASE

    stream: StreamName = STREAM
    """Names slot, publication and checkpoint: two streams with different names do not touch each other."""

    config: Path | None = None
    """The configuration file in use; None when there is none."""

    batch_rows: Annotated[int, Field(ge=1, le=_LARGEST_BATCH)] = BATCH_ROWS
    batch_bytes: Annotated[ByteSize, Field(ge=1024)] = BATCH_BYTES
    batch_elements: Annotated[int, Field(ge=1, le=_LARGEST_BATCH)] = BATCH_ELEMENTS
    transaction_bytes: Annotated[ByteSize, Field(ge=1024)] = TRANSACTION_BYTES
    queue_bytes: Annotated[ByteSize, Field(ge=1024)] = QUEUE_BYTES
    transaction_timeout: Seconds = TRANSACTION_TIMEOUT
    wal_sender_timeout: Seconds = WAL_SENDER_TIMEOUT
    keepalive_interval: Seconds = KEEPALIVE_INTERVAL
    lock_timeout: Seconds = LOCK_TIMEOUT

    history_findings: Annotated[int, Field(ge=0, le=_LARGEST_BATCH)] = HISTORY_FINDINGS
    history_days: Annotated[int, Field(ge=1, le=36_500)] = HISTORY_DAYS

    history_values: bool = True
    """Whether the findings that schema gpm_cdc keeps tell the values that differ. Keys they always tell."""

    full_verify_days: Annotated[int, Field(ge=1, le=36_500)] = FULL_VERIFY_DAYS

    metrics: Annotated[str, AfterValidator(_address)] | None = None
    """Where `run` serves its metrics, as HOST:PORT. None is nowhere: whoever reaches the port can read them."""

    @model_validator(mode="after")
    def _relations(self) -> Self:
        if self.queue_bytes < self.batch_bytes:
            code, reason = "relation", "it must hold at least one batch, batch_bytes = {least}"
            raise PydanticCustomError(code, reason, {"field": "queue_bytes", "least": int(self.batch_bytes)})
        if self.keepalive_interval * _KEEPALIVES_BEFORE_TIMEOUT > self.wal_sender_timeout:
            code, reason = "relation", "it must be at most a quarter of wal_sender_timeout = {timeout} seconds"
            raise PydanticCustomError(
                code, reason, {"field": "keepalive_interval", "timeout": f"{self.wal_sender_timeout:g}"}
            )
        return self

    def public(self) -> dict[str, object]:
        """Every setting as it may be shown: passwords hidden, connection strings without theirs."""
        dsns = {"postgres_dsn": self.postgres_dsn, "state_dsn": self.state_dsn}
        shown = {field: redact(dsn.get_secret_value()) for field, dsn in dsns.items() if dsn is not None}
        password = {} if self.neo4j_password is None else {"neo4j_password": HIDDEN}
        return {**self.model_dump(mode="json"), **shown, **password}

    @property
    def conninfo(self) -> str:
        """What libpq connects to the source with; empty where libpq's own variables say it. Holds the password."""
        return "" if self.postgres_dsn is None else self.postgres_dsn.get_secret_value()

    @property
    def state_conninfo(self) -> str:
        """What libpq connects to the database of our own schema with. Holds the password."""
        return self.conninfo if self.state_dsn is None else self.state_dsn.get_secret_value()

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of `metrics`."""
        return None if self.metrics is None else host_and_port(self.metrics)

    @property
    def slot_name(self) -> str:
        """The replication slot of the stream."""
        return self.stream

    @property
    def publication_name(self) -> str:
        """The publication of the stream."""
        return self.stream
