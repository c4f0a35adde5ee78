"""One `Settings` from flags over environment over gpm-cdc.toml over defaults, and where each value came from."""

import collections
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gpm_cdc.config.redaction import HIDDEN
from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.configuration import (
    ConfigMissing,
    ConfigNotToml,
    InvalidSetting,
    SettingFileUnreadable,
    SettingTwice,
    UnknownSetting,
)

PREFIX: Final = "GPM_"
CONFIG_FILE: Final = "gpm-cdc.toml"
TABLE: Final = "settings"
_CONFIG: Final = "config"
_DEFAULTS: Final = "the defaults"


def variable(field: str) -> str:
    """The environment variable of `field`; with `_FILE` behind it, of a file that holds the value."""
    return f"{PREFIX}{field.upper()}"


def flag(field: str) -> str:
    """The command-line option of `field`."""
    return f"--{field.replace('_', '-')}"


def secret(field: str) -> bool:
    """Whether the value of `field` must not be shown."""
    return SecretStr in _classes(Settings.model_fields[field])


def load(flags: Mapping[str, object], environ: Mapping[str, str], directory: Path) -> Settings:
    """The settings of one run. Paths are relative to `directory`; a flag that is None was not given.

    An empty environment variable counts as unset, since that is what compose files and unit files make of an unset one.
    Reads the configuration file and the files that `*_FILE` variables name. Raises ConfigurationError.
    """
    given = _Layer.of_flags(flags)
    surroundings = _Layer.of_environment(environ, directory)
    path = _config_path((given, surroundings), directory)
    layers = (given, surroundings, _Layer.of_file(path))
    values = dict(collections.ChainMap(*(dict(layer.values) for layer in layers)), **{_CONFIG: path})
    try:
        return Settings.model_validate(values)
    except ValidationError as refusal:
        error = _invalid(refusal.errors()[0], layers)
    # Outside the except block: the refusal quotes the value, which may be a secret, and must not ride along.
    raise error


@dataclass(frozen=True, slots=True)
class _Layer:
    """The values that one place gives, and how a message names that place for each of them."""

    values: Mapping[str, object]
    origins: Mapping[str, str]

    @classmethod
    def of_flags(cls, flags: Mapping[str, object]) -> "_Layer":
        values = {field: value for field, value in flags.items() if value is not None}
        return cls(values, {field: flag(field) for field in values})

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], directory: Path) -> "_Layer":
        values: dict[str, object] = {}
        origins: dict[str, str] = {}
        for field in Settings.model_fields:
            direct = variable(field)
            by_file = f"{direct}_FILE"
            if environ.get(direct) and environ.get(by_file):
                raise SettingTwice(variable=direct)
            if value := environ.get(direct):
                values[field], origins[field] = value, direct
            elif name := environ.get(by_file):
                values[field], origins[field] = _content(directory / name, by_file, direct), f"{by_file} ({name})"
        return cls(values, origins)

    @classmethod
    def of_file(cls, path: Path | None) -> "_Layer":
        if path is None:
            return cls({}, {})
        origin = f"[{TABLE}] of {path.name}"
        values = _table(path)
        for key in values:
            if key not in Settings.model_fields or key == _CONFIG:
                raise UnknownSetting(origin=origin, key=key, known=_nearest(key))
        return cls(values, dict.fromkeys(values, origin))


def _config_path(layers: tuple[_Layer, ...], directory: Path) -> Path | None:
    """The configuration file: the one that was named, or else the default one if it is there."""
    for layer in layers:
        if _CONFIG in layer.values:
            path = directory / str(layer.values[_CONFIG])
            if not path.is_file():
                raise ConfigMissing(path=path, origin=layer.origins[_CONFIG], reason="there is no such file")
            return path
    path = directory / CONFIG_FILE
    return path if path.is_file() else None


def _table(path: Path) -> dict[str, object]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigMissing(path=path, origin=flag(_CONFIG), reason=problem.strerror) from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigNotToml(path=path, reason=problem) from None
    table = document.get(TABLE, {})
    if not isinstance(table, dict):
        raise ConfigNotToml(path=path, reason=f"{TABLE} must be a table, [{TABLE}]")
    return table


def _content(path: Path, by_file: str, direct: str) -> str:
    """The text of a mounted secret. Editors and `echo` end a file with a newline that is not part of it."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as problem:
        raise SettingFileUnreadable(path=path, variable=by_file, setting=direct, reason=problem.strerror) from problem
    except UnicodeDecodeError:
        raise SettingFileUnreadable(path=path, variable=by_file, setting=direct, reason="it is not UTF-8") from None


def _nearest(key: str) -> str:
    known = [field for field in Settings.model_fields if field != _CONFIG]
    return next(iter(difflib.get_close_matches(key, known, n=1)), ", ".join(known))


def _invalid(refusal: ErrorDetails, layers: tuple[_Layer, ...]) -> InvalidSetting:
    """`refusal` as our own error. A rule over two settings names the one to change in its context."""
    context = refusal.get("ctx", {})
    field = str(context.get("field") or refusal["loc"][0])
    layer = next((layer for layer in layers if field in layer.values), None)
    value = layer.values[field] if layer else Settings.model_fields[field].default
    return InvalidSetting(
        field=field,
        # A URI with an @ may hold a password, even where none belongs.
        value=HIDDEN if secret(field) or "@" in str(value) else repr(value),
        constraint=refusal["msg"].removeprefix("Value error, "),
        origin=layer.origins[field] if layer else _DEFAULTS,
    )


def _classes(field: FieldInfo) -> tuple[object, ...]:
    return getattr(field.annotation, "__args__", (field.annotation,))
