"""The user that Postgres runs as: it refuses to run as root."""

import os
import pwd
from dataclasses import dataclass

_UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


def unprivileged() -> Account | None:
    """The user to run Postgres as: None, the present one, unless that is root."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_UNPRIVILEGED)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
