"""What keeps a comparison from an answer."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class VerifyError(GpmCdcError):
    """The parent of this module's errors."""


class TableNotMapped(VerifyError):
    """A table was asked for that the mapping does not name."""

    code = "table_not_mapped"
    message = "table {table} is not in the mapping"
    remedy = "name one of {tables}"


class NoSpareSlot(VerifyError):
    """The server has no replication slot or no walsender left."""

    code = "no_spare_slot"
    message = "Postgres has no spare replication slot or walsender: {detail}"
    remedy = (
        "verify needs one of each for as long as it runs, and a second while it compares again: raise"
        " max_replication_slots and max_wal_senders, or drop slots that nobody reads"
    )


class GraphBehind(VerifyError):
    """The graph did not get to the position to compare at."""

    code = "graph_behind"
    message = "after {seconds} seconds the graph is at {position}, not yet at {target}: {detail}"
    remedy = "see how far behind the stream is with 'gpm-cdc status', then repeat; --timeout waits longer"
    exit_code = ExitCode.REPEAT


class PassDisturbed(VerifyError):
    """What was compared did not stand still in a way that can be followed."""

    code = "pass_disturbed"
    message = "the comparison cannot be trusted: {detail}"
    remedy = "repeat it when that is over"
    exit_code = ExitCode.REPEAT
