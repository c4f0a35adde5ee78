"""What can keep the guided tour from its end."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class DemoError(GpmCdcError):
    """The tour cannot go on."""

    code = "demo"


class ProgramFailed(DemoError):
    """A program that the tour started ended as it should not have. Facts: program, status, log."""

    code = "demo_program_failed"
    message = "'{program}' ended with {status}"
    remedy = "read its log: {log}"


class VerifyUndecided(DemoError):
    """`verify` could not come to a verdict. Facts: log."""

    code = "demo_verify_undecided"
    message = "'gpm-cdc verify' came to no verdict"
    remedy = "repeat; its log says why: {log}"
    exit_code = ExitCode.REPEAT


class GraphStandsStill(DemoError):
    """The graph did not get to where the tables are. Facts: seconds, log."""

    code = "demo_graph_stands_still"
    message = "after {seconds} seconds the graph does not hold what the tables hold"
    remedy = "read the log of 'gpm-cdc run': {log}"
    exit_code = ExitCode.REPEAT
