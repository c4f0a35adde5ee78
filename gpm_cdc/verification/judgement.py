"""What is wrong with one element, given what the rows say and what the graph holds."""

from collections.abc import Iterator, Mapping, Sequence

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.verification.facet import LABELS, Element, Facet, Values
from gpm_cdc.verification.rendering import plain, typed
from gpm_cdc.verification.report import Finding, FindingKind, KeyValue


def key_of(facet: Facet, values: Values) -> dict[str, KeyValue]:
    """The row's key by column, from a flat form or from a key alone."""
    return {column: plain(value) for column, value in zip(facet.source.columns[: facet.key_size], values, strict=False)}


def judge(facet: Facet, expected: Element | None, present: Sequence[Element]) -> Iterator[Finding]:
    """Everything that is wrong, nothing if `present` is exactly what is `expected`."""
    if expected is None:
        for element in present:
            yield _unwanted(facet, element, "extra" if _usable(facet, element) else "keyless")
        return
    if not present:
        yield _finding(facet, "missing", expected.values, _joining(facet), _told(facet, expected.values), None)
        return
    wanted = canonical(expected.values)
    # The best match stands for the row, the others are too many.
    best, *others = sorted(present, key=lambda element: canonical(element.values) != wanted)
    if canonical(best.values) != wanted:
        yield _different(facet, expected.values, best.values)
    elif best.foreign:
        yield _foreign(facet, best)
    for element in others:
        kind: FindingKind = "duplicate" if canonical(element.values) == wanted else "extra"
        yield _unwanted(facet, element, kind)


def _usable(facet: Facet, element: Element) -> bool:
    return bool(facet.ends) or None not in element.values[: facet.key_size]


def _unwanted(facet: Facet, element: Element, kind: FindingKind) -> Finding:
    return _finding(facet, kind, element.values, _joining(facet), None, _told(facet, element.values))


def _joining(facet: Facet) -> tuple[str, ...]:
    """The columns that make a relationship; none for a node, which the row itself makes."""
    return _columns(facet, [place for end in facet.ends for place in range(end.start, end.stop)])


def _different(facet: Facet, expected: Values, actual: Values) -> Finding:
    pairs = zip(expected, actual, strict=True)
    places = [place for place, (left, right) in enumerate(pairs) if canonical(left) != canonical(right)]
    kind: FindingKind = "different"
    if any(end.start <= place < end.stop for end in facet.ends for place in places):
        kind = "wrong_end"
    elif [facet.names[place] for place in places] == [LABELS]:
        kind = "label"
    return _finding(
        facet,
        kind,
        expected,
        _columns(facet, places),
        _told(facet, expected, places),
        _told(facet, actual, places),
    )


def _foreign(facet: Facet, element: Element) -> Finding:
    names = dict.fromkeys(element.foreign, "FOREIGN")
    return _finding(facet, "foreign", element.values, tuple(element.foreign), None, names)


def _columns(facet: Facet, places: Sequence[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for place in places for column in facet.columns[place] or (facet.names[place],)))


def _told(facet: Facet, values: Values, places: Sequence[int] | None = None) -> dict[str, str]:
    chosen = range(len(values)) if places is None else places
    return {facet.names[place]: _text(facet.names[place], values[place]) for place in chosen}


def _text(name: str, value: GraphValue) -> str:
    if name == LABELS and isinstance(value, list):
        return "".join(f":{label!s}" for label in value)
    return typed(value)


def _finding(
    facet: Facet,
    kind: FindingKind,
    values: Values,
    columns: tuple[str, ...],
    expected: Mapping[str, str] | None,
    actual: Mapping[str, str] | None,
) -> Finding:
    exact_key = dict(zip(facet.source.columns, values[: facet.key_size], strict=False))
    return Finding(
        str(facet.source.table), facet.name, kind, key_of(facet, values), columns, expected, actual, exact_key
    )
