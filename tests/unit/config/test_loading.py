from pathlib import Path

import pytest

from gpm_cdc.config.loading import load
from gpm_cdc.config.settings import BATCH_ROWS, Settings
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.errors.configuration import (
    ConfigMissing,
    ConfigNotToml,
    InvalidSetting,
    SettingFileUnreadable,
    SettingTwice,
    UnknownSetting,
)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    """An empty environment in an empty directory gives the defaults, and libpq is left to itself."""
    settings = load({}, {}, tmp_path)
    assert settings == Settings()
    assert settings.conninfo == ""
    assert settings.config is None
    assert settings.batch_rows == BATCH_ROWS


def test_flag_beats_environment_beats_file(tmp_path: Path) -> None:
    """Each place overrides the one below it, field by field."""
    _write(tmp_path / "gpm-cdc.toml", '[settings]\nstream = "file"\nneo4j_user = "file"\nneo4j_database = "file"\n')
    environ = {"GPM_STREAM": "environment", "GPM_NEO4J_USER": "environment"}
    settings = load({"stream": "flag", "neo4j_user": None}, environ, tmp_path)
    assert (settings.stream, settings.neo4j_user, settings.neo4j_database) == ("flag", "environment", "file")


def test_file_is_found_by_flag_by_variable_and_by_name(tmp_path: Path) -> None:
    """--config beats GPM_CONFIG beats gpm-cdc.toml in the working directory."""
    for name in ("flag.toml", "variable.toml", "gpm-cdc.toml"):
        _write(tmp_path / name, f'[settings]\nstream = "{name.split(".")[0].replace("-", "_")}"\n')
    by_flag = load({"config": "flag.toml"}, {"GPM_CONFIG": "variable.toml"}, tmp_path)
    by_variable = load({}, {"GPM_CONFIG": "variable.toml"}, tmp_path)
    by_name = load({}, {}, tmp_path)
    assert [each.stream for each in (by_flag, by_variable, by_name)] == ["flag", "variable", "gpm_cdc"]
    assert by_flag.config == tmp_path / "flag.toml"


def test_stream_names_slot_and_publication() -> None:
    """One name, so that two streams cannot share half of their state."""
    settings = Settings(stream="shop")
    assert (settings.slot_name, settings.publication_name) == ("shop", "shop")


def test_secret_comes_from_a_mounted_file_without_its_newline(tmp_path: Path) -> None:
    """A *_FILE variable names a file; the newline that editors add is not part of the secret."""
    secret = _write(tmp_path / "password", "s3cret \n")
    settings = load({}, {"GPM_NEO4J_PASSWORD_FILE": str(secret)}, tmp_path)
    assert settings.neo4j_password is not None
    assert settings.neo4j_password.get_secret_value() == "s3cret "


def test_connection_string_may_be_mounted_too(tmp_path: Path) -> None:
    """Every setting has a *_FILE form, the ones with a password inside above all."""
    secret = _write(tmp_path / "dsn", "host=db password=s3cret\n")
    settings = load({}, {"GPM_POSTGRES_DSN_FILE": str(secret)}, tmp_path)
    assert settings.conninfo == settings.state_conninfo == "host=db password=s3cret"


def test_state_may_live_elsewhere(tmp_path: Path) -> None:
    """GPM_STATE_DSN moves our own schema away from the source."""
    settings = load({}, {"GPM_POSTGRES_DSN": "dbname=source", "GPM_STATE_DSN": "dbname=state"}, tmp_path)
    assert (settings.conninfo, settings.state_conninfo) == ("dbname=source", "dbname=state")


def test_variable_and_its_file_form_together_are_refused(tmp_path: Path) -> None:
    """Two answers to one question are an error, not a guess."""
    environ = {"GPM_NEO4J_PASSWORD": "a", "GPM_NEO4J_PASSWORD_FILE": "b"}
    with pytest.raises(SettingTwice, match="Both GPM_NEO4J_PASSWORD and GPM_NEO4J_PASSWORD_FILE"):
        load({}, environ, tmp_path)


def test_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    """A compose file turns an unset variable into an empty one."""
    assert load({}, {"GPM_STREAM": "", "GPM_CONFIG": "", "GPM_NEO4J_PASSWORD_FILE": ""}, tmp_path) == Settings()


def test_unreadable_secret_names_variable_and_path(tmp_path: Path) -> None:
    """The message says which variable pointed where, and what to set instead."""
    with pytest.raises(SettingFileUnreadable) as caught:
        load({}, {"GPM_NEO4J_PASSWORD_FILE": "absent"}, tmp_path)
    assert "absent, named by GPM_NEO4J_PASSWORD_FILE" in str(caught.value)
    assert "GPM_NEO4J_PASSWORD instead" in caught.value.advice


def test_secret_in_another_encoding_is_refused_without_showing_it(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are an error that does not quote them."""
    (tmp_path / "secret").write_bytes(b"caf\xe9")
    with pytest.raises(SettingFileUnreadable, match="not UTF-8") as caught:
        load({}, {"GPM_NEO4J_PASSWORD_FILE": "secret"}, tmp_path)
    assert "caf" not in str(caught.value)


def test_unknown_key_names_the_nearest_one(tmp_path: Path) -> None:
    """A misspelt setting is an error with the word that was probably meant."""
    _write(tmp_path / "gpm-cdc.toml", "[settings]\nbatch_row = 5\n")
    with pytest.raises(UnknownSetting, match=r"\[settings\] of gpm-cdc.toml holds batch_row") as caught:
        load({}, {}, tmp_path)
    assert caught.value.advice == "Did you mean batch_rows?"


def test_unknown_key_without_a_neighbour_lists_them_all(tmp_path: Path) -> None:
    """Where nothing is near, the list of settings is the remedy; the file cannot name itself."""
    _write(tmp_path / "gpm-cdc.toml", "[settings]\nzzz = 5\n")
    with pytest.raises(UnknownSetting) as caught:
        load({}, {}, tmp_path)
    assert "neo4j_uri, " in caught.value.advice
    assert "config" not in caught.value.advice.split(", ")


def test_file_cannot_name_another_file(tmp_path: Path) -> None:
    """`config` is not a key of the file that it would name."""
    _write(tmp_path / "gpm-cdc.toml", '[settings]\nconfig = "other.toml"\n')
    with pytest.raises(UnknownSetting):
        load({}, {}, tmp_path)


def test_the_mapping_beside_the_settings_is_left_alone(tmp_path: Path) -> None:
    """Version, ignore, nodes and relationships are somebody else's to read."""
    text = 'version = 1\nignore = ["public.log"]\n[[node]]\ntable = "public.a"\n[settings]\nstream = "shop"\n'
    _write(tmp_path / "gpm-cdc.toml", text)
    assert load({}, {}, tmp_path).stream == "shop"


@pytest.mark.parametrize("flags", [{"config": "absent.toml"}, {"config": "."}])
def test_named_file_must_exist(tmp_path: Path, flags: dict[str, object]) -> None:
    """A file that was asked for and is not there is an error, unlike the default one."""
    with pytest.raises(ConfigMissing, match="named by --config") as caught:
        load(flags, {}, tmp_path)
    assert caught.value.exit_code is ExitCode.PERSON


@pytest.mark.parametrize(
    ("text", "reason"), [("stream = ?", "line 1"), ("settings = 5", "must be a table"), ("a = '\x01'", "line 1")]
)
def test_what_is_not_toml_says_where(tmp_path: Path, text: str, reason: str) -> None:
    """A syntax error names file and line."""
    _write(tmp_path / "gpm-cdc.toml", text)
    with pytest.raises(ConfigNotToml, match=f"gpm-cdc.toml is not a TOML file: .*{reason}"):
        load({}, {}, tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "constraint"),
    [
        ("stream", "Shop", "match pattern"),
        ("stream", "", "match pattern"),
        ("stream", "a" * 51, "match pattern"),
        ("stream", "shop\n", "match pattern"),
        ("neo4j_uri", "http://localhost:7474", "bolt"),
        ("neo4j_uri", "localhost:7687", "bolt"),
        ("metrics", "9187", "127.0.0.1:9187"),
        ("metrics", ":9187", "127.0.0.1:9187"),
        ("metrics", "host:0", "127.0.0.1:9187"),
        ("metrics", "host:65536", "127.0.0.1:9187"),
        ("metrics", "::1:9187", "[::1]:9187"),
        ("metrics", "[host]:9187", "[::1]:9187"),
        ("neo4j_uri", "bolt://localhost:port", "65536"),
        ("batch_rows", 0, "greater than or equal to 1"),
        ("batch_bytes", "many", "byte string"),
        ("transaction_timeout", "nan", "finite"),
        ("lock_timeout", 0, "greater than 0"),
        ("queue_bytes", "1MiB", "batch_bytes = 8388608"),
        ("keepalive_interval", 6, "a quarter of wal_sender_timeout = 20 seconds"),
    ],
)
def test_refusal_names_field_value_constraint_and_place(
    tmp_path: Path, field: str, value: object, constraint: str
) -> None:
    """The reader learns what was refused, why, and which file or option holds it."""
    with pytest.raises(InvalidSetting) as caught:
        load({field: value}, {}, tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{field} = {value!r}, from --{field.replace('_', '-')}, is refused: ")
    assert constraint in said


def test_place_of_a_refused_value_is_the_one_that_won(tmp_path: Path) -> None:
    """A bad value from the environment is not blamed on the file below it."""
    _write(tmp_path / "gpm-cdc.toml", "[settings]\nbatch_rows = 7\n")
    with pytest.raises(InvalidSetting, match="from GPM_BATCH_ROWS, is refused"):
        load({}, {"GPM_BATCH_ROWS": "-1"}, tmp_path)


def test_default_that_no_longer_fits_says_so(tmp_path: Path) -> None:
    """Where a rule over two settings is broken by a default, the message names the default."""
    with pytest.raises(InvalidSetting, match="queue_bytes = 67108864, from the defaults"):
        load({}, {"GPM_BATCH_BYTES": "1GiB"}, tmp_path)


@pytest.mark.parametrize("uri", ["bolt://neo4j:s3cret@host:7687", "bolt://neo4j:s3cret@[host"])
def test_password_in_the_uri_is_refused_and_not_repeated(tmp_path: Path, uri: str) -> None:
    """The graph's address carries no password, and the refusal does not print the one that was there."""
    with pytest.raises(InvalidSetting) as caught:
        load({"neo4j_uri": uri}, {}, tmp_path)
    assert "s3cret" not in f"{caught.value} {caught.value.facts} {caught.value.__cause__} {caught.value.__context__}"


def test_secrets_of_the_wrong_type_are_not_repeated(tmp_path: Path) -> None:
    """Even a refused password stays hidden, in the message and in the chain behind it."""
    _write(tmp_path / "gpm-cdc.toml", "[settings]\nneo4j_password = 31337\n")
    with pytest.raises(InvalidSetting, match=r"neo4j_password = \*\*\*") as caught:
        load({}, {}, tmp_path)
    assert caught.value.__context__ is None


def test_sizes_may_carry_a_unit(tmp_path: Path) -> None:
    """64MiB reads better than 67108864."""
    assert load({}, {"GPM_QUEUE_BYTES": "16MiB"}, tmp_path).queue_bytes == 16 * 1024**2


def test_settings_never_show_their_secrets(tmp_path: Path) -> None:
    """Neither the repr nor the public form holds a password; the public form keeps the rest of the address."""
    environ = {"GPM_POSTGRES_DSN": "postgresql://u:s3cret@db/app", "GPM_NEO4J_PASSWORD": "s3cret"}
    settings = load({}, environ, tmp_path)
    assert "s3cret" not in f"{settings!r} {settings} {settings.public()} {settings.model_dump_json()}"
    assert settings.public()["postgres_dsn"] == "postgresql://u:***@db/app"


def test_settings_are_frozen() -> None:
    """What was read at the edge cannot be changed on the way."""
    with pytest.raises(ValueError, match="frozen"):
        setattr(Settings(), "stream", "other")  # noqa: B010 - a type checker refuses the plain form


def test_process_environment_is_never_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the mapping that is handed in counts."""
    monkeypatch.setenv("GPM_STREAM", "from_the_process")
    assert load({}, {}, tmp_path).stream == Settings().stream == "gpm_cdc"
