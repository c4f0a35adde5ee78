"""The mapping as the text of gpm-cdc.toml, both ways. The file also holds `[settings]`, which is left alone."""

import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import tomlkit

from gpm_cdc.domain.catalogue import TableName
from gpm_cdc.errors.mapping import MappingUnreadable, MappingVersionUnknown
from gpm_cdc.mapping.entry import Entry
from gpm_cdc.mapping.model import (
    Endpoint,
    ForeignKeyRelationship,
    GraphMapping,
    NodeTable,
    Properties,
    RelationshipTable,
    Selector,
)
from gpm_cdc.mapping.notes import Notes, reference_place
from gpm_cdc.mapping.spelling import one_line, toml_key, toml_list, toml_string
from gpm_cdc.wording import say

VERSION: Final = 1
"""The version of the format."""

_COMMENT_WIDTH: Final = 100
_OURS: Final = ("version", "ignore", "node", "relationship")
_PROPERTIES: Final = ("include", "exclude", "rename", "types")


def parse(text: str, *, where: str) -> GraphMapping:
    """The mapping that `text` states; an empty one if it states none. `where` names the file in errors.

    Only the form is checked here, `validation.validate` checks the meaning. Raises MappingUnreadable,
    MappingVersionUnknown, MappingKeyUnknown, MappingKeyMissing, MappingValueWrong.
    """
    top = _top(text, where)
    top.only(*_OURS, "settings")
    if any(top.has(key) for key in _OURS):
        _check_version(top)
    return GraphMapping(
        nodes=tuple(_node(entry) for entry in top.entries("node")),
        relationships=tuple(_relationship(entry) for entry in top.entries("relationship")),
        ignore=_ignored(top),
    )


def parse_ignore(text: str, *, where: str) -> tuple[TableName, ...]:
    """The `ignore` list alone, whatever else the file says. Raises MappingUnreadable, MappingValueWrong."""
    return _ignored(_top(text, where))


def holds_mapping(text: str, *, where: str) -> bool:
    """Whether `text` states nodes or relationships, right or wrong. Raises MappingUnreadable."""
    top = _top(text, where)
    return top.has("node") or top.has("relationship")


def render(mapping: GraphMapping, notes: Notes | None = None) -> str:
    """`mapping` as the text of a new file, which `parse` reads back as an equal value. Defaults are not written."""
    return _assemble("", mapping, "", notes or Notes())


def merge_into(existing: str, mapping: GraphMapping, notes: Notes | None = None, *, where: str = "gpm-cdc.toml") -> str:
    """`existing` with its mapping replaced; its settings and the comments above its first key stay as they are.

    Raises MappingUnreadable when `existing` is not TOML.
    """
    _top(existing, where)
    existing = existing.replace("\r\n", "\n")
    document = tomlkit.parse(existing)
    above = list[str]()
    # Not splitlines, which knows more ends of a line than TOML does.
    for line in existing.split("\n"):
        if _says_something(line):
            break
        above.append(line)
    for key in _OURS:
        if key in document:
            document.remove(key)
    return _assemble("\n".join(above).strip("\n"), mapping, _settings(document.as_string()), notes or Notes())


def _top(text: str, where: str) -> Entry:
    try:
        return Entry(where, say("top level"), tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise MappingUnreadable(where=where, detail=problem) from problem


def _check_version(top: Entry) -> None:
    version = top.required("version")
    if type(version) is not int or version != VERSION:
        raise MappingVersionUnknown(where=top.where, version=version)


def _ignored(top: Entry) -> tuple[TableName, ...]:
    return tuple(map(TableName.parse, top.texts("ignore")))


def _node(entry: Entry) -> NodeTable:
    entry.only(
        "table", "label", "extra_labels", "labels_from", "key", *_PROPERTIES, "keep_foreign_keys", "relationship"
    )
    return NodeTable(
        table=entry.table("table"),
        label=entry.text("label"),
        key=entry.required_texts("key"),
        extra_labels=entry.texts("extra_labels"),
        labels_from=entry.selector("labels_from"),
        properties=_properties(entry),
        keep_foreign_keys=entry.flag("keep_foreign_keys", default=True),
        relationships=tuple(map(_foreign_key, entry.entries("relationship", prefix=f"{entry.place}, "))),
    )


def _foreign_key(entry: Entry) -> ForeignKeyRelationship:
    entry.only("columns", "type", "target", "target_columns", "direction", "enforced")
    return ForeignKeyRelationship(
        columns=entry.required_texts("columns"),
        type=entry.text("type"),
        target=entry.table("target"),
        target_columns=entry.required_texts("target_columns"),
        direction=entry.direction("direction"),
        enforced=entry.flag("enforced", default=True),
    )


def _relationship(entry: Entry) -> RelationshipTable:
    entry.only("table", "type", "type_from", "key", "start", "end", *_PROPERTIES)
    type_from = entry.selector("type_from")
    return RelationshipTable(
        table=entry.table("table"),
        key=entry.required_texts("key"),
        start=_endpoint(entry.entry("start")),
        end=_endpoint(entry.entry("end")),
        type=entry.text("type") if entry.has("type") or type_from is None else None,
        type_from=type_from,
        properties=_properties(entry),
    )


def _endpoint(entry: Entry) -> Endpoint:
    entry.only("columns", "target", "target_columns")
    return Endpoint(entry.required_texts("columns"), entry.table("target"), entry.required_texts("target_columns"))


def _properties(entry: Entry) -> Properties:
    return Properties(
        include=entry.texts("include") if entry.has("include") else None,
        exclude=entry.texts("exclude"),
        rename=entry.dictionary("rename"),
        types=entry.dictionary("types"),
    )


def _settings(remainder: str) -> str:
    """What is left of a file without its mapping: the settings and the comments among and after them."""
    lines = remainder.split("\n")
    first = next((number for number, line in enumerate(lines) if _says_something(line)), len(lines))
    return "\n".join(lines[first:]).strip("\n")


def _says_something(line: str) -> bool:
    return line.strip() != "" and not line.lstrip().startswith("#")


def _assemble(above: str, mapping: GraphMapping, settings: str, notes: Notes) -> str:
    parts = [above, "\n".join(_head(mapping, notes)), settings]
    parts += ["\n".join(_node_lines(node, notes)) for node in mapping.nodes]
    parts += ["\n".join(_relationship_lines(relationship, notes)) for relationship in mapping.relationships]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(mapping: GraphMapping, notes: Notes) -> Iterator[str]:
    yield f"version = {VERSION}"
    if mapping.ignore:
        yield f"ignore = {toml_list(mapping.ignore)}"
    if not notes.refused:
        return
    yield ""
    for table, reason in notes.refused.items():
        yield from _prose(say("Not in the graph: {table}. {reason}", table=table, reason=reason))
    yield from _prose(
        say("To leave out knowingly what is not in the graph, have this line instead of an ignore above:")
    )
    yield _comment(f"ignore = {toml_list(sorted({*mapping.ignore, *notes.refused}))}")


def _node_lines(node: NodeTable, notes: Notes) -> Iterator[str]:
    beside = _beside(node.table, notes)
    yield "[[node]]"
    yield f"table = {toml_string(str(node.table))}"
    yield f"label = {toml_string(node.label)}{beside('label')}"
    if node.extra_labels:
        yield f"extra_labels = {toml_list(node.extra_labels)}"
    if node.labels_from is not None:
        yield f"labels_from = {_selector(node.labels_from)}"
    yield f"key = {toml_list(node.key)}{beside('key')}"
    yield from _property_lines(node.properties, beside("exclude"))
    if not node.keep_foreign_keys:
        yield "keep_foreign_keys = false"
    # A key of the node cannot stand below its relationships, where TOML would take it for one of theirs.
    yield from _remarks(node.table, notes)
    for relationship in node.relationships:
        yield ""
        yield "[[node.relationship]]"
        yield f"columns = {toml_list(relationship.columns)}"
        yield f"type = {toml_string(relationship.type)}{beside(reference_place(relationship.columns))}"
        yield f"target = {toml_string(str(relationship.target))}"
        yield f"target_columns = {toml_list(relationship.target_columns)}"
        if relationship.direction != "out":
            yield f"direction = {toml_string(relationship.direction)}"
        if not relationship.enforced:
            yield "enforced = false"


def _relationship_lines(relationship: RelationshipTable, notes: Notes) -> Iterator[str]:
    beside = _beside(relationship.table, notes)
    yield "[[relationship]]"
    yield f"table = {toml_string(str(relationship.table))}"
    if relationship.type is not None:
        yield f"type = {toml_string(relationship.type)}"
    if relationship.type_from is not None:
        yield f"type_from = {_selector(relationship.type_from)}"
    yield f"key = {toml_list(relationship.key)}{beside('key')}"
    yield f"start = {_end(relationship.start)}{beside('start')}"
    yield f"end = {_end(relationship.end)}"
    yield from _property_lines(relationship.properties, beside("exclude"))
    yield from _remarks(relationship.table, notes)


def _property_lines(properties: Properties, beside_exclude: str) -> Iterator[str]:
    if properties.include is not None:
        yield f"include = {toml_list(properties.include)}"
    if properties.exclude:
        yield f"exclude = {toml_list(properties.exclude)}{beside_exclude}"
    if properties.rename:
        yield f"rename = {_dictionary(properties.rename)}"
    if properties.types:
        yield f"types = {_dictionary(properties.types)}"


def _beside(table: TableName, notes: Notes) -> Callable[[str], str]:
    """The comment that stands behind a line of the entry of `table`, with the blanks before it; empty without one."""

    def comment(place: str) -> str:
        note = notes.beside.get((table, place))
        return "" if note is None else f"  {_comment(note)}"

    return comment


def _remarks(table: TableName, notes: Notes) -> Iterator[str]:
    for remark in notes.below.get(table, ()):
        yield ""
        yield from _prose(remark.text)
        yield from map(_comment, remark.lines)


def _prose(text: str) -> Iterator[str]:
    for line in textwrap.wrap(one_line(text), _COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False):
        yield _comment(line)


def _comment(text: str) -> str:
    return f"# {one_line(text)}"


def _selector(selector: Selector) -> str:
    return f"{{ column = {toml_string(selector.column)}, values = {_dictionary(selector.values)} }}"


def _end(end: Endpoint) -> str:
    return (
        f"{{ columns = {toml_list(end.columns)}, target = {toml_string(str(end.target))}, "
        f"target_columns = {toml_list(end.target_columns)} }}"
    )


def _dictionary(texts: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{toml_key(name)} = {toml_string(text)}" for name, text in texts.items())
    return f"{{ {pairs} }}" if pairs else "{}"
