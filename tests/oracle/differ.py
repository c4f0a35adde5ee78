"""Two graphs compared: every node, label, property and relationship, and the differences in sentences."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tests.oracle.graph import Claim, Graph, Node, Relationship
from tests.oracle.value import Properties, Value, same, same_properties

type _Identity = tuple[str, tuple[Value | None, ...]]
type _Ends = tuple[_Identity, str, _Identity]


def differences(expected: Graph, actual: Graph, *, ignore_foreign: bool = False) -> list[str]:
    """Every difference, one sentence each, nodes before relationships; empty when the graphs are equal.

    Strict: what nobody expected is a difference. With `ignore_foreign`, labels, properties, nodes and relationships
    that the mapping of `expected` does not name are left out of it.
    """
    wanted = {_identity(expected.claim, node, node.key_label): node for node in expected.nodes}
    if len(wanted) != len(expected.nodes):
        message = "two expected nodes have the same label and key"
        raise ValueError(message)
    found: dict[_Identity, list[Node]] = defaultdict(list)
    names: dict[str, _Identity] = {}
    for node in actual.nodes:
        identity = _recognise(expected.claim, node, wanted)
        if ignore_foreign and not identity[0]:
            continue
        names[node.handle] = identity
        found[identity].append(_claimed_part(expected.claim, node, identity[0]) if ignore_foreign else node)
    relationships = [part for part in actual.relationships if part.start in names and part.end in names]
    if ignore_foreign:
        relationships = list(_claimed_relationships(expected.claim, relationships, names))
    wanted_names = {node.handle: identity for identity, node in wanted.items()}
    labels = expected.claim.keys
    return [
        *_node_differences(_Writer(labels), wanted, found),
        *_relationship_differences(
            _Writer(labels), _by_ends(expected.relationships, wanted_names), _by_ends(relationships, names)
        ),
    ]


def _identity(claim: Claim, node: Node, label: str) -> _Identity:
    return label, tuple(node.properties.get(name) for name in claim.keys[label])


def _recognise(claim: Claim, node: Node, wanted: Mapping[_Identity, Node]) -> _Identity:
    """By which label and key a node goes; a node without a mapped label by its handle, under the label ''."""
    candidates = [_identity(claim, node, label) for label in sorted(node.labels & claim.keys.keys())]
    if not candidates:
        return "", (Value("element id", node.handle),)
    return next((identity for identity in candidates if identity in wanted), candidates[0])


def _claimed_part(claim: Claim, node: Node, label: str) -> Node:
    names = claim.node_properties.get(label, frozenset())
    properties = {name: value for name, value in node.properties.items() if name in names}
    return replace(node, labels=node.labels & claim.labels, properties=properties)


def _claimed_relationships(
    claim: Claim, relationships: list[Relationship], names: Mapping[str, _Identity]
) -> Iterator[Relationship]:
    for relationship in relationships:
        key = (relationship.type, names[relationship.start][0], names[relationship.end][0])
        if (claimed := claim.relationship_properties.get(key)) is not None:
            properties = {name: value for name, value in relationship.properties.items() if name in claimed}
            yield replace(relationship, properties=properties)


def _by_ends(
    relationships: list[Relationship] | tuple[Relationship, ...], names: Mapping[str, _Identity]
) -> dict[_Ends, list[Properties]]:
    groups: dict[_Ends, list[Properties]] = defaultdict(list)
    for relationship in relationships:
        groups[names[relationship.start], relationship.type, names[relationship.end]].append(relationship.properties)
    return groups


@dataclass(frozen=True, slots=True)
class _Writer:
    """Names elements as Cypher would."""

    keys: Mapping[str, tuple[str, ...]]

    def node(self, identity: _Identity) -> str:
        label, values = identity
        if not label:
            return f"({values[0]})"
        shown = ", ".join(
            f"{name}: {'absent' if value is None else value}"
            for name, value in zip(self.keys[label], values, strict=True)
        )
        return f"(:{label} {{{shown}}})"

    def relationship(self, ends: _Ends) -> str:
        start, kind, end = ends
        return f"{self.node(start)}-[:{kind}]->{self.node(end)}"


def _content(properties: Properties) -> str:
    return f"{{{', '.join(f'{name}: {value}' for name, value in sorted(properties.items()))}}}"


def _node_differences(
    writer: _Writer, wanted: Mapping[_Identity, Node], found: Mapping[_Identity, list[Node]]
) -> Iterator[str]:
    for identity, node in wanted.items():
        name = writer.node(identity)
        same_key = found.get(identity, [])
        if not same_key:
            yield f"node {name} is missing; expected properties {_content(node.properties)}"
            continue
        if len(same_key) > 1:
            yield f"node {name} is there {len(same_key)} times"
        for actual in same_key:
            yield from (f"node {name}: label {label} is missing" for label in sorted(node.labels - actual.labels))
            yield from (f"node {name}: label {label} is extra" for label in sorted(actual.labels - node.labels))
            yield from _property_differences(f"node {name}", node.properties, actual.properties)
    for identity, nodes in found.items():
        if identity not in wanted:
            for node in nodes:
                labels = ", ".join(sorted(node.labels)) or "none"
                yield (
                    f"node {writer.node(identity)} is extra; its labels: {labels}, its properties"
                    f" {_content(node.properties)}"
                )


def _property_differences(element: str, expected: Properties, actual: Properties) -> Iterator[str]:
    for name in sorted(expected.keys() | actual.keys()):
        wanted, found = expected.get(name), actual.get(name)
        if wanted is not None and found is not None and same(wanted, found):
            continue
        yield f"{element}: property {name}: expected {wanted or 'absent'}, actual {found or 'absent'}"


def _relationship_differences(
    writer: _Writer, wanted: Mapping[_Ends, list[Properties]], found: Mapping[_Ends, list[Properties]]
) -> Iterator[str]:
    for ends in [*wanted, *(ends for ends in found if ends not in wanted)]:
        name = f"relationship {writer.relationship(ends)}"
        missing, extra = _unmatched(wanted.get(ends, []), found.get(ends, []))
        while missing and extra:
            expected = missing.pop(0)
            nearest = max(extra, key=lambda properties: _likeness(expected, properties))
            extra.remove(nearest)
            yield from _property_differences(name, expected, nearest)
        yield from (f"{name} is missing; expected properties {_content(properties)}" for properties in missing)
        yield from (f"{name} is extra; its properties {_content(properties)}" for properties in extra)


def _unmatched(wanted: list[Properties], found: list[Properties]) -> tuple[list[Properties], list[Properties]]:
    """What is left on either side when each has been paired with an equal one of the other."""
    spare = Counter(frozenset(properties.items()) for properties in found)
    missing = []
    for properties in wanted:
        content = frozenset(properties.items())
        if spare[content]:
            spare[content] -= 1
        else:
            missing.append(properties)
    extra = [dict(content) for content in spare.elements()]
    for properties in list(missing):
        equal = next((other for other in extra if same_properties(properties, other)), None)
        if equal is not None:
            missing.remove(properties)
            extra.remove(equal)
    return missing, extra


def _likeness(expected: Properties, actual: Properties) -> int:
    return sum(name in actual and same(value, actual[name]) for name, value in expected.items())
