"""Log lines on stderr: readable on a terminal, JSON elsewhere."""

import logging
import os
import sys
from typing import Final, cast, override

import structlog
from structlog.typing import FilteringBoundLogger, Processor

_LEVELS: Final = (logging.INFO, logging.DEBUG)


def logger() -> FilteringBoundLogger:
    """A logger for a module. It takes up whatever `configure` says at the time of its first line."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def configure(*, terminal: bool, verbosity: int) -> None:
    """Send every log line of this process to stderr. `verbosity` 0 tells what happens, 1 and above also how.

    Lines of other libraries join in from level warning up, whatever the verbosity: their debug lines quote parameters,
    which are row values.
    """
    level = _LEVELS[min(verbosity, len(_LEVELS) - 1)]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not terminal),
    ]
    structlog.configure(
        processors=[*shared, *_rendering(terminal=terminal)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_stderr,
        cache_logger_on_first_use=False,
    )
    handler = _ForeignHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(terminal=terminal)],
        )
    )
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if isinstance(handler, _ForeignHandler)]:
        root.removeHandler(former)
    root.addHandler(handler)


class _ForeignHandler(logging.Handler):
    """Writes the lines of other libraries where ours go."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        _stderr().msg(self.format(record))


def _stderr(*_: object) -> structlog.PrintLogger:
    """What prints a line. Made anew for each one, since stderr may be exchanged while the process runs."""
    return structlog.PrintLogger(sys.stderr)


def _rendering(*, terminal: bool) -> list[Processor]:
    """The last steps of a line. Tracebacks are rendered without local variables, which hold rows and passwords."""
    if terminal:
        colors = not os.environ.get("NO_COLOR")
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
