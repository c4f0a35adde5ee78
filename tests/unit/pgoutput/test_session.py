"""What connections ask of the server."""

import pytest

from gpm_cdc.domain.lsn import Lsn
from gpm_cdc.pgoutput.session import PINS, connection_options, plugin_options, start_replication


def test_all_that_changes_the_text_of_values_is_pinned() -> None:
    """Databases and roles cannot change how a value is printed."""
    assert connection_options() == (
        "-c client_encoding=UTF8 -c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c extra_float_digits=3 "
        "-c bytea_output=hex -c lc_monetary=C"
    )


def test_pins_hold_nothing_that_the_options_would_have_to_escape() -> None:
    """The options are split at spaces, and backslashes are taken away."""
    assert not any(set(" \\") & set(name + value) for name, value in PINS.items())


def test_pins_cannot_be_changed_by_accident() -> None:
    """They are shared by every connection of the process."""
    with pytest.raises(TypeError):
        PINS["timezone"] = "Asia/Tokyo"  # type: ignore[index]


def test_the_plugin_is_asked_for_protocol_1_with_messages() -> None:
    """Several publications are one list."""
    assert plugin_options(["sales", "Stock"]) == {
        "proto_version": "1",
        "publication_names": '"sales","Stock"',
        "messages": "true",
    }


def test_a_stream_without_a_publication_is_refused() -> None:
    """The server would accept it and send nothing."""
    with pytest.raises(ValueError, match="at least one publication"):
        plugin_options([])


def test_names_are_quoted_in_the_command() -> None:
    """As identifiers in the list of publications, and that list as a string."""
    assert start_replication("gpm_cdc", Lsn(0x16B374D848), ['a"b', "it's, mine"]) == (
        'START_REPLICATION SLOT "gpm_cdc" LOGICAL 16/B374D848 '
        '("proto_version" \'1\', "publication_names" \'"a""b","it\'\'s, mine"\', "messages" \'true\')'
    )
