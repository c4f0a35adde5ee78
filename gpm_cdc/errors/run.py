"""What keeps a command from starting that is neither server's fault."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class MappingMissing(GpmCdcError):
    """There is no mapping to work with."""

    code = "mapping_missing"
    message = "there is no mapping: {where} names no table"
    remedy = "'gpm-cdc map --output gpm-cdc.toml' writes one from the tables that are there"


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
