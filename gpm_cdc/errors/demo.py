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


class EditSeenBefore(DemoError):
    """The graph shows an edit that nobody has made yet: what would be measured means nothing. Facts: file."""

    code = "demo_edit_seen_before"
    message = "the graph shows an edit of {file} before it is made"
    remedy = "report it, with the version of Python: the tour's edits do not suit this standard library"


class AnswersDiffer(DemoError):
    """Graph and tables answer the same question differently. Facts: question, graph, tables."""

    code = "demo_answers_differ"
    message = "the graph answers with {graph} rows and the tables with {tables}, or with others: {question}"
    remedy = "report it, with the version of Python and the output of 'gpm-cdc demo'"
