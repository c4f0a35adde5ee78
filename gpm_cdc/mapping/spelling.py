"""How names are written in messages: as SQL, as TOML, and the nearest known one to a misspelled one."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

import tomlkit
from tomlkit.items import SingleKey

from gpm_cdc.domain.catalogue import PgType, TableName

_PLAIN_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_$]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_VARIABLE_LENGTH_HEADER: Final = 4
_DISPLAY_NAMES: Final = {"bpchar": "char", "int2": "smallint", "int4": "integer", "int8": "bigint", "bool": "boolean"}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The entry of `known` that `name` is most likely a misspelling of."""
    by_folded = {entry.lower(): entry for entry in known}
    found = difflib.get_close_matches(name.lower(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def sql_table(table: TableName) -> str:
    """`table` as an SQL statement names it."""
    return f"{_identifier(table.schema)}.{_identifier(table.name)}"


def sql_columns(columns: Iterable[str]) -> str:
    """`columns` as a parenthesised SQL list names them, without the parentheses."""
    return ", ".join(map(_identifier, columns))


def listed(names: Iterable[object]) -> str:
    """Names in a sentence."""
    return ", ".join(map(str, names))


def toml_key(name: str) -> str:
    """A key as TOML spells it: bare where that is possible."""
    return SingleKey(name).as_string()


def toml_string(text: str) -> str:
    """A string as TOML spells it."""
    return tomlkit.string(text).as_string()


def toml_list(texts: Iterable[object]) -> str:
    """A list of strings as TOML spells it."""
    return f"[{', '.join(toml_string(str(text)) for text in texts)}]"


def one_line(text: str) -> str:
    """`text` without line breaks and other control characters, as a comment must be."""
    return _CONTROL.sub(" ", text).strip()


def type_name(pg_type: PgType) -> str:
    """A type as people write it: `numeric(10,2)`, `varchar(20)`, `text[]`."""
    if pg_type.element is not None:
        return f"{type_name(pg_type.element)}[]"
    shown = _DISPLAY_NAMES.get(pg_type.name, pg_type.name)
    size = pg_type.modifier - _VARIABLE_LENGTH_HEADER
    if pg_type.modifier < 0:
        return shown
    if pg_type.name == "numeric":
        # The low 11 bits are the scale with a sign.
        scale = ((size & 0x7FF) ^ 0x400) - 0x400
        return f"numeric({size >> 16 & 0xFFFF},{scale})"
    return f"{shown}({size})" if pg_type.name in {"bpchar", "varchar"} else shown


def _identifier(name: str) -> str:
    return name if _PLAIN_IDENTIFIER.fullmatch(name) else '"' + name.replace('"', '""') + '"'
