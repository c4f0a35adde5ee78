"""Bytes from the replication connection that are not what the protocol says they are.

None of these goes away by reading the same bytes again. `message` is the protocol's own name of the message, `field`
the name of the field in the class that stands for it (`new[2]` is the third column of a new row), `offset` a byte
position counted from the message's first byte. Row values are never among the facts.
"""

from typing import ClassVar

from gpm_cdc.errors.base import GpmCdcError


class ProtocolError(GpmCdcError):
    """The root of this module: catch it to stop a stream that can no longer be read."""

    code: ClassVar[str] = "protocol"
    remedy: ClassVar[str] = (
        "Connect to Postgres directly, not through a proxy or a pooler, and start the stream again. If the error comes "
        "again at the same place, report it with the version of the server."
    )


class MessageTruncated(ProtocolError):
    """The bytes end before the message does. Facts: message, field, offset (the length of what came)."""

    code: ClassVar[str] = "message-truncated"
    message: ClassVar[str] = "A {message} message from Postgres ends after {offset} bytes, inside its field {field}."


class TrailingBytes(ProtocolError):
    """The message ends before the bytes do. Facts: message, offset (the first byte too many)."""

    code: ClassVar[str] = "trailing-bytes"
    message: ClassVar[str] = (
        "A {message} message from Postgres is complete after {offset} bytes, but more bytes follow it."
    )


class UnexpectedByte(ProtocolError):
    """A field that holds one of a few bytes holds another. Facts: message, field, offset, expected."""

    code: ClassVar[str] = "unexpected-byte"
    message: ClassVar[str] = (
        "The field {field} of a {message} message from Postgres, at byte {offset}, is not one of: {expected}."
    )


class InvalidText(ProtocolError):
    """Text that is not UTF-8. Facts: message, field, offset (where the text begins)."""

    code: ClassVar[str] = "invalid-text"
    message: ClassVar[str] = (
        "The field {field} of a {message} message from Postgres, which begins at byte {offset}, is not UTF-8 text."
    )
    remedy: ClassVar[str] = (
        "The connection asks for client_encoding UTF8: look for a proxy or a pooler that changes it. A database whose "
        "encoding is SQL_ASCII may hold text that is not UTF-8: correct those values, or leave their column out of the "
        "publication."
    )


class UnknownMessage(ProtocolError):
    """A message that protocol version 1 does not have. Facts: tag (its first byte, as a number)."""

    code: ClassVar[str] = "unknown-message"
    message: ClassVar[str] = "Postgres sent a message of the unknown kind {tag:#04x}."
    remedy: ClassVar[str] = (
        "A replication slot made with TWO_PHASE sends messages for prepared transactions, whatever protocol version is "
        "asked for: look at pg_replication_slots.two_phase. If it is true, end this stream with gpm-cdc reset; the "
        "next gpm-cdc run makes a slot without it."
    )


class UnknownFrame(ProtocolError):
    """A frame that is neither XLogData nor a keepalive. Facts: tag (its first byte, as a number)."""

    code: ClassVar[str] = "unknown-frame"
    message: ClassVar[str] = "Postgres sent a frame of the unknown kind {tag:#04x} on the replication connection."
