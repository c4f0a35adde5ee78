"""What Postgres must offer before a stream can begin, looked up without changing anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.domain.finding import Finding
from gpm_cdc.source.session import Connection, query

_SERVER: Final = """
SELECT current_setting('server_version'), current_database(), current_user,
       current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
       current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication),
       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
       coalesce((SELECT setting::bigint FROM pg_settings WHERE name = 'idle_replication_slot_timeout'), 0),
       has_database_privilege(current_database(), 'CREATE')
"""
_TABLES: Final = """
SELECT n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE'),
       ARRAY(SELECT a.attname::text FROM pg_attribute AS a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND has_column_privilege(c.oid, a.attnum, 'SELECT')),
       pg_has_role(c.relowner, 'USAGE'), row_security_active(c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     JOIN unnest(%s::text[], %s::text[]) AS wanted (schema, name)
     ON wanted.schema = n.nspname AND wanted.name = c.relname
"""
_WRITERS: Final = """
SELECT coalesce(l.pid::text, p.gid), l.pid IS NULL,
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8
FROM pg_locks AS l
     LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
     LEFT JOIN pg_prepared_xacts AS p ON p.transaction = l.transactionid
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
  AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY 3 DESC NULLS FIRST
"""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server and the connecting role.

    `keep_megabytes` is what a slot may retain, -1 for no limit; `idle_seconds`
    after how long an unused slot is given up, 0 for never.
    """

    version: str
    database: str
    role: str
    slots: int
    slots_used: int
    walsenders: int
    walsenders_used: int
    keep_megabytes: int
    idle_seconds: int
    creates: bool


@dataclass(frozen=True, slots=True)
class TableRights:
    """What the connecting role may do with a table. `hidden` says that row security would keep rows from it."""

    usable: bool
    readable: frozenset[str]
    owned: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that has written: a process id, or the name of a prepared one. `seconds` is its age, if known."""

    name: str
    prepared: bool
    seconds: float | None


async def read_server(connection: Connection) -> ServerFacts:
    """The facts of the server behind `connection`, a primary."""
    version, database, role, slots, used, senders, busy, keep, idle, creates = (await query(connection, _SERVER))[0]
    return ServerFacts(
        version=str(version),
        database=str(database),
        role=str(role),
        slots=int(str(slots)),
        slots_used=int(str(used)),
        walsenders=int(str(senders)),
        walsenders_used=int(str(busy)),
        keep_megabytes=int(str(keep)),
        idle_seconds=int(str(idle)),
        creates=bool(creates),
    )


async def read_rights(connection: Connection, tables: Sequence[TableName]) -> Mapping[TableName, TableRights]:
    """The rights on those of `tables` that exist."""
    wanted = [[table.schema for table in tables], [table.name for table in tables]]
    return {
        TableName(str(schema), str(name)): TableRights(
            usable=bool(usable), readable=_names(columns), owned=bool(owned), hidden=bool(hidden)
        )
        for schema, name, usable, columns, owned, hidden in await query(connection, _TABLES, wanted)
    }


def _names(columns: object) -> frozenset[str]:
    return frozenset(map(str, columns)) if isinstance(columns, list) else frozenset()


async def read_writers(connection: Connection) -> tuple[OpenTransaction, ...]:
    """Every open transaction of the whole server that has written, oldest first."""
    return tuple(
        OpenTransaction(str(name), bool(prepared), None if seconds is None else float(str(seconds)))
        for name, prepared, seconds in await query(connection, _WRITERS)
    )


def room_findings(facts: ServerFacts, *, slots: int, walsenders: int) -> Iterator[Finding]:
    """Whether there is room for what the stream still needs, and for what `verify` needs for a while."""
    rooms = (
        ("max_replication_slots", facts.slots, facts.slots_used, slots),
        ("max_wal_senders", facts.walsenders, facts.walsenders_used, walsenders),
    )
    for setting, limit, used, needed in rooms:
        free = limit - used
        if free <= needed:
            yield Finding.worded(
                f"{setting}_spare",
                "blocks" if free < needed else "warns",
                setting,
                "{subject} is {limit} and {used} are in use; the stream needs {needed} more, and 'gpm-cdc verify' one "
                "while it works.",
                "Raise {subject} to {wanted} or more and restart Postgres, or free one.",
                limit=limit,
                used=used,
                needed=needed,
                wanted=used + needed + 1,
            )


def retention_findings(facts: ServerFacts) -> Iterator[Finding]:
    """How long the server keeps its log for a stream that stands still."""
    if facts.keep_megabytes < 0:
        yield Finding.worded(
            "wal_keep_unlimited",
            "notes",
            "max_slot_wal_keep_size",
            "{subject} is unlimited: while the stream stands still, Postgres keeps its log until the disk is full.",
            "Watch retained_bytes of 'gpm-cdc status --json', or set a limit that a stop may reach.",
        )
    else:
        yield Finding.worded(
            "wal_keep_limited",
            "notes",
            "max_slot_wal_keep_size",
            "{subject} is {megabytes} MB: a stream that falls further behind loses its slot and has to copy again.",
            "Set it to more than your servers write during the longest stop that you plan for.",
            megabytes=facts.keep_megabytes,
        )
    if facts.idle_seconds > 0:
        yield Finding.worded(
            "slot_idle_timeout",
            "warns",
            "idle_replication_slot_timeout",
            "{subject} is {seconds} s: a stream that is stopped for longer loses its slot and has to copy again.",
            "Set it to 0, or to more than the longest stop that you plan for.",
            seconds=facts.idle_seconds,
        )


def reading_findings(
    facts: ServerFacts, rights: Mapping[TableName, TableRights], needed: Mapping[TableName, Sequence[str]]
) -> Iterator[Finding]:
    """Whether the copy can read every row of the `needed` columns of each table."""
    role = sql.Identifier(facts.role).as_string()
    for table, have in rights.items():
        missing = [column for column in needed.get(table, ()) if column not in have.readable]
        if not have.usable:
            yield Finding.worded(
                "schema_unusable",
                "blocks",
                table,
                "Role {role} may not use the schema of {subject}.",
                "As its owner: GRANT USAGE ON SCHEMA {schema} TO {role};",
                role=role,
                schema=sql.Identifier(table.schema).as_string(),
            )
        if missing:
            yield Finding.worded(
                "table_unreadable",
                "blocks",
                table,
                "Role {role} may not read {columns} of {subject}.",
                "As its owner: GRANT SELECT ON {table} TO {role};",
                role=role,
                columns=", ".join(missing),
                table=sql.Identifier(*table).as_string(),
            )
        if have.hidden:
            yield Finding.worded(
                "rows_hidden",
                "blocks",
                table,
                "Row security hides rows of {subject} from role {role}; the stream would bring them all the same.",
                "As a superuser: ALTER ROLE {role} BYPASSRLS;",
                role=role,
            )


def publishing_findings(
    facts: ServerFacts, rights: Mapping[TableName, TableRights], publication: str
) -> Iterator[Finding]:
    """Whether the role can make the publication itself; asked only while there is none."""
    foreign = [str(table) for table, have in rights.items() if not have.owned]
    if facts.creates and not foreign:
        return
    lacks = [] if facts.creates else [f"CREATE ON DATABASE {facts.database}"]
    yield Finding.worded(
        "publication_uncreatable",
        "blocks",
        publication,
        "Publication {subject} does not exist, and role {role} cannot make it: it lacks {lacks}.",
        "Have the owner make it with sql/publication.sql before the first 'gpm-cdc run'.",
        role=facts.role,
        lacks=", ".join([*lacks, *(f"OWNERSHIP OF {table}" for table in foreign)]),
    )


def delay_findings(writers: Sequence[OpenTransaction], *, begun: bool, patience: float) -> Iterator[Finding]:
    """Transactions that making a slot has to wait for. `patience` in seconds is how long a stream would wait."""
    for writer in writers:
        if not writer.prepared and writer.seconds is not None and writer.seconds < patience:
            continue
        yield Finding.worded(
            "transaction_prepared" if writer.prepared else "transaction_open",
            "notes" if begun else "warns",
            writer.name,
            "Prepared transaction {subject} is {age} old; making a replication slot waits for its end."
            if writer.prepared
            else "The transaction of process {subject} is {age} old; making a replication slot waits for its end.",
            "COMMIT PREPARED or ROLLBACK PREPARED '{subject}'."
            if writer.prepared
            else "Let it end, or end it: SELECT pg_terminate_backend({subject});",
            age="some time" if writer.seconds is None else f"{writer.seconds:.0f} s",
        )
