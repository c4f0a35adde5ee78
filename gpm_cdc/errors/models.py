"""SQLAlchemy models that cannot be read, or say what cannot be."""

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
