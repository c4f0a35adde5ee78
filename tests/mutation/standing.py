"""Servers that stand between mutants, in a process of their own: whoever mutates the package must not import it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def servers() -> Iterator[Mapping[str, str]]:
    """The variables that name the servers to the tests, started unless the environment names some."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.mutation.standing"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        named: dict[str, str] = json.loads(process.stdout.readline())
        try:
            yield named
        finally:
            process.stdin.close()


def _main() -> None:
    from tests import servers as found_by  # noqa: PLC0415 - imports the package

    def report(line: str) -> None:
        sys.stderr.write(f"servers: {line}\n")

    found = found_by.find(os.environ, report)
    graph = found.neo4j
    named = dict(zip(found_by.NEO4J_VARIABLES, (graph.uri, graph.user, graph.password), strict=True))
    try:
        sys.stdout.write(json.dumps({found_by.POSTGRES_VARIABLE: found.postgres.dsn, **named}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        found.close()


if __name__ == "__main__":
    _main()
