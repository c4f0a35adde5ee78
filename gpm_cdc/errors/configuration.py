"""What can be wrong with settings: where they stand, what they are called, what they say."""

from typing import ClassVar

from gpm_cdc.errors.base import GpmCdcError


class ConfigurationError(GpmCdcError):
    """The root of everything a person mends in flags, environment or gpm-cdc.toml."""

    code: ClassVar[str] = "configuration"


class ConfigMissing(ConfigurationError):
    """A configuration file was named and is not there or cannot be read."""

    code: ClassVar[str] = "configuration.missing"
    message: ClassVar[str] = "The configuration file {path}, named by {origin}, cannot be read: {reason}."
    remedy: ClassVar[str] = (
        "Name a file that exists with --config or GPM_CONFIG, or `gpm-cdc map --output FILE` makes one."
    )


class ConfigNotToml(ConfigurationError):
    """The configuration file is not TOML; `reason` says the line."""

    code: ClassVar[str] = "configuration.toml"
    message: ClassVar[str] = "{path} is not a TOML file: {reason}."
    remedy: ClassVar[str] = "Correct that line."


class UnknownSetting(ConfigurationError):
    """A key of `[settings]` that nothing reads; `known` is the nearest one that something does, or all of them."""

    code: ClassVar[str] = "configuration.unknown"
    message: ClassVar[str] = "{origin} holds {key}, which is not a setting."
    remedy: ClassVar[str] = "Did you mean {known}?"


class InvalidSetting(ConfigurationError):
    """A setting's value breaks its constraint. `value` is already hidden where it is a secret."""

    code: ClassVar[str] = "configuration.invalid"
    message: ClassVar[str] = "{field} = {value}, from {origin}, is refused: {constraint}."
    remedy: ClassVar[str] = "Correct {field} in {origin}."


class SettingTwice(ConfigurationError):
    """Both the variable and its `_FILE` form are set: neither is more right than the other."""

    code: ClassVar[str] = "configuration.twice"
    message: ClassVar[str] = "Both {variable} and {variable}_FILE are set."
    remedy: ClassVar[str] = "Unset one of them."


class SettingFileUnreadable(ConfigurationError):
    """The file that a `_FILE` variable names cannot be read."""

    code: ClassVar[str] = "configuration.file"
    message: ClassVar[str] = "{path}, named by {variable}, cannot be read: {reason}."
    remedy: ClassVar[str] = "Make that file readable for this user, or set {setting} instead."
