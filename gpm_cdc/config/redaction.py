"""Connection strings without their passwords, for messages and logs."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

HIDDEN: Final = "***"
_HIDDEN_KEYS: Final = r"(?:ssl)?password|passfile|oauth_client_secret"
_URI_PREFIXES: Final = ("postgres://", "postgresql://")
_URI_PARAMETER: Final = re.compile(rf"(?i)(?<![^?&])({_HIDDEN_KEYS})=[^&]*")
# libpq allows blanks around the equals sign, and quotes with backslash escapes around the value.
_KEYWORD: Final = re.compile(rf"(?i)(?<!\S)({_HIDDEN_KEYS})\s*=\s*(?:'(?:[^'\\]|\\.)*'?|(?:[^\s\\]|\\.)*)")


def redact(dsn: str) -> str:
    """`dsn` with every password replaced by `***`; text that cannot be taken apart is hidden whole."""
    if not dsn.lower().startswith(_URI_PREFIXES):
        return _KEYWORD.sub(rf"\1={HIDDEN}", dsn)
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return HIDDEN
    return _without_password(parts).geturl()


def holds_password(dsn: str) -> bool:
    """Whether `dsn` itself carries a password."""
    return redact(dsn) != dsn


def _without_password(parts: SplitResult) -> SplitResult:
    userinfo, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    netloc = f"{user}:{HIDDEN}@{hosts}" if colon else f"{userinfo}{at}{hosts}"
    return parts._replace(netloc=netloc, query=_URI_PARAMETER.sub(rf"\1={HIDDEN}", parts.query))
