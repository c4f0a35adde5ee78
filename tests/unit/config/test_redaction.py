import pytest
from hypothesis import given, strategies as st

from gpm_cdc.config.redaction import holds_password, redact


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("", ""),
        ("host=db user=u", "host=db user=u"),
        ("host=db password=s3cret user=u", "host=db password=*** user=u"),
        ("password = 's3 cret\\' x' host=db", "password=*** host=db"),
        ("password='s3cret", "password=***"),
        ("password=s3\\ cret host=db", "password=*** host=db"),
        ("PASSWORD=s3cret", "PASSWORD=***"),
        ("host=db sslpassword=s3cret", "host=db sslpassword=***"),
        ("application_name=nopassword=x", "application_name=nopassword=x"),
        ("postgresql://u:s3cret@db:5432/app", "postgresql://u:***@db:5432/app"),
        ("postgres://u:s3@cret@db/app", "postgres://u:***@db/app"),
        ("POSTGRESQL://u:s3cret@db/app", "postgresql://u:***@db/app"),
        ("postgresql://u@db/app", "postgresql://u@db/app"),
        ("postgresql://a,b/app?user=u&password=s3cret&x=1", "postgresql://a,b/app?user=u&password=***&x=1"),
        ("postgresql://u:s3cret@[db", "***"),
    ],
)
def test_passwords_vanish_and_the_rest_stays(dsn: str, shown: str) -> None:
    """Every place where libpq takes a password is covered; the rest of the address stays readable."""
    assert redact(dsn) == shown


_SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map("s3cret".__add__)


@given(_SECRETS)
def test_quoted_password_never_shows(secret: str) -> None:
    """However a password looks, its quoted form is taken out whole."""
    quoted = secret.replace("\\", "\\\\").replace("'", "\\'")
    assert "s3cret" not in redact(f"host=db password='{quoted}' user=u")


def test_password_is_noticed() -> None:
    """A connection string that names its user alone is harmless."""
    assert holds_password("password=x")
    assert holds_password("postgresql://u:x@db")
    assert not holds_password("postgresql://u@db")
