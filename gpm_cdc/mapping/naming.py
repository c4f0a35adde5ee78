"""Names of the default mapping: labels and relationship types from the names of tables and columns."""

import functools
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import inflect

# A word is an acronym in the plural (IDs), a run of capitals before another word (HTTPServer), a hump (Server), or a
# run of anything else between separators; digits stay with the word before them. Scripts without case are one run.
_WORD: Final = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])\d*|[A-Z]?[^A-Z\W_]+")

# What the library takes for a plural, or singularises unlike anybody who names tables.
_IRREGULAR: Final = {
    "aws": "aws",
    "cms": "cms",
    "cors": "cors",
    "criteria": "criterion",
    "data": "data",
    "dns": "dns",
    "dos": "dos",
    "gps": "gps",
    "hubris": "hubris",
    "indices": "index",
    "kubernetes": "kubernetes",
    "kudos": "kudos",
    "matrices": "matrix",
    "media": "media",
    "metadata": "metadata",
    "os": "os",
    "physics": "physics",
    "pos": "pos",
    "redis": "redis",
    "schemata": "schema",
    "sms": "sms",
    "tennis": "tennis",
    "this": "this",
    "ties": "tie",
    "dies": "die",
    "lies": "lie",
    "tls": "tls",
    "vertices": "vertex",
    # Their singulars end like words that are singular already (menu like bus, taxi like axis).
    "bureaus": "bureau",
    "gnus": "gnu",
    "gurus": "guru",
    "menus": "menu",
    "plateaus": "plateau",
    "taxis": "taxi",
}


def words(name: str) -> tuple[str, ...]:
    """The words of an identifier, split at underscores, other separators and humps, in their own spelling."""
    return tuple(_WORD.findall(name))


def singular(word: str) -> str:
    """The singular of an English plural, in lower case; any other word, in lower case."""
    lowered = word.lower()
    if lowered in _IRREGULAR:
        return _IRREGULAR[lowered]
    if not lowered.isascii() or not lowered.isalpha():
        return lowered
    engine = _inflect()
    # The library makes `bu` of `bus`. But it knows the plural `buses`, while of a real plural it makes `orderss`.
    if lowered.endswith("s") and not str(engine.plural_noun(lowered)).endswith("ss"):
        return lowered
    return str(engine.singular_noun(lowered) or lowered)


def label(name: str, schema: str = "") -> str:
    """The label of table `name`: CamelCase, its last word in the singular; `name` itself if it holds no word.

    With the words of `schema`, as they are, before it.
    """
    return _camel_case(_lower(words(schema))) + (_camel_case(_singular_words(name)) or name)


def relationship_type(name: str, schema: str = "") -> str:
    """The relationship type of table `name`: upper snake, its last word in the singular; `name` if it holds no word.

    With the words of `schema`, as they are, before it.
    """
    return "_".join((*_lower(words(schema)), *(_singular_words(name) or (name,)))).upper()


def reference_type(column: str) -> str:
    """The type for a foreign key's only column: upper snake without `_id` or `Id`; empty for a bare `id`."""
    parts = words(column)
    if parts and parts[-1].lower() == "id":
        parts = parts[:-1]
    elif not parts:
        return column
    return "_".join(parts).upper()


def is_irregular(name: str) -> bool:
    """Whether the singular of the last word of `name` is more than a plural ending taken off (people, analyses)."""
    parts = words(name)
    if not parts:
        return False
    last = parts[-1].lower()
    one = singular(last)
    return last not in {one, f"{one}s", f"{one}es", f"{one[:-1]}ies"}


def _singular_words(name: str) -> tuple[str, ...]:
    parts = words(name)
    return (*_lower(parts[:-1]), singular(parts[-1])) if parts else ()


def _lower(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in parts)


def _camel_case(parts: tuple[str, ...]) -> str:
    return "".join(part[:1].upper() + part[1:] for part in parts)


@functools.cache
def _inflect() -> "inflect.engine":
    # Importing the library takes longer than everything else that inference does; most commands never need it.
    import inflect  # noqa: PLC0415

    return inflect.engine()
