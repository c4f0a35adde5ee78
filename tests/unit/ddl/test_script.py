import pytest
from hypothesis import given, strategies as st
from pglast.parser import parse_sql

from gpm_cdc.ddl.script import Lines, outline, pieces

_PARTS = st.sampled_from(
    [
        "SELECT 1", ";", " ", "\n", "'it''s; '", "E'\\'; '", '"a;b"', "$$ ; $$", "$x$ $$;' $x$", "-- ; '\n",
        "/* ; /* ' */ ; */",
        "(", ")", "COPY t FROM stdin;\n", "a;b\t'\n", "\\.\n", "\\set x 'y\n", "BEGIN ATOMIC ", "END",
        "CREATE FUNCTION f() ",
        "'", '"', "$$", "/*", "é", "\\", "$1", "1e5", "CASE",
    ]
)  # fmt: skip


@given(st.lists(_PARTS | st.text(max_size=5)).map("".join))
def test_no_character_is_lost(text: str) -> None:
    """The pieces are the text, each at its place, whatever it holds; statements begin with what they say."""
    found = list(pieces(text))
    assert "".join(piece.text for piece in found) == text
    assert all(text.startswith(piece.text, piece.start) for piece in found)
    assert all(piece.text == piece.text.lstrip() for piece in found if piece.kind == "statement")


_STATEMENTS = st.sampled_from(
    [
        "SELECT 'a;''b'", "SELECT E'\\';'", 'SELECT 1 AS "x;"', "DO $$ BEGIN; END $$", "SELECT $q$ $$ ; $q$",
        "SELECT /* ; /* ; */ ' */ 1", "SELECT 1 -- ; '\n",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
        "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
        "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; END", "BEGIN", "END", "SELECT a$b$c FROM t", "SELECT U&'d\\0061;'",
        "SELECT 'é', \"ü;\" FROM ö",
    ]
)  # fmt: skip


@given(st.lists(_STATEMENTS), st.sampled_from([";", " ; ", ";\n\n", "; -- x;\n", ";/* ; */"]))
def test_cuts_where_postgres_does(statements: list[str], end: str) -> None:
    """Each statement is a piece of its own, which Postgres's own parser reads as one statement."""
    text = "".join(f"{statement}{end}" for statement in statements)
    found = [piece.text for piece in pieces(text) if piece.kind == "statement"]
    assert [len(parse_sql(statement)) for statement in found] == [1] * len(statements)
    assert len(parse_sql(text)) == len(statements)


def test_rows_and_lines_for_psql_are_no_statements() -> None:
    """What follows COPY ... FROM stdin is rows up to its end, and a backslash begins a line for psql."""
    text = (
        "\\set x it's\nCOPY public.t (a, b) FROM stdin WITH (NULL 'x');\n1\tit's; \\N\n\\.\nSELECT 1 \\gexec\nTABLE t"
    )
    assert [(piece.kind, piece.text) for piece in pieces(text) if piece.kind != "gap"] == [
        ("meta", "\\set x it's"),
        ("statement", "COPY public.t (a, b) FROM stdin WITH (NULL 'x');"),
        ("rows", "1\tit's; \\N\n\\.\n"),
        ("statement", "SELECT 1 "),
        ("meta", "\\gexec"),
        ("statement", "TABLE t"),
    ]


@pytest.mark.parametrize(
    ("offset", "place"), [(0, (1, 1)), (1, (1, 2)), (2, (1, 3)), (3, (2, 1)), (4, (3, 1)), (5, (3, 2))]
)
def test_places_count_from_one(offset: int, place: tuple[int, int]) -> None:
    """A character is found as an editor finds it; a line's end belongs to the line."""
    assert Lines("éx\n\nab").place(offset) == place


def test_outline_is_one_line_without_values() -> None:
    """Comments go, what stands in quotes is left out, names stay."""
    statement = "ALTER ROLE \"a b\" -- why\n  PASSWORD 'secret' /* so */ VALID UNTIL $$never$$ ;"
    assert outline(statement) == "ALTER ROLE \"a b\" PASSWORD '…' VALID UNTIL '…'"
    assert outline("SELECT " + "x" * 200, 20) == "SELECT xxxxxxxxxxxx…"
