"""What can go wrong between the program and whoever reads its output."""

from typing import ClassVar

from gpm_cdc.errors.base import ExitCode, GpmCdcError


class OutputClosed(GpmCdcError):
    """The reader of stdout went away, as `head` does when it has seen enough."""

    code: ClassVar[str] = "terminal.closed"
    message: ClassVar[str] = "Nothing reads the output any more."
    exit_code: ClassVar[ExitCode] = ExitCode.REPEAT
