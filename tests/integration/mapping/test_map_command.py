import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gpm_cdc.cli.main import outcome
from gpm_cdc.mapping.text import parse
from tests.integration.mapping.database import Postgres, execute

TABLES = """
create table customers (id int primary key, name text);
create table orders (id int primary key, customer_id int references customers);
create table heap (n int);
"""


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


type Run = Callable[..., Ran]


@pytest.fixture
def run(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `gpm-cdc map` with arguments on a database with three tables, in an empty directory."""
    execute(postgres, TABLES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPM_POSTGRES_DSN", postgres.dsn)
    monkeypatch.delenv("GPM_CONFIG", raising=False)

    def command(*arguments: str) -> Ran:
        code = outcome(["map", *arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return command


def test_stdout(run: Run) -> None:
    """The mapping goes to stdout, refused tables are comments in it and are told on stderr; the exit code is 0."""
    code, out, err = run()
    assert code == 0
    assert [node.label for node in parse(out, where="stdout").nodes] == ["Customer", "Order"]
    assert "# Not in the graph: public.heap." in out
    assert '# ignore = ["public.heap"]' in out
    assert "blocks: public.heap has no primary key" in err
    assert "ALTER TABLE public.heap ADD PRIMARY KEY" in err


def test_output(run: Run, tmp_path: Path) -> None:
    """A file is written once; again only with --force, which keeps its settings and its ignore list."""
    path = tmp_path / "gpm-cdc.toml"
    path.write_text('# Ours.\nignore = ["public.heap"]\n[settings]\nstream = "shop" # kept\n', encoding="utf-8")
    assert run("--output", "gpm-cdc.toml").code == 0
    written = path.read_text(encoding="utf-8")
    assert written.startswith("# Ours.\n")
    assert 'stream = "shop" # kept' in written
    assert tomllib.loads(written)["ignore"] == ["public.heap"]
    assert "Not in the graph" not in written
    code, out, err = run("--output", "gpm-cdc.toml")
    assert (code, out) == (2, "")
    assert "--force" in err
    path.write_text(written.replace('"Order"', '"Purchase"').replace("key =", "kee ="), encoding="utf-8")
    assert run("--output", "gpm-cdc.toml", "--force").code == 0
    assert path.read_text(encoding="utf-8") == written


def test_check(run: Run, tmp_path: Path, postgres: Postgres) -> None:
    """--check prints findings on stdout and ends with 1 only if one blocks."""
    path = tmp_path / "gpm-cdc.toml"
    assert run("--output", str(path)).code == 0
    code, out, err = run("--check")
    assert code == 0
    assert out.startswith("warns: public.heap has no primary key")
    assert "fits" in err
    execute(postgres, "alter table orders rename column customer_id to buyer_id")
    code, out, err = run("--check")
    assert code == 1
    assert "blocks: public.orders has no column customer_id." in out
    assert "Blocking findings: 1." in err


def test_check_other_schema(run: Run, tmp_path: Path, postgres: Postgres) -> None:
    """--check finds the tables that the mapping names, in whichever schema they are."""
    execute(postgres, "create schema crm; create table crm.leads (id int primary key)")
    path = tmp_path / "gpm-cdc.toml"
    assert run("--schema", "crm", "--output", str(path)).code == 0
    text = path.read_text(encoding="utf-8")
    assert 'table = "crm.leads"' in text
    assert "public" not in text
    assert run("--check").code == 0


def test_no_mapping(run: Run, tmp_path: Path) -> None:
    """--check without a mapping, with or without a file, names the command that writes one."""
    code, _, err = run("--check")
    assert (code, "gpm-cdc map --output gpm-cdc.toml" in err) == (2, True)
    (tmp_path / "gpm-cdc.toml").write_text("[settings]\n", encoding="utf-8")
    code, _, err = run("--check")
    assert (code, "gpm-cdc map --output" in err) == (2, True)


def test_misspelled_key(run: Run, tmp_path: Path) -> None:
    """An unknown key of the file ends with 2 and the nearest known key."""
    path = tmp_path / "gpm-cdc.toml"
    path.write_text('version = 1\n[[node]]\ntable = "public.orders"\nlabl = "Order"\nkey = ["id"]\n', encoding="utf-8")
    code, _, err = run("--check")
    assert (code, "Write label" in err) == (2, True)


@pytest.mark.parametrize("arguments", [["--check", "--force"], ["--check", "--output", "x"], ["--force"]])
def test_contradictions(run: Run, arguments: list[str]) -> None:
    """Options that mean nothing together are a usage error."""
    assert run(*arguments).code == 2


def test_unwritable(run: Run) -> None:
    """A file that cannot be written is an error with the reason."""
    code, _, err = run("--output", "no/such/directory/map.toml")
    assert (code, "No such file or directory" in err) == (2, True)


def test_empty_schema(run: Run) -> None:
    """A schema without tables is said to be so."""
    code, out, err = run("--schema", "missing")
    assert (code, out) == (0, "version = 1\n")
    assert "Schema missing holds no table" in err


def test_no_server(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that does not answer may be tried again."""
    monkeypatch.setenv("GPM_POSTGRES_DSN", "host=127.0.0.1 port=1 connect_timeout=2")
    assert run().code == 3
