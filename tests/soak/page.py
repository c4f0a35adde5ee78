"""docs/soak.md: what ran last, for how long, and what was seen."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "soak.md"
FACTS = PAGE.with_suffix(".json")

_HEAD = """# Soak: verify and repair under load

`make soak` lets eight sessions of pgbench write to related tables while `gpm-cdc run` follows and `gpm-cdc verify`
compares again and again; tests/soak holds the tables and the scripts. At the end writers stop, the independent oracle
compares graph and tables, and one more pass has to be clean. What must not happen: a finding, although nobody touched
the graph; a question that a pass leaves open and the next two leave open too; where the schema is changed between, a
pass without an answer that saw no change. This page is the last run of each kind.

**Writes**: inserts, updates, deletes with cascades, key changes, swaps of keys in one statement, references to NULL
and back, relationship rows that are pointed elsewhere, ON CONFLICT, savepoints.
**Changes of the schema**: the same, with every few seconds a rewriting ALTER TYPE, a column with a volatile default, a
plain one, one dropped, a partition attached, detached, truncated or dropped, or a TRUNCATE.
**Repairs**: rows are repaired while six sessions change them, on a server whose synchronous standby does not answer, so
that the graph is ahead of every snapshot until the wait for it is ended. Under the checkpoint's lock no row's version
ever goes back, and the oracle has to agree at the end.
"""

_MIXED = {
    "seconds": "seconds",
    "passes": "passes",
    "clean": "clean",
    "inconclusive": "inconclusive",
    "oldest": "oldest question, further passes",
    "transactions": "transactions",
    "given_up": "given up for deadlocks",
    "rows": "rows written",
    "changes": "changes of the schema",
    "held": "longest snapshot, seconds",
}
_REPAIRS = {
    "seconds": "seconds",
    "repairs": "repairs",
    "writes": "commits of writers",
    "waits_ended": "waits ended singly",
    "looks": "looks at the graph",
    "hidden": "of these ahead of the tables",
}
COLUMNS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "writes": ("Writes", _MIXED),
    "schema": ("Writes with changes of the schema", _MIXED),
    "repairs": ("Repairs", _REPAIRS),
}
"""The modes: what each is called, and what is told of it."""


def write(mode: str, seen: Mapping[str, Any]) -> None:
    """Keep what was seen in one mode, and render the page of the last run of each."""
    known = json.loads(FACTS.read_text()) if FACTS.exists() else {}
    known[mode] = {name: value if name == "faults" else round(value, 1) for name, value in seen.items()}
    FACTS.write_text(json.dumps(known, indent=1) + "\n")
    PAGE.write_text(render(known))


def render(known: Mapping[str, Mapping[str, Any]]) -> str:
    """The page for these runs."""
    return "\n".join([_HEAD, *(line for mode in COLUMNS if mode in known for line in _section(mode, known[mode]))])


def _section(mode: str, seen: Mapping[str, Any]) -> Sequence[str]:
    title, _ = COLUMNS[mode]
    head = [f"## {title}", "", f"Seed {seen['seed']}; faults: {len(seen['faults']) or 'none'}.", ""]
    faults = [f"- {fault}" for fault in seen["faults"]]
    return [
        *head,
        *faults,
        *([""] if faults else []),
        "| | |",
        "|---|---:|",
        *told(mode, seen, "| {name} | {value} |"),
        "",
    ]


def told(mode: str, seen: Mapping[str, Any], form: str) -> list[str]:
    """A line for each number."""
    _, columns = COLUMNS[mode]
    return [form.format(name=name, value=_number(seen[column])) for column, name in columns.items()]


def _number(value: float | int) -> str:  # noqa: PYI041 - they are told apart
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
