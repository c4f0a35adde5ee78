"""The Postgres type of a column that SQLAlchemy describes: what `CREATE TABLE` would make of it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ARRAY, Dialect, Enum
from sqlalchemy.dialects import postgresql, registry
from sqlalchemy.types import TypeEngine

from gpm_cdc.domain.catalogue import PgType

DIALECT: Final[Dialect] = registry.load("postgresql.psycopg")()
_CATALOG: Final = "pg_catalog"

_NAMES: Final[Mapping[str, str]] = {
    "bigint": "int8",
    "bigserial": "int8",
    "bit varying": "varbit",
    "boolean": "bool",
    "char": "bpchar",
    "character": "bpchar",
    "character varying": "varchar",
    "decimal": "numeric",
    "double precision": "float8",
    "float": "float8",
    "int": "int4",
    "integer": "int4",
    "real": "float4",
    "serial": "int4",
    "smallint": "int2",
    "smallserial": "int2",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}
"""SQL's names for types, where Postgres's own is another."""

_OWN: Final = frozenset(
    {
        "bit",
        "bool",
        "box",
        "bytea",
        "cid",
        "cidr",
        "circle",
        "date",
        "float4",
        "float8",
        "inet",
        "int2",
        "int4",
        "int8",
        "interval",
        "json",
        "jsonb",
        "jsonpath",
        "line",
        "lseg",
        "macaddr",
        "macaddr8",
        "money",
        "name",
        "numeric",
        "oid",
        "path",
        "pg_lsn",
        "pg_snapshot",
        "point",
        "polygon",
        "refcursor",
        "regclass",
        "regconfig",
        "text",
        "tid",
        "time",
        "timestamp",
        "timestamptz",
        "timetz",
        "tsquery",
        "tsvector",
        "txid_snapshot",
        "uuid",
        "varbit",
        "varchar",
        "xid",
        "xid8",
        "xml",
    }
)
_RANGES: Final = frozenset({"int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"})
_MULTIRANGES: Final = frozenset(
    {"int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange"}
)
_ARGUMENTS: Final = re.compile(r"\s*\(\s*(-?\d+)\s*(?:,\s*(-?\d+)\s*)?\)")
_SINGLE_BYTE: Final = '"char"'
"""Postgres's own type of one byte, which only the quotes tell from char(1)."""
_LENGTH_WORD: Final = 4
_SINGLE_PRECISION: Final = 24
_INTERVAL_FULL: Final = 0x7FFF
_INTERVAL_FIELDS: Final[Mapping[str, int]] = {
    "year": 1 << 2,
    "month": 1 << 1,
    "day": 1 << 3,
    "hour": 1 << 10,
    "minute": 1 << 11,
    "second": 1 << 12,
}
"""Bits of an interval's modifier, from Postgres's datetime.h."""


def pg_type(declared: TypeEngine[Any]) -> PgType:
    """The type as the catalogue would describe it; object identifiers are 0, since only a server gives them."""
    resolved = declared.dialect_impl(DIALECT)
    if isinstance(resolved, postgresql.DOMAIN):
        base = pg_type(resolved.data_type)
        return PgType(0, resolved.schema or "public", str(resolved.name), "d", base.modifier, None, base)
    if isinstance(resolved, ARRAY):
        return _array(pg_type(resolved.item_type))
    if isinstance(resolved, Enum) and resolved.native_enum:
        return PgType(0, resolved.schema or "public", str(resolved.name), "e")
    return _named(declared.compile(dialect=DIALECT))


def _array(element: PgType) -> PgType:
    return PgType(0, element.schema, f"_{element.name}", modifier=element.modifier, element=element)


def _named(text: str) -> PgType:
    """From the text of a type in DDL, such as `NUMERIC(10, 2)` or `public.mood[]`."""
    if text.endswith("[]"):
        return _array(_named(text.removesuffix("[]")))
    found = _ARGUMENTS.search(text)
    arguments = () if found is None else tuple(int(number) for number in found.groups() if number is not None)
    bare = " ".join(_ARGUMENTS.sub("", text, count=1).split())
    lowered = bare.lower()
    if lowered.startswith("interval"):
        return replace(_built_in("interval"), modifier=_interval_modifier(lowered.removeprefix("interval"), arguments))
    name = _NAMES.get(lowered, lowered)
    if name == "float8" and lowered == "float" and arguments:
        return _built_in("float4" if arguments[0] <= _SINGLE_PRECISION else "float8")
    if bare == _SINGLE_BYTE:
        return _built_in("char")
    if name in _OWN or name in _RANGES or name in _MULTIRANGES or name == "bpchar":
        return replace(_built_in(name), modifier=_modifier(name, arguments))
    schema, dot, own = bare.rpartition(".")
    modifier = arguments[0] if arguments else -1
    return PgType(0, _unquoted(schema) if dot else "public", _unquoted(own), modifier=modifier)


def _built_in(name: str) -> PgType:
    kind = "r" if name in _RANGES else "m" if name in _MULTIRANGES else "b"
    return PgType(0, _CATALOG, name, kind)


def _modifier(name: str, arguments: tuple[int, ...]) -> int:
    """What pg_attribute.atttypmod holds, by the type's own input function."""
    if name == "bpchar":
        return (arguments[0] if arguments else 1) + _LENGTH_WORD
    if name == "bit" and not arguments:
        return 1
    if not arguments:
        return -1
    if name == "varchar":
        return arguments[0] + _LENGTH_WORD
    if name == "numeric":
        scale = arguments[1] if len(arguments) > 1 else 0
        return ((arguments[0] << 16) | (scale & 0x7FF)) + _LENGTH_WORD
    return arguments[0]


def _interval_modifier(fields: str, arguments: tuple[int, ...]) -> int:
    named = [word for word in fields.replace(" to ", " ").split() if word in _INTERVAL_FIELDS]
    if not named and not arguments:
        return -1
    order = list(_INTERVAL_FIELDS)
    mask = _INTERVAL_FULL
    if named:
        first, last = order.index(named[0]), order.index(named[-1])
        mask = sum(_INTERVAL_FIELDS[word] for word in order[first : last + 1])
    precision = arguments[0] if arguments else 0xFFFF
    return (mask << 16) | precision


def _unquoted(name: str) -> str:
    if name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name.lower()
