"""What keeps a command from starting that is neither server's fault."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class StreamUnknown(GpmCdcError):
    """The graph has no checkpoint of the stream."""

    code = "stream_unknown"
    message = "the graph has no checkpoint of stream {stream}"
    remedy = "start it with 'gpm-cdc run', or name the right one with --stream"


class WaitExpired(GpmCdcError):
    """The graph did not get to a position in time."""

    code = "wait_expired"
    message = "after {seconds} seconds the graph is at {position}, not yet at {target}"
    remedy = "see whether 'gpm-cdc run' is running and how far behind it is: 'gpm-cdc status'"
    exit_code = ExitCode.REPEAT


class PublicationAbsent(GpmCdcError):
    """A command that makes nothing needs the publication that `run` makes."""

    code = "publication_absent"
    message = "there is no publication {publication} yet, and this command makes none"
    remedy = "'gpm-cdc run' makes it, or the owner of the tables does with sql/publication.sql"


class ConfirmationMissing(GpmCdcError):
    """Something that cannot be undone was asked for, and nobody is there to confirm it."""

    code = "confirmation_missing"
    message = "ending stream {stream} wants to be confirmed, and there is no terminal to ask at"
    remedy = "add --yes if it is meant"


class MetricsNotServed(GpmCdcError):
    """Nothing can listen at the address that metrics were to be served at."""

    code = "metrics_not_served"
    message = "metrics cannot be served at port {port} of {host}: {reason}"
    remedy = "give --metrics or GPM_METRICS a free port of this machine, or end what listens there"
