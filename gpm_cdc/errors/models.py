"""SQLAlchemy models that cannot be read or say what cannot be, and commits whose position cannot be told."""

from typing import ClassVar

from gpm_cdc.errors.base import GpmCdcError


class ModelsNotFound(GpmCdcError):
    """What --models names cannot be imported. Facts: `name`, `detail`."""

    code: ClassVar[str] = "models_not_found"
    message: ClassVar[str] = "the models {name} cannot be read: {detail}"
    remedy: ClassVar[str] = (
        "write package.module:Base, with the class that the models inherit from; the current directory and PYTHONPATH"
        " are searched"
    )


class AnnotationRefused(GpmCdcError):
    """An annotation says what cannot be. Facts: `where` (class and attribute), `detail`, `advice`."""

    code: ClassVar[str] = "annotation_refused"
    message: ClassVar[str] = "{where}: {detail}"
    remedy: ClassVar[str] = "{advice}"


class CommitsUntracked(GpmCdcError):
    """An engine whose driver cannot tell a commit's position. Facts: `dialect`, `driver`."""

    code: ClassVar[str] = "commits_untracked"
    message: ClassVar[str] = "the commits of an engine with {dialect}+{driver} cannot be tracked"
    remedy: ClassVar[str] = "make the engine with postgresql+psycopg://, or wait without a position (gpm-cdc wait)"


class CommitAmbiguous(GpmCdcError):
    """A session committed to several databases, each with a log of its own. Facts: `count`."""

    code: ClassVar[str] = "commit_ambiguous"
    message: ClassVar[str] = "the session's last commit was one of {count} databases, each with positions of its own"
    remedy: ClassVar[str] = "say which one: commit_lsn(session, engine)"
