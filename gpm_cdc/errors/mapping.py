"""A mapping that cannot be read, does not fit the database, or would be overwritten."""

from typing import ClassVar

from gpm_cdc.errors.base import GpmCdcError


class MappingUnreadable(GpmCdcError):
    """The text is not TOML. Facts: `where` (the file), `detail` (the parser's sentence)."""

    code: ClassVar[str] = "mapping_unreadable"
    message: ClassVar[str] = "{where} is not valid TOML: {detail}."
    remedy: ClassVar[str] = "Correct the file at that place."


class MappingKeyUnknown(GpmCdcError):
    """A key that the mapping does not have. Facts: `where`, `entry`, `key`, `known`."""

    code: ClassVar[str] = "mapping_key_unknown"
    message: ClassVar[str] = "{where}, {entry}: there is no setting called {key}."
    remedy: ClassVar[str] = "Remove it or use one of: {known}."


class MappingKeyMisspelled(MappingKeyUnknown):
    """As MappingKeyUnknown, where a known key is close. Further fact: `nearest`."""

    remedy: ClassVar[str] = "Write {nearest} if that was meant; known are: {known}."


class MappingKeyMissing(GpmCdcError):
    """A required key is not there. Facts: `where`, `entry`, `key`, `example` (a line of TOML)."""

    code: ClassVar[str] = "mapping_key_missing"
    message: ClassVar[str] = "{where}, {entry}: {key} is missing."
    remedy: ClassVar[str] = "Add it, for example: {example}"


class MappingValueWrong(GpmCdcError):
    """A value of another kind than the key takes. Facts: `where`, `entry`, `key`, `expected`, `example`."""

    code: ClassVar[str] = "mapping_value_wrong"
    message: ClassVar[str] = "{where}, {entry}: {key} must be {expected}."
    remedy: ClassVar[str] = "Write it like this: {example}"


class MappingVersionUnknown(GpmCdcError):
    """The file states a format version that this program does not read. Facts: `where`, `version`."""

    code: ClassVar[str] = "mapping_version_unknown"
    message: ClassVar[str] = "{where} has version = {version}, and this gpm-cdc reads version = 1 only."
    remedy: ClassVar[str] = "Set version = 1, or use the release of gpm-cdc that wrote the file."


class MappingInvalid(GpmCdcError):
    """The mapping does not fit the database or contradicts itself.

    Facts: `count`, `details` (one blocking finding per line, each with its remedy), `findings` (the same as values).
    """

    code: ClassVar[str] = "mapping_invalid"
    message: ClassVar[str] = "The mapping does not fit the database. Blocking findings ({count}):\n{details}"
    remedy: ClassVar[str] = "Correct each of them; gpm-cdc map --check shows what is left."


class MappingExists(GpmCdcError):
    """The file that a mapping would be written to holds one. Facts: `path`."""

    code: ClassVar[str] = "mapping_exists"
    message: ClassVar[str] = "{path} already holds a mapping."
    remedy: ClassVar[str] = (
        "Add --force to replace it (its settings and its ignore list are kept), or give another file with --output."
    )


class MappingMissing(GpmCdcError):
    """There is no mapping to work with. Facts: `path`."""

    code: ClassVar[str] = "mapping_missing"
    message: ClassVar[str] = "{path} holds no mapping."
    remedy: ClassVar[str] = "Write one with: gpm-cdc map --output {path}"


class MappingFileRefused(GpmCdcError):
    """The operating system does not let the file be read or written. Facts: `path`, `reason`."""

    code: ClassVar[str] = "mapping_file_refused"
    message: ClassVar[str] = "{path} cannot be used: {reason}."
    remedy: ClassVar[str] = "Correct its place or its permissions, or give another file with --output."
