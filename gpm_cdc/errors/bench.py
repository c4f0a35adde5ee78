"""What can go wrong while measuring."""

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class BenchRunFailed(GpmCdcError):
    """A measured run ended early."""

    code = "bench_run_failed"
    message = "a measured run ended early: {detail}"
    remedy = "run 'gpm-cdc demo' to see whether the stream works at all here, then repeat"
    exit_code = ExitCode.REPEAT
