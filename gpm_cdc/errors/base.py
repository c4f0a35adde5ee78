"""The root of every error that gpm-cdc raises on purpose."""

import enum
from typing import ClassVar, override

from gpm_cdc.wording import say


class ExitCode(enum.IntEnum):
    """What the process's exit status tells the caller."""

    DONE = 0
    FINDING = 1
    PERSON = 2
    REPEAT = 3


class GpmCdcError(Exception):
    """The root. A subclass states its sentence and its remedy as templates with named placeholders.

    `facts` fill the placeholders of both; they never hold secrets or row values.
    `retryable` is true where doing the same again may succeed without anybody changing anything.
    """

    code: ClassVar[str] = "error"
    message: ClassVar[str] = "{detail}"
    remedy: ClassVar[str] = ""
    exit_code: ClassVar[ExitCode] = ExitCode.PERSON
    retryable: ClassVar[bool] = False

    def __init__(self, **facts: object) -> None:
        super().__init__(facts)
        self.facts = facts

    @override
    def __str__(self) -> str:
        return say(self.message, **self.facts)

    @property
    def advice(self) -> str:
        """The remedy in the user's language; empty where there is none to give."""
        return say(self.remedy, **self.facts)
