"""Types and values that the graph cannot hold."""

from typing import ClassVar

from gpm_cdc.errors.base import GpmCdcError


class UnsupportedType(GpmCdcError):
    """A Postgres type that no default graph type is known for. Facts: `type`."""

    code: ClassVar[str] = "unsupported_type"
    message: ClassVar[str] = "The Postgres type {type} has no counterpart in the graph."
    remedy: ClassVar[str] = (
        'Add types = {{ <column> = "string" }} to the table in gpm-cdc.toml to keep the text that Postgres prints, '
        "or leave the column out with exclude."
    )


class TypeChoiceRefused(GpmCdcError):
    """A type choice that makes no sense for the column's Postgres type. Facts: `type`, `choice`, `choices`."""

    code: ClassVar[str] = "type_choice_refused"
    message: ClassVar[str] = "The Postgres type {type} cannot become {choice} in the graph."
    remedy: ClassVar[str] = "Remove the choice from types in gpm-cdc.toml, or use one of: {choices}."


class KeyNotStorable(GpmCdcError):
    """A key, or a value of an indexed property, that Neo4j cannot hold. Facts: `label`, `columns`.

    Sent to Neo4j, such a value would abort the whole transaction with a database error that names nothing.
    """

    code: ClassVar[str] = "key_not_storable"
    message: ClassVar[str] = "A key of {label} ({columns}) cannot be stored in Neo4j."
    remedy: ClassVar[str] = (
        "Change the value in Postgres, map {label} with another key, or take the table out of the mapping."
    )


class KeyNotANumber(KeyNotStorable):
    """NaN equals nothing in Neo4j, itself included, so it can identify nothing."""

    code: ClassVar[str] = "key_not_a_number"
    message: ClassVar[str] = "A key of {label} ({columns}) is NaN, which Neo4j cannot find again."


class KeyTooLong(KeyNotStorable):
    """An index entry of Neo4j has a fixed upper size. Further facts: `size` and `limit` in bytes."""

    code: ClassVar[str] = "key_too_long"
    message: ClassVar[str] = (
        "A key of {label} ({columns}) takes {size} bytes, and a Neo4j index entry holds at most {limit}."
    )


class KeyBeyondInteger(KeyNotStorable):
    """Neo4j's INTEGER has 64 bits with a sign."""

    code: ClassVar[str] = "key_beyond_integer"
    message: ClassVar[str] = "A key of {label} ({columns}) is an integer of more than 64 bits, which Neo4j cannot hold."


class KeyNotUnicode(KeyNotStorable):
    """Half of a surrogate pair has no UTF-8 form and cannot be sent."""

    code: ClassVar[str] = "key_not_unicode"
    message: ClassVar[str] = "A key of {label} ({columns}) is not valid Unicode text: it has a lone surrogate."
