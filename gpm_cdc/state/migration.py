"""Schema `gpm_cdc` over time: Alembic's branch `gpm_cdc`, and never another one; and how Alembic finds our scripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from gpm_cdc.errors.state import StateMissing, StateNewer
from gpm_cdc.state.database import transaction
from gpm_cdc.state.model import SCHEMA

BRANCH: Final = "gpm_cdc"
_HEAD: Final = f"{BRANCH}@head"
_BASE: Final = f"{BRANCH}@base"
_PACKAGED: Final = Path(__file__).with_name("migrations")
_CHECKOUT: Final = Path(__file__).parents[2] / "alembic"
LOCK_KEY: Final = 0x67706D5F63646300
"""Any number that nobody else takes: the letters of our name. Two upgrades at once would both make the tables."""

type Standing = Literal["current", "missing", "behind", "newer"]


@dataclass(frozen=True, slots=True)
class Revisions:
    """Where a database's schema `gpm_cdc` stands. `present` is None where there is none."""

    present: str | None
    wanted: str
    standing: Standing


def upgrade(conninfo: str) -> Revisions:
    """Bring the schema to the newest revision, making it if need be; where it stood before. Raises StateError.

    All or nothing; a second one at the same time waits for the first.
    """
    with transaction(conninfo) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        before = _revisions(connection)
        if before.standing == "newer":
            raise StateNewer(revision=before.present)
        if before.standing == "missing" and not _schema_exists(connection):
            # IF NOT EXISTS would ask for the right to create schemas also where there is nothing to create.
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        if before.standing != "current":
            command.upgrade(configuration(connection), _HEAD)
        return before


def downgrade(conninfo: str) -> None:
    """Take back every revision, and with them the history; the empty schema stays. Raises StateError."""
    with transaction(conninfo) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        command.downgrade(configuration(connection), _BASE)


def revisions(conninfo: str) -> Revisions:
    """Where the schema stands; changes nothing. Raises StateError."""
    with transaction(conninfo) as connection:
        return _revisions(connection)


def require_current(conninfo: str) -> None:
    """StateMissing or StateNewer unless the schema is as this version needs it; or another StateError."""
    found = revisions(conninfo)
    if found.standing == "newer":
        raise StateNewer(revision=found.present)
    if found.standing != "current":
        raise StateMissing


def scripts() -> Path:
    """Alembic's directory: within the package where it was installed from a wheel, beside it in a checkout."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def configuration(connection: Connection | None = None, options: Mapping[str, object] = MappingProxyType({})) -> Config:
    """What Alembic has to know to run our scripts on `connection`; `options` go over those of schema `gpm_cdc`."""
    made = Config(attributes={"connection": connection, "options": options})
    # ConfigParser reads a percent sign as the start of a variable.
    made.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def _revisions(connection: Connection) -> Revisions:
    directory = ScriptDirectory.from_config(configuration())
    ours = {script.revision for script in directory.walk_revisions(_BASE, _HEAD)}
    (wanted,) = directory.get_revisions(_HEAD)
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    found = context.get_current_heads()
    present = next((revision for revision in found if revision in ours), None)
    if present is None:
        unknown = next((revision for revision in found if not _known(directory, revision)), None)
        return Revisions(unknown, wanted.revision, "missing" if unknown is None else "newer")
    return Revisions(present, wanted.revision, "current" if present == wanted.revision else "behind")


def _known(directory: ScriptDirectory, revision: str) -> bool:
    """Whether `revision` belongs to any branch that ships with this version."""
    try:
        return directory.get_revision(revision) is not None
    except CommandError:
        return False


def _schema_exists(connection: Connection) -> bool:
    return bool(connection.execute(text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": SCHEMA}).scalar_one())
