"""Source code as rows: sources, definitions, what they name, and which of these names are resolved.

`code_source`, `code_definition` and the three tables of resolved names become the graph; names as such
(`code_reference`, `code_alias`) stay in Postgres. The migrations in `alembic/` make exactly these tables; a test
compares them.
"""

from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gpm_cdc import orm
from gpm_cdc.codegraph.kinds import KINDS
from gpm_cdc.state.model import NAMING


class Base(DeclarativeBase):
    """The parent of the models of source code."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {str: Text}


class Source(Base):
    """A file. `digest` changes whenever its bytes do, or what is read out of them."""

    __tablename__ = "code_source"
    __table_args__ = (Index(None, "project"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    """`project/path`."""
    project: Mapped[str]
    path: Mapped[str]
    """Relative to what was loaded, with slashes."""
    digest: Mapped[str] = mapped_column(info=orm.hidden())
    lines: Mapped[int]
    error: Mapped[str | None]
    """Why it could not be read as Python. Its module is there all the same."""


class Definition(Base):
    """A module, class, function or method. `key` stays the same wherever in its file the definition moves.

    Lines and columns count as in Python's `ast`: lines from one, columns in bytes from zero.
    """

    __tablename__ = "code_definition"
    __table_args__ = (
        CheckConstraint("kind IN ('class', 'function', 'method', 'module')", name="kind"),
        Index(None, "project", "qualname"),
        Index(None, "source_key"),
        Index(None, "parent_key"),
        {"info": orm.as_node(labels_from=("kind", KINDS))},
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    """`project/path#outer.inner`; from the second definition of a name on with `~2`, `~3` behind it."""
    project: Mapped[str] = mapped_column(info=orm.hidden())
    source_key: Mapped[str] = mapped_column(ForeignKey(Source.key, info=orm.reference("CONTAINS", direction="in")))
    parent_key: Mapped[str | None] = mapped_column(
        ForeignKey("code_definition.key", info=orm.reference("DEFINES", direction="in"))
    )
    kind: Mapped[str]
    name: Mapped[str]
    qualname: Mapped[str]
    """The dotted name by which others import it, such as `json.encoder.JSONEncoder.encode`."""
    signature: Mapped[str | None]
    docstring: Mapped[str | None]
    body_hash: Mapped[str]
    """Of the text without name, indentation, blank lines and lines of comment: it survives a renaming and a move."""
    lineno: Mapped[int]
    col: Mapped[int]
    end_lineno: Mapped[int]
    end_col: Mapped[int]


class Reference(Base):
    """A name that a definition uses, resolved or not, and how often.

    `name` is the dotted name that it stands for where that can be seen, as written otherwise; a leading dot is an
    attribute of something unknown. `head` is all but its last part.
    """

    __tablename__ = "code_reference"
    __table_args__ = (
        CheckConstraint("kind IN ('calls', 'imports', 'inherits')", name="kind"),
        Index(None, "project", "name"),
        Index(None, "project", "head"),
        Index(None, "source_key"),
        {"info": orm.ignored()},
    )

    definition_key: Mapped[str] = mapped_column(ForeignKey(Definition.key, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    head: Mapped[str | None]
    project: Mapped[str]
    source_key: Mapped[str]
    occurrences: Mapped[int]


class Alias(Base):
    """What an import binds at the top of a module: `name` stands for `target` there, both dotted."""

    __tablename__ = "code_alias"
    __table_args__ = (
        Index(None, "project", "name"),
        Index(None, "project", "target"),
        Index(None, "project", "target_head"),
        {"info": orm.ignored()},
    )

    source_key: Mapped[str] = mapped_column(ForeignKey(Source.key), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    target: Mapped[str]
    target_head: Mapped[str | None]


class _Resolved:
    """A name that is resolved: both ends, and how often it is used."""

    start_key: Mapped[str] = mapped_column(ForeignKey(Definition.key, ondelete="CASCADE"), primary_key=True)
    end_key: Mapped[str] = mapped_column(ForeignKey(Definition.key, ondelete="CASCADE"), primary_key=True, index=True)
    occurrences: Mapped[int]


class Call(_Resolved, Base):
    """A definition calls a function, a method, or a class."""

    __tablename__ = "code_call"
    __table_args__ = ({"info": orm.as_relationship("CALLS", start="start_key", end="end_key")},)


class Import(_Resolved, Base):
    """A module imports a module."""

    __tablename__ = "code_import"
    __table_args__ = ({"info": orm.as_relationship("IMPORTS", start="start_key", end="end_key")},)


class Inheritance(_Resolved, Base):
    """A class inherits from a class."""

    __tablename__ = "code_inheritance"
    __table_args__ = ({"info": orm.as_relationship("INHERITS", start="start_key", end="end_key")},)
