"""What can be wrong with a file of SQL statements."""

from gpm_cdc.errors.base import GpmCdcError


class ScriptError(GpmCdcError):
    """The parent of this module's errors."""


class ScriptUnreadable(ScriptError):
    """The file is not there, may not be read, or is not text."""

    code = "script.unreadable"
    message = "{path} cannot be read: {reason}."
    remedy = "Name a file of SQL statements in UTF-8, or leave the name out and write the statements to standard input."


class StatementUnreadable(ScriptError):
    """Postgres's parser refuses a statement. Its own message is left out, since it quotes the file."""

    code = "script.statement"
    message = "{path}:{line}:{column}: Postgres {version} does not understand the statement from here on."
    remedy = "Correct it; nothing was said about the other statements."
