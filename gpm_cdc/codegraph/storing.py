"""Sources stored by difference, in the transaction of a session: what is the same is not written."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session

from gpm_cdc.codegraph.extraction import Extract
from gpm_cdc.codegraph.model import Alias, Base, Definition, Reference, Source
from gpm_cdc.codegraph.resolution import resolve

_KEYS_AT_ONCE: Final = 5_000
_WITH_NULLS: Final = {"render_nulls": True}
"""One statement for all rows, whichever of their values are NULL."""
_NO_OBJECTS: Final = {"synchronize_session": False}
_LOCK_CLASS: Final = 0x67706D43
"""The first half of the number of our advisory locks; the second is a hash of the project."""

type _Row = dict[str, Any]
type _Rows = dict[tuple[str, ...], _Row]
"""Rows by primary key."""

_KEYS: Final[Mapping[type[Base], tuple[str, ...]]] = {
    model: tuple(column.name for column in model.__table__.primary_key)
    for model in (Source, Definition, Alias, Reference)
}
"""Primary keys; the order is that in which rows may be inserted, and backwards that in which they may be deleted."""

_COLUMNS: Final = {model: tuple(column.name for column in model.__table__.columns) for model in _KEYS}


@dataclass(slots=True)
class Written:
    """How many rows were written: of sources, definitions and what they name, resolved or not."""

    inserted: int = 0
    updated: int = 0
    removed: int = 0
    resolved: int = 0
    """Of the tables of resolved names, rows that came, went or changed."""


@dataclass(slots=True)
class _Difference:
    inserted: list[_Row] = field(default_factory=list)
    updated: list[_Row] = field(default_factory=list)
    removed: list[tuple[str, ...]] = field(default_factory=list)


def lock(session: Session, project: str) -> None:
    """Wait until no other transaction stores sources of `project`; the lock goes with the transaction."""
    session.execute(select(func.pg_advisory_xact_lock(_LOCK_CLASS, func.hashtext(project))))


def digests(session: Session, project: str, paths: Collection[str] | None = None) -> dict[str, str]:
    """What is stored of `project`: the digest of each source, by path; of `paths` alone if they are given."""
    query = select(Source.path, Source.digest).where(Source.project == project)
    if paths is not None:
        query = query.where(Source.key.in_(f"{project}/{path}" for path in paths))
    rows = session.execute(query)
    return {path: digest for path, digest in rows}  # noqa: C416 - rows are no tuples to a type checker


def store(session: Session, project: str, extracts: Sequence[Extract], removed: Collection[str]) -> Written:
    """Make the tables hold `extracts` for their sources, and nothing for the paths `removed`.

    The caller holds the lock. Nothing is written for what is there already.
    """
    wanted: dict[type[Base], _Rows] = {model: {} for model in _KEYS}
    for one in extracts:
        for model, row in _rows(project, one):
            wanted[model][_key(model, row)] = row
    sources = [f"{project}/{path}" for path in (*(one.path for one in extracts), *removed)]
    present = _present(session, sources)
    differences = {model: _difference(present[model], wanted[model]) for model in _KEYS}
    written = Written()
    for model in reversed(list(_KEYS)):
        _delete(session, model, differences[model].removed)
        written.removed += len(differences[model].removed)
    for model, difference in differences.items():
        if difference.inserted:
            session.execute(insert(model), difference.inserted, execution_options=_WITH_NULLS)
        if difference.updated:
            session.execute(update(model), difference.updated)
        written.inserted += len(difference.inserted)
        written.updated += len(difference.updated)
    names = {*_meanings_changed(present[Definition], wanted[Definition], ("qualname", "kind"))}
    names |= {*_meanings_changed(present[Alias], wanted[Alias], ("name", "target"))}
    written.resolved = resolve(session, project, sources, names)
    return written


def _head(name: str) -> str | None:
    return name.rpartition(".")[0] or None


def _rows(project: str, one: Extract) -> Iterator[tuple[type[Base], _Row]]:
    source = f"{project}/{one.path}"
    yield Source, {"key": source, "project": project, "path": one.path, "digest": one.digest, "lines": one.lines,
                   "error": one.error}  # fmt: skip
    for definition in one.definitions:
        row = definition._asdict()
        local, parent = row.pop("local"), row.pop("parent")
        yield (
            Definition,
            {
                "key": f"{source}#{local}",
                "project": project,
                "source_key": source,
                "parent_key": None if parent is None else f"{source}#{parent}",
                **row,
            },
        )
    for name, target in one.aliases:
        yield Alias, {"source_key": source, "name": name, "project": project, "target": target,
                      "target_head": _head(target)}  # fmt: skip
    for reference in one.references:
        yield (
            Reference,
            {
                "definition_key": f"{source}#{reference.local}",
                "kind": reference.kind,
                "name": reference.name,
                "head": _head(reference.name),
                "project": project,
                "source_key": source,
                "occurrences": reference.occurrences,
            },
        )


def _key(model: type[Base], row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in _KEYS[model])


def _present(session: Session, sources: Sequence[str]) -> dict[type[Base], _Rows]:
    """What the tables hold of these sources."""
    present: dict[type[Base], _Rows] = {model: {} for model in _KEYS}
    known = set(session.scalars(select(Source.key).where(Source.key.in_(sources))))
    if not known:
        return present
    for model, columns in _COLUMNS.items():
        table = model.__table__
        own = table.columns["key" if model is Source else "source_key"]
        for record in session.execute(select(*table.columns).where(own.in_(known))):
            row = dict(zip(columns, record, strict=True))
            present[model][_key(model, row)] = row
    return present


def _difference(present: _Rows, wanted: _Rows) -> _Difference:
    difference = _Difference(removed=[key for key in present if key not in wanted])
    for key, row in wanted.items():
        old = present.get(key)
        if old is None:
            difference.inserted.append(row)
        elif old != row:
            difference.updated.append(row)
    return difference


def _delete(session: Session, model: type[Base], keys: Sequence[tuple[str, ...]]) -> None:
    columns = [model.__table__.columns[name] for name in _KEYS[model]]
    for some in batched(keys, _KEYS_AT_ONCE):
        session.execute(delete(model).where(tuple_(*columns).in_(some)), execution_options=_NO_OBJECTS)


def _meanings_changed(present: _Rows, wanted: _Rows, facts: tuple[str, str]) -> Iterator[str]:
    """The dotted names of rows that came, went, or stand for something else; they are the first of `facts`."""
    before = {(key, *(row[name] for name in facts)) for key, row in present.items()}
    after = {(key, *(row[name] for name in facts)) for key, row in wanted.items()}
    for change in before ^ after:
        yield change[1]
