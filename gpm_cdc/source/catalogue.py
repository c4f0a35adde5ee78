"""Postgres's catalogue, read into the value that mappings are inferred from and checked against."""

import functools
import importlib.resources
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg

from gpm_cdc.domain.catalogue import (
    Catalogue,
    Column,
    ForeignKey,
    PgType,
    ReferentialAction,
    Table,
    TableName,
    UniqueKey,
)

type _Fact = Mapping[str, Any]
"""One row of a part of the document that catalogue.sql describes."""

type _Facts = Sequence[_Fact]

_ACTIONS: Final[Mapping[str, ReferentialAction]] = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}


async def read_catalogue(
    connection: psycopg.AsyncConnection[Any],
    schemas: Sequence[str] = ("public",),
    tables: Iterable[TableName] = (),
) -> Catalogue:
    """Every table of `schemas` and each of `tables` that exists, with all their partitions; never schema `gpm_cdc`.

    One statement, hence one consistent view, in the transaction that `connection` is in or begins with it. Any role may
    run it. Works with Postgres 15 and later.
    """
    extra = sorted(set(tables))
    parameters = {
        "schemas": list(schemas),
        "table_schemas": [table.schema for table in extra],
        "table_names": [table.name for table in extra],
    }
    cursor = await connection.execute(_statement().encode(), parameters)
    row = await cursor.fetchone()
    document = {} if row is None else row[0]
    return _catalogue(document, connection.info.server_version)


@functools.cache
def _statement() -> str:
    return importlib.resources.files("gpm_cdc.source").joinpath("catalogue.sql").read_text(encoding="utf-8")


def _catalogue(document: _Fact, server_version: int) -> Catalogue:
    relations: _Facts = document["relations"] or ()
    types = _types(document["types"] or ())
    names = {relation["oid"]: _name(relation) for relation in relations}
    parents = {names[relation["oid"]]: _parent(relation) for relation in relations}
    columns = _by_relation(document["columns"])
    keys = _by_relation(document["keys"])
    foreign_keys = {
        names[oid]: tuple(map(_foreign_key, facts)) for oid, facts in _by_relation(document["foreign_keys"]).items()
    }
    below = _partitions(parents)
    tables = {}
    for relation in relations:
        # A foreign table can only be here as a partition: its root lists it, and it has no changes to stream.
        if relation["kind"] not in {"r", "p"}:
            continue
        oid, name = relation["oid"], names[relation["oid"]]
        tables[name] = _table(
            relation,
            tuple(_column(fact, types) for fact in columns.get(oid, ())),
            keys.get(oid, ()),
            foreign_keys.get(name, ()),
            {part: foreign_keys[part] for part in below.get(name, ()) if part in foreign_keys},
            below.get(name, ()),
        )
    return Catalogue({name: tables[name] for name in sorted(tables)}, server_version, _lowercase(document["lowercase"]))


def _lowercase(found: Mapping[str, str] | None) -> Mapping[int, str] | None:
    return None if found is None else {int(code): lower for code, lower in found.items()}


def _by_relation(facts: _Facts | None) -> Mapping[int, _Facts]:
    grouped: defaultdict[int, list[_Fact]] = defaultdict(list)
    for fact in facts or ():
        grouped[fact["relation"]].append(fact)
    return grouped


def _name(relation: _Fact) -> TableName:
    return TableName(relation["schema"], relation["name"])


def _parent(relation: _Fact) -> TableName | None:
    return None if relation["parent"] is None else TableName(*relation["parent"])


def _partitions(parents: Mapping[TableName, TableName | None]) -> Mapping[TableName, tuple[TableName, ...]]:
    below: defaultdict[TableName, list[TableName]] = defaultdict(list)
    for name, parent in sorted(parents.items()):
        above = parent
        while above is not None:
            below[above].append(name)
            above = parents.get(above)
    return {name: tuple(partitions) for name, partitions in below.items()}


def _table(
    relation: _Fact,
    columns: tuple[Column, ...],
    keys: _Facts,
    foreign_keys: tuple[ForeignKey, ...],
    partition_foreign_keys: Mapping[TableName, tuple[ForeignKey, ...]],
    partitions: tuple[TableName, ...],
) -> Table:
    unique_keys = tuple(map(_unique_key, keys))
    primary = next((key for key in unique_keys if key.primary), None)
    identity = next((_unique_key(key) for key in keys if key["identity"]), None)
    return Table(
        name=_name(relation),
        oid=relation["oid"],
        columns=columns,
        kind=relation["kind"],
        persistence=relation["persistence"],
        primary_key=primary,
        unique_keys=unique_keys,
        foreign_keys=foreign_keys,
        replica_identity=relation["replica_identity"],
        identity_columns=_identity_columns(relation["replica_identity"], columns, primary, identity),
        partitions=partitions,
        partition_of=_parent(relation),
        partition_foreign_keys=partition_foreign_keys,
        row_security=relation["row_security"],
    )


def _identity_columns(
    letter: str, columns: tuple[Column, ...], primary: UniqueKey | None, identity: UniqueKey | None
) -> tuple[str, ...]:
    if letter == "f":
        return tuple(column.name for column in columns)
    key = {"d": primary, "i": identity}.get(letter)
    # Postgres ignores a deferrable key here and refuses UPDATE and DELETE on the table instead.
    return key.columns if key is not None and key.immediate else ()


def _column(fact: _Fact, types: "_Types") -> Column:
    return Column(
        name=fact["name"],
        type=types.of(fact["type"], fact["modifier"]),
        not_null=fact["not_null"],
        position=fact["position"],
        generated=fact["generated"].strip(),
        deterministic=fact["deterministic"],
    )


def _unique_key(fact: _Fact) -> UniqueKey:
    return UniqueKey(fact["name"], tuple(fact["columns"]), fact["immediate"], fact["primary"])


def _foreign_key(fact: _Fact) -> ForeignKey:
    return ForeignKey(
        name=fact["name"],
        columns=tuple(fact["columns"]),
        target=TableName(*fact["target"]),
        target_columns=tuple(fact["target_columns"]),
        deferrable=fact["deferrable"],
        validated=fact["validated"],
        enforced=fact["enforced"],
        on_update=_ACTIONS[fact["on_update"]],
        on_delete=_ACTIONS[fact["on_delete"]],
    )


class _Types:
    def __init__(self, facts: Mapping[int, _Fact]) -> None:
        self._facts = facts

    def of(self, oid: int, modifier: int) -> PgType:
        """The type as a column with `modifier` uses it. An array's modifier is that of its elements."""
        fact = self._facts[oid]
        # A domain's modifier belongs to the type below it, and columns of a domain cannot have one of their own.
        below = fact["modifier"]
        return PgType(
            oid=oid,
            schema=fact["schema"],
            name=fact["name"],
            kind=fact["kind"],
            modifier=modifier,
            element=None if fact["element"] is None else self.of(fact["element"], modifier),
            base=None if fact["base"] == 0 else self.of(fact["base"], below),
        )


def _types(facts: _Facts) -> _Types:
    return _Types({fact["oid"]: fact for fact in facts})
