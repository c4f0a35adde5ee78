"""Citext folded here against citext compared there, under each kind of locale that folds characters one by one."""

import random
import unicodedata
from collections.abc import Iterator
from typing import LiteralString

import psycopg

from gpm_cdc.domain.catalogue import Catalogue
from gpm_cdc.domain.joins import join_type
from tests import servers
from tests.integration.mapping.database import catalogue_of, execute, server_version
from tests.servers import Database, PostgresServer

_SURROGATES = range(0xD800, 0xE000)
_PAIRS = 20_000
_FULL_MAPPING_SINCE = 180_000
_ODD = "aAbBsSkKiI\u0131\u0130\u212a\u03c3\u03c2\u03a3"
"""With both letters i of Turkish, the sign of Kelvin, and sigma, of which there are two small ones."""


def _cased() -> list[str]:
    """Every character that any case mapping of Python's Unicode changes or yields, and a few that none does."""
    found: dict[str, None] = dict.fromkeys(" a1ß'\t\u0307\u0345\u200d")
    for code in range(1, 0x110000):
        if code in _SURROGATES:
            continue
        character = chr(code)
        for other in (character.lower(), character.upper(), character.title(), character.casefold()):
            if other != character:
                found.update(dict.fromkeys((character, *other)))
    return list(found)


def _pairs(dice: random.Random) -> Iterator[tuple[str, str]]:
    """Texts, and the same in another case, sometimes changed a bit more."""
    characters = _cased()
    for character in characters:
        for other in (character.lower(), character.upper(), character.casefold()):
            yield character, other
    recase = (
        str.lower,
        str.upper,
        str.title,
        str.casefold,
        str.swapcase,
        lambda text: unicodedata.normalize("NFC", text),
    )
    for _ in range(_PAIRS):
        pool = dice.choice((characters, _ODD, "ΑΣ ΑΣ.ΑΣΑ"))
        text = "".join(dice.choices(pool, k=dice.randint(1, 8)))
        yield text, dice.choice(recase)(text)
        yield text, "".join(dice.choice((part, part.swapcase())) for part in text)


def _catalogue(database: Database) -> Catalogue:
    execute(database, "CREATE EXTENSION citext; CREATE TABLE word (id citext PRIMARY KEY)")
    return catalogue_of(database)


def _locales(server: PostgresServer) -> Iterator[LiteralString]:
    """The server's own, that of bytes, and that of libc for UTF-8 where the system has it."""
    yield from ("", "LOCALE_PROVIDER libc LOCALE 'C'")
    with psycopg.connect(server.dsn) as connection:
        known = connection.execute("SELECT FROM pg_collation WHERE collname = 'C.utf8' AND collprovider = 'c'")
        if known.fetchone() is not None:
            yield "LOCALE_PROVIDER libc LOCALE 'C.utf8'"


def test_citext_is_folded_as_postgres_does(postgres_server: PostgresServer) -> None:
    """Two texts have one folded form exactly when citext calls them equal."""
    pairs = list(_pairs(random.Random(1)))
    query = "SELECT a::citext = b::citext FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS t (a, b, n) ORDER BY n"
    for locale in _locales(postgres_server):
        with servers.database(postgres_server, locale) as database:
            decode = join_type("folded", _catalogue(database).lowercase).decode
            with psycopg.connect(database.dsn) as connection:
                rows = connection.execute(query, [list(part) for part in zip(*pairs, strict=True)]).fetchall()
        told = [(decode(one) == decode(other)) for one, other in pairs]
        assert not [pair for pair, one, (equal,) in zip(pairs, told, rows, strict=True) if one != equal][:10], locale
        assert 0 < sum(told) < len(told)


def test_every_character_that_has_another_case_is_known(postgres_server: PostgresServer) -> None:
    """The catalogue is asked for a part of Unicode alone: the rest has no letters with cases."""
    query = (
        "SELECT code, lower(chr(code)) FROM generate_series(1, 1114111) AS code"
        " WHERE code NOT BETWEEN 55296 AND 57343 AND lower(chr(code)) <> chr(code)"
    )
    for locale in _locales(postgres_server):
        with servers.database(postgres_server, locale) as database:
            known = _catalogue(database).lowercase
            with psycopg.connect(database.dsn) as connection:
                assert known == dict(connection.execute(query).fetchall()), locale


def test_no_citext(postgres: Database) -> None:
    """Without a column of that type nobody asks."""
    execute(postgres, "CREATE TABLE word (id text PRIMARY KEY)")
    assert catalogue_of(postgres).lowercase is None


def test_characters_that_depend_on_each_other(postgres_server: PostgresServer, postgres: Database) -> None:
    """Where lower() looks at more than one character nothing is claimed."""
    if server_version(postgres) < _FULL_MAPPING_SINCE:
        return
    with servers.database(postgres_server, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'") as database:
        assert _catalogue(database).lowercase is None
