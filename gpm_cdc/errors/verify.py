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


class NeverVerified(VerifyError):
    """An incremental pass has nothing to begin at."""

    code = "never_verified"
    message = "no full pass over stream {stream} has been clean since it began, so what changed since is not known"
    remedy = "run 'gpm-cdc verify'; when that was clean, --incremental compares what the stream has written since"


class VerifiedTooLongAgo(VerifyError):
    """The last full pass that was clean is too old. Facts: stream, days, limit."""

    code = "verified_too_long_ago"
    message = "the last full pass over stream {stream} that was clean ended {days} days ago, and {limit} are allowed"
    remedy = (
        "run 'gpm-cdc verify': only a full pass finds what others wrote to the graph; full_verify_days"
        " (GPM_FULL_VERIFY_DAYS) says how often one is due"
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


class ReportUnreadable(VerifyError):
    """A file is not a report, or cannot be read. Facts: path, reason."""

    code = "report_unreadable"
    message = "{path} cannot be read as a report: {reason}"
    remedy = "name a file that 'gpm-cdc verify --jsonl FILE' or 'gpm-cdc verify --json > FILE' wrote"


class ReportIncomplete(VerifyError):
    """A file of JSON lines does not end with the verdict. Facts: path."""

    code = "report_incomplete"
    message = "{path} was cut off: its last line is not the verdict"
    remedy = "repeat 'gpm-cdc verify --jsonl {path}'"


class ReportUnwritable(VerifyError):
    """A report cannot be written where it was asked for. Facts: path, reason."""

    code = "report_unwritable"
    message = "the report cannot be written to {path}: {reason}"
    remedy = "name a file in a directory that is there and may be written"


class RepairTooWide(VerifyError):
    """A repair would delete more than it may. Facts: count, limit, allow."""

    code = "repair_too_wide"
    message = "the repair would delete {count} elements from the graph, and {limit} are allowed"
    remedy = (
        "look at them first: so many elements without a row may mean another mapping or another database; then allow"
        " it with --max-delete {allow}"
    )


class RepairUnattended(VerifyError):
    """Nobody runs the stream that would do the repair."""

    code = "repair_unattended"
    message = "nobody runs stream {stream}, and only a running stream can repair its graph"
    remedy = "start 'gpm-cdc run', then repeat"
    exit_code = ExitCode.REPEAT


class KeyUnfit(VerifyError):
    """A key has not as many parts as the table's. Facts: table, columns, count."""

    code = "key_unfit"
    message = "the key of {table} is ({columns}), and {count} values were given"
    remedy = 'give a key of several columns as a list in JSON: --key {table} \'["de", "7"]\''


class ConditionRefused(VerifyError):
    """A condition on rows is none that Postgres takes. Facts: table, condition, detail."""

    code = "condition_refused"
    message = "Postgres refuses the condition {condition} on {table}: {detail}"
    remedy = "give what may stand after WHERE in SQL: --table {table} --where \"placed_at >= '2026-01-01'\""
