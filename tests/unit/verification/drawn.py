"""Findings of any content, for hypothesis."""

from hypothesis import strategies as st

from gpm_cdc.domain.canonical import canonical
from gpm_cdc.domain.values import GraphValue
from gpm_cdc.verification.exchange import Located
from gpm_cdc.verification.report import COUNTED_AS, Finding

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters()),
    st.binary(max_size=20),
)
values: st.SearchStrategy[GraphValue] = st.one_of(
    _scalars,
    st.lists(_scalars, max_size=4),
    st.lists(st.lists(_scalars, max_size=3), max_size=3),
    st.integers(-(10**6), 10**6).map(lambda days: ["date", days]),
    st.tuples(st.integers(), st.integers(0, 999_999_999)).map(lambda parts: ["zoned_datetime", *parts, "Z"]),
)
_names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
"""Neither Postgres nor Neo4j has a zero character in the name of anything."""

_keys = st.dictionaries(st.text(min_size=1), values, min_size=1, max_size=3)
_texts = st.none() | st.dictionaries(st.text(), st.text(), max_size=2)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """One finding; its readable key is not that of its exact one."""
    key = draw(_keys)
    return Finding(
        draw(_names),
        draw(_names),
        draw(st.sampled_from(list(COUNTED_AS))),
        {column: repr(value) for column, value in key.items()},
        tuple(draw(st.lists(st.text(), max_size=3))),
        draw(_texts),
        draw(_texts),
        key,
    )


def form(where: Located) -> tuple[str, str, str, list[tuple[str, bytes]]]:
    """What tells one from another, with the keys in the form in which equal bytes mean equal values."""
    return where.table, where.element, where.kind, [(name, canonical(value)) for name, value in where.key.items()]


def located_at(finding: Finding) -> Located:
    """What a finding is about."""
    return Located(finding.table, finding.element, finding.kind, finding.exact_key)
