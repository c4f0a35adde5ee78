"""`gpm-cdc db`: the schema of our own."""

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.domain.finding import Finding
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.state import migration
from gpm_cdc.state.migration import Revisions
from gpm_cdc.state.model import SCHEMA


@click.group(epilog=examples("gpm-cdc db upgrade", "gpm-cdc db check"))
def db() -> None:
    """Make or examine the schema in which gpm-cdc keeps its history.

    It is optional: the stream works without it. It lives in the source, or where GPM_STATE_DSN says.
    """


@db.command(epilog=examples("gpm-cdc db upgrade", "GPM_STATE_DSN=postgresql://ops@history/ops gpm-cdc db upgrade"))
@with_settings
def upgrade(settings: Settings) -> None:
    """Create the schema, or bring it to this version's form."""
    before = migration.upgrade(settings.state_conninfo)
    if before.standing == "current":
        talk("Schema {schema} is at revision {wanted} already.", schema=SCHEMA, wanted=before.wanted)
    else:
        talk("Schema {schema} is now at revision {wanted}.", schema=SCHEMA, wanted=before.wanted)


@db.command(epilog=examples("gpm-cdc db check"))
@with_settings
def check(settings: Settings) -> ExitCode:
    """Say whether the schema is there and as this version needs it; exit 1 if not."""
    found = migration.revisions(settings.state_conninfo)
    finding = _finding(found)
    if finding is None:
        talk("Schema {schema} is at revision {wanted}, as it should be.", schema=SCHEMA, wanted=found.wanted)
        return ExitCode.DONE
    click.echo(finding.message)
    talk("  next: {remedy}", remedy=finding.remedy)
    return ExitCode.FINDING


def _finding(found: Revisions) -> Finding | None:
    match found.standing:
        case "current":
            return None
        case "missing":
            message = "There is no schema {subject} in the database, so no history is kept."
            remedy = "'gpm-cdc db upgrade' makes it."
        case "behind":
            message = "Schema {subject} is at revision {present}; this version of gpm-cdc needs {wanted}."
            remedy = "'gpm-cdc db upgrade' brings it there."
        case "newer":
            message = "Schema {subject} is at revision {present}, which this version of gpm-cdc does not know."
            remedy = "Upgrade gpm-cdc, or name another database with GPM_STATE_DSN."
    return Finding.worded(
        f"state_{found.standing}", "blocks", SCHEMA, message, remedy, present=found.present, wanted=found.wanted
    )
