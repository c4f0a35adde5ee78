"""What a connection has to ask for, so that values and messages arrive in the one form that the rest understands."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gpm_cdc.domain.lsn import Lsn, render

PROTOCOL_VERSION: Final = 1

PINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client_encoding": "UTF8",
        "datestyle": "ISO",
        "intervalstyle": "postgres",
        "timezone": "UTC",
        "extra_float_digits": "3",
        "bytea_output": "hex",
        "lc_monetary": "C",
    },
)
"""Settings that decide how Postgres prints a value.

Databases and roles have defaults of their own for them, and a replication connection obeys those. So every connection
whose values reach the graph or are compared with it, replication and copy alike, sets them all.
"""


def connection_options() -> str:
    """`PINS` as libpq's connection parameter `options`."""
    return " ".join(f"-c {name}={value}" for name, value in PINS.items())


def plugin_options(publications: Sequence[str]) -> Mapping[str, str]:
    """The options that pgoutput needs, for the names of the publications as the catalogue spells them.

    Logical messages are asked for. ValueError without a publication: Postgres would send nothing at all, silently.
    """
    if not publications:
        msg = "a stream needs at least one publication"
        raise ValueError(msg)
    return {
        "proto_version": str(PROTOCOL_VERSION),
        "publication_names": ",".join(_identifier(name) for name in publications),
        "messages": "true",
    }


def start_replication(slot: str, start: Lsn, publications: Sequence[str]) -> str:
    """The command that begins the stream. From a `start` below the slot's confirmed position, the slot's is taken."""
    named = plugin_options(publications).items()
    options = ", ".join(f"{_identifier(name)} {_literal(value)}" for name, value in named)
    return f"START_REPLICATION SLOT {_identifier(slot)} LOGICAL {render(start)} ({options})"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
