"""What identifies a row in the stream: whether a table can be followed at all, and by which columns."""

from collections.abc import Iterator

from gpm_cdc.domain.catalogue import Catalogue, Table, UniqueKey
from gpm_cdc.domain.finding import Finding
from gpm_cdc.mapping.spelling import listed, sql_columns, sql_table, toml_list

_GENERATED_UNDER_FULL = 180_000
"""From this version on Postgres refuses an UPDATE under replica identity FULL with an unpublished generated column."""


def refusal(table: Table, catalogue: Catalogue) -> Finding | None:
    """Why no mapping of `table` can work, whatever it says; None when one can."""
    return next(_refusals(table, catalogue), None)


def default_key(table: Table) -> tuple[str, ...] | None:
    """The columns that identify a row of `table` by default: the primary key, or else those of the replica identity.

    None where there is no unique key without NULLs that UPDATE and DELETE carry.
    """
    carried = frozenset(table.identity_columns)
    usable = [key for key in _keys(table) if _identifies(key, table) and carried.issuperset(key.columns)]
    usable.sort(key=lambda key: (not key.primary, len(key.columns)))
    return usable[0].columns if usable else None


def key_problem(table: Table, key: tuple[str, ...]) -> Finding | None:
    """What keeps existing columns `key` from identifying the rows of a table that `refusal` has nothing against."""
    columns = frozenset(key)
    generated = [name for name in key if _is_generated(table, name)]
    if generated:
        return Finding.worded(
            "key_generated",
            "blocks",
            table.name,
            "The key of {subject} contains the generated column {column}, which does not arrive in the stream.",
            "Use a key of ordinary columns.",
            column=generated[0],
        )
    covering = [candidate for candidate in _keys(table) if columns.issuperset(candidate.columns)]
    if not any(_identifies(candidate, table) for candidate in covering):
        deferrable = next((candidate for candidate in covering if not candidate.immediate), None)
        if deferrable is not None:
            return _deferrable(table, deferrable)
        return Finding.worded(
            "key_not_unique",
            "blocks",
            table.name,
            "The key ({key}) of {subject} is not unique: no primary key or unique index on NOT NULL columns is "
            "within it.",
            "Use the columns of one, such as key = {example}, or add it: "
            "ALTER TABLE {sql} ADD PRIMARY KEY ({columns});",
            key=listed(key),
            example=toml_list(default_key(table) or table.identity_columns),
            sql=sql_table(table.name),
            columns=sql_columns(key),
        )
    missing = [name for name in key if name not in table.identity_columns]
    if missing:
        return Finding.worded(
            "key_not_in_replica_identity",
            "blocks",
            table.name,
            "The key of {subject} contains {missing}, which a DELETE does not carry: "
            "the replica identity of the table has ({carried}).",
            "Use key = {example}, or run ALTER TABLE {sql} REPLICA IDENTITY FULL;",
            missing=listed(missing),
            carried=listed(table.identity_columns),
            example=toml_list(default_key(table) or table.identity_columns),
            sql=sql_table(table.name),
        )
    return None


def unique_columns(table: Table, columns: tuple[str, ...]) -> bool:
    """Whether at most one row of `table` has given values in `columns`."""
    return any(frozenset(columns).issuperset(key.columns) for key in _keys(table))


def _keys(table: Table) -> tuple[UniqueKey, ...]:
    primary = () if table.primary_key is None else (table.primary_key,)
    return tuple(dict.fromkeys((*primary, *table.unique_keys)))


def _identifies(key: UniqueKey, table: Table) -> bool:
    columns = [table.column(name) for name in key.columns]
    return key.immediate and all(column is not None and column.not_null for column in columns)


def _is_generated(table: Table, name: str) -> bool:
    column = table.column(name)
    return column is not None and column.generated != ""


def _refusals(table: Table, catalogue: Catalogue) -> Iterator[Finding]:
    if table.persistence != "p":
        yield Finding.worded(
            "table_unlogged",
            "blocks",
            table.name,
            "{subject} is unlogged, so Postgres does not stream its changes.",
            "ALTER TABLE {sql} SET LOGGED; or leave it out: {ignore}",
            sql=sql_table(table.name),
            ignore=_ignore(table),
        )
    yield from _identity_refusals(table)
    generated = [column.name for column in table.columns if column.generated != ""]
    if generated and table.replica_identity == "f" and catalogue.server_version >= _GENERATED_UNDER_FULL:
        yield Finding.worded(
            "replica_identity_full_generated",
            "blocks",
            table.name,
            "{subject} has replica identity FULL and the generated column {column}: as soon as it is published, "
            "Postgres 18 "
            "refuses every UPDATE and DELETE on it.",
            "ALTER TABLE {sql} REPLICA IDENTITY DEFAULT; (with a primary key) or leave it out: {ignore}",
            column=generated[0],
            sql=sql_table(table.name),
            ignore=_ignore(table),
        )
    yield from _partition_refusals(table, catalogue)


def _identity_refusals(table: Table) -> Iterator[Finding]:
    primary = table.primary_key
    facts = {"sql": sql_table(table.name), "ignore": _ignore(table)}
    if table.replica_identity == "n":
        yield Finding.worded(
            "replica_identity_nothing",
            "blocks",
            table.name,
            "{subject} has replica identity NOTHING: once it is published, Postgres refuses every UPDATE and DELETE "
            "on it.",
            "ALTER TABLE {sql} REPLICA IDENTITY DEFAULT; (with a primary key) or leave it out: {ignore}",
            **facts,
        )
    elif table.replica_identity == "i" and not table.identity_columns:
        yield Finding.worded(
            "replica_identity_missing",
            "blocks",
            table.name,
            "The index that {subject} has as its replica identity is gone or invalid.",
            "ALTER TABLE {sql} REPLICA IDENTITY DEFAULT; (with a primary key) or leave it out: {ignore}",
            **facts,
        )
    elif default_key(table) is not None:
        return
    elif primary is not None and not primary.immediate:
        yield _deferrable(table, primary)
    else:
        yield Finding.worded(
            "table_without_key",
            "blocks",
            table.name,
            "{subject} has no primary key, so nothing tells its rows apart in the stream.",
            "ALTER TABLE {sql} ADD PRIMARY KEY (...); or, with a unique index on NOT NULL columns, "
            "ALTER TABLE {sql} REPLICA IDENTITY USING INDEX ...; or leave it out: {ignore}",
            **facts,
        )


def _partition_refusals(table: Table, catalogue: Catalogue) -> Iterator[Finding]:
    key = default_key(table) or ()
    for name in table.partitions:
        partition = catalogue.tables.get(name)
        if partition is None or partition.persistence != "p":
            yield Finding.worded(
                "partition_not_streamed",
                "blocks",
                table.name,
                "The partition {partition} of {subject} is a foreign or an unlogged table: its changes are not "
                "streamed.",
                "Detach it, replace it by an ordinary table, or leave the whole out: {ignore}",
                partition=name,
                ignore=_ignore(table),
            )
        elif partition.kind == "r" and not set(key).issubset(partition.identity_columns):
            yield Finding.worded(
                "partition_replica_identity",
                "blocks",
                table.name,
                "The replica identity of {partition}, a partition of {subject}, lacks the key ({key}).",
                "ALTER TABLE {sql} REPLICA IDENTITY DEFAULT; or leave the whole out: {ignore}",
                partition=name,
                key=listed(key),
                sql=sql_table(name),
                ignore=_ignore(table),
            )


def _deferrable(table: Table, key: UniqueKey) -> Finding:
    return Finding.worded(
        "key_deferrable",
        "blocks",
        table.name,
        "The key {name} of {subject} is DEFERRABLE: two rows may share it for a while, and Postgres takes no such key "
        "as a replica identity.",
        "ALTER TABLE {sql} DROP CONSTRAINT {constraint}, ADD {kind} ({columns}); or leave it out: {ignore}",
        name=key.name,
        constraint=sql_columns((key.name,)),
        kind="PRIMARY KEY" if key.primary else "UNIQUE",
        columns=sql_columns(key.columns),
        sql=sql_table(table.name),
        ignore=_ignore(table),
    )


def _ignore(table: Table) -> str:
    return f"ignore = {toml_list((table.name,))}"
