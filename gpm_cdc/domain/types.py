"""The type table: which graph type a Postgres type becomes, and everything that follows from it.

Decoding, the Cypher that stores a value, the Cypher that reads it back and its canonical form all come from here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from gpm_cdc.domain import arrays, graphtypes, values
from gpm_cdc.domain.catalogue import PgType
from gpm_cdc.domain.graphtypes import GraphType
from gpm_cdc.domain.values import Decoder, GraphValue, Wire
from gpm_cdc.errors.values import TypeChoiceRefused, UnsupportedType

__all__ = ["TYPE_CHOICES", "GraphValue", "ValueType", "Wire", "numeric_size", "value_type"]

TYPE_CHOICES: Final[tuple[str, ...]] = ("string", "integer", "float", "boolean")
"""What `types = {column = ...}` may say. Which of them a column takes depends on its Postgres type.

For an array, `string` keeps the whole text, and any other choice is that of its elements.
"""


@dataclass(frozen=True, slots=True)
class ValueType:
    """How the values of one column travel.

    `decode` turns Postgres's text into the parameter; it raises ValueError for text that the pinned session settings do
    not give (that error may quote the text: drop it when telling people). `decode is str` where the text is the value.
    `fallback` says that `decode` may give a str for a value that the graph type cannot hold: it is stored as that text.

    `expression` None: the parameter is stored as it is. Else a `str.format` template of Cypher with `{v}`, for a
    parameter that is neither null nor such a text.

    `component` None: the driver returns a stored value of this type faithfully. Else a template with `{p}`, a stored
    property: values of exactly this graph type become a list that starts with the type's name, null stays null, and
    anything else becomes something different that the driver carries (`graphtypes.GUARDED_COMPONENT`).

    `graph_type` is the Neo4j type of a stored value, as `graphtypes.GraphType.name` has it.
    """

    name: str
    decode: Callable[[str], Wire]
    expression: str | None
    fallback: bool
    component: str | None
    graph_type: str
    _graph: GraphType = field(repr=False)

    def stored(self, wire: Wire) -> GraphValue:
        """What reading back gives for `wire`: both sides of a comparison meet in this form."""
        if type(wire) is str:
            return wire
        return self._graph.stored(wire)

    @property
    def read(self) -> Callable[[str], GraphValue]:
        """`stored` of `decode`, for many texts."""
        decode, graph = self.decode, self._graph
        if graph.component is None:
            return decode  # type: ignore[return-value]  # every Wire is a GraphValue, but lists are invariant
        if graph.element is not None:
            return lambda text: self.stored(decode(text))
        tag, constants = graph.tag, graph.constants

        def read(text: str) -> GraphValue:
            wire = decode(text)
            if type(wire) is list:
                return [tag, *wire, *constants]  # type: ignore[list-item]  # every Wire is a GraphValue
            return wire if type(wire) is str else [tag, wire, *constants]  # type: ignore[list-item]

        return read


def _typed(name: str, decode: Decoder, graph: GraphType, *, fallback: bool = False) -> ValueType:
    return ValueType(name, decode, graph.expression, fallback, graph.component, graph.name, graph)


_INTEGER = _typed("integer", int, graphtypes.INTEGER)
_FLOAT = _typed("float", float, graphtypes.FLOAT)
_STRING = _typed("string", str, graphtypes.STRING)
_BOOLEAN = _typed("boolean", values.boolean, graphtypes.BOOLEAN)
_SHORT_NUMERIC = _typed("integer", values.short_numeric, graphtypes.INTEGER, fallback=True)
_WHOLE_NUMERIC = _typed("integer", values.whole_numeric, graphtypes.INTEGER, fallback=True)
_APPROXIMATE_NUMERIC = _typed("float", values.approximate_numeric, graphtypes.FLOAT, fallback=True)

_BUILT_IN: Final = {
    "int2": _INTEGER,
    "int4": _INTEGER,
    "int8": _INTEGER,
    "oid": _INTEGER,
    "float4": _FLOAT,
    "float8": _FLOAT,
    "bool": _BOOLEAN,
    "bytea": _typed("bytes", values.binary, graphtypes.BYTES),
    "date": _typed("date", values.days, graphtypes.DATE, fallback=True),
    "timestamp": _typed("local_datetime", values.local_moment, graphtypes.LOCAL_DATETIME, fallback=True),
    "timestamptz": _typed("zoned_datetime", values.zoned_moment, graphtypes.ZONED_DATETIME, fallback=True),
    "time": _typed("local_time", values.clock, graphtypes.LOCAL_TIME, fallback=True),
    "timetz": _typed("zoned_time", values.zoned_clock, graphtypes.ZONED_TIME, fallback=True),
    "interval": _typed("duration", values.interval, graphtypes.DURATION, fallback=True),
    "point": _typed("point", values.point, graphtypes.POINT, fallback=True),
} | dict.fromkeys(
    (
        *(
            "text",
            "varchar",
            "bpchar",
            "char",
            "name",
            "uuid",
            "json",
            "jsonb",
            "jsonpath",
            "xml",
            "refcursor",
            "money",
        ),
        *("inet", "cidr", "macaddr", "macaddr8", "bit", "varbit", "tsvector", "tsquery", "int2vector", "oidvector"),
        *("line", "lseg", "box", "path", "polygon", "circle"),
        *("pg_lsn", "xid", "xid8", "cid", "tid", "pg_snapshot", "txid_snapshot"),
    ),
    _STRING,
)
# Not here on purpose: regclass and its kin, whose text changes without a change of the row.

_VECTOR = _typed("list<float>", values.vector, graphtypes.list_of(graphtypes.FLOAT))
_EXTENSIONS: Final = {"citext": _STRING, "hstore": _STRING, "sparsevec": _STRING, "vector": _VECTOR, "halfvec": _VECTOR}
"""By name alone: an extension may live in any schema."""

_STRING_KINDS: Final = frozenset("cerm")
_DELIMITERS: Final = {"box": ";"}
_LITERALS: Final = frozenset({"INTEGER", "FLOAT", "BOOLEAN"})

_MODIFIER_OFFSET = 4  # a typmod counts the length word of a varlena (VARHDRSZ)
_SHORT_PRECISION = 18
_FLOAT_PRECISION = 15
_FLOAT_SCALE = 290


@cache
def value_type(pg_type: PgType, choice: str | None = None) -> ValueType:
    """How a column of `pg_type` travels, by default or by a choice of TYPE_CHOICES; equal arguments, identical object.

    UnsupportedType names a type without a default; `string` is accepted for every type. TypeChoiceRefused: a choice
    that is unknown or that the type cannot become.
    """
    if choice is not None:
        return _chosen(pg_type, choice)
    known = _default(pg_type.resolved)
    if known is None:
        raise UnsupportedType(type=f"{pg_type.schema}.{pg_type.name}")
    return known


def _chosen(pg_type: PgType, choice: str) -> ValueType:
    accepted = _choices(pg_type.resolved)
    if choice not in accepted:
        raise TypeChoiceRefused(type=f"{pg_type.schema}.{pg_type.name}", choice=choice, choices=", ".join(accepted))
    return accepted[choice]


def _choices(resolved: PgType) -> dict[str, ValueType]:
    """What a type may become. The choice for an array, but for `string`, is that of its elements."""
    accepted = {"string": _STRING}
    if resolved.element is not None and not _is_scalar(resolved):
        element = _element(resolved.element, resolved.modifier)
        listed = _choices(element).items() if element.element is None or _is_scalar(element) else ()
        return accepted | {choice: _list(element, scalar) for choice, scalar in listed if choice != "string"}
    default = _default(resolved)
    if default is not None and default.name in TYPE_CHOICES:
        accepted[default.name] = default
    if _is_built_in(resolved, "int2", "int4", "int8"):
        accepted["float"] = _FLOAT
    elif _is_built_in(resolved, "numeric"):
        accepted.setdefault("integer", _WHOLE_NUMERIC)
        accepted.setdefault("float", _APPROXIMATE_NUMERIC)
    elif _is_built_in(resolved, "bit") and resolved.modifier == 1:
        accepted["boolean"] = _typed("boolean", values.bit, graphtypes.BOOLEAN)
    return accepted


def _is_scalar(resolved: PgType) -> bool:
    """Whether the type is no array, though some such name an element: `name` is made of `char`, `point` of `float8`."""
    return _is_built_in(resolved, *_BUILT_IN)


def _is_built_in(resolved: PgType, *names: str) -> bool:
    return resolved.schema == "pg_catalog" and resolved.name in names


def _default(resolved: PgType) -> ValueType | None:
    if _is_built_in(resolved, "numeric"):
        return _numeric(resolved.modifier)
    if _is_scalar(resolved):
        return _BUILT_IN[resolved.name]
    if resolved.element is not None:
        element = _element(resolved.element, resolved.modifier)
        scalar = _default(element)
        return None if scalar is None else _list(element, scalar)
    if resolved.kind in _STRING_KINDS:
        return _STRING
    return _EXTENSIONS.get(resolved.name)


def numeric_size(modifier: int) -> tuple[int, int]:
    """Precision and scale of a numeric with a modifier.

    By Postgres's numeric.c: the former in the upper half, since 15 an 11-bit scale with a sign in the lower.
    """
    packed = modifier - _MODIFIER_OFFSET
    return (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024


def _numeric(modifier: int) -> ValueType:
    if modifier < _MODIFIER_OFFSET:
        return _STRING
    precision, scale = numeric_size(modifier)
    if scale == 0 and precision <= _SHORT_PRECISION:
        return _SHORT_NUMERIC
    if precision <= _FLOAT_PRECISION and abs(scale) <= _FLOAT_SCALE:
        return _FLOAT
    return _STRING


def _element(element: PgType, modifier: int) -> PgType:
    """The type of an array's elements, which has the modifier that the column states for the array."""
    below = element.resolved
    return replace(below, modifier=modifier) if below.modifier < 0 <= modifier else below


def _list(element: PgType, scalar: ValueType) -> ValueType:
    """An array of `element`, each of which travels as `scalar`."""
    delimiter = _DELIMITERS.get(element.name, ",")
    if scalar.graph_type == graphtypes.BYTES.name or scalar.graph_type.startswith("LIST"):
        return _typed("string", arrays.json_decoder(str, literal=False, delimiter=delimiter), graphtypes.STRING)
    decode = arrays.decoder(scalar.decode, literal=scalar.graph_type in _LITERALS, delimiter=delimiter)
    return _typed(f"list<{scalar.name}>", decode, graphtypes.list_of(scalar._graph), fallback=True)  # noqa: SLF001
