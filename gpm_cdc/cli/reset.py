"""`gpm-cdc reset`: ends a stream."""

import asyncio
import sys

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.run import ConfirmationMissing
from gpm_cdc.mapping.model import GraphMapping
from gpm_cdc.runtime.mapped import read_mapping
from gpm_cdc.runtime.reset import Ended, reset as end_stream
from gpm_cdc.wording import say


@click.command(
    help="""End the stream: drop its replication slot and its publication, and delete its checkpoint.

    The graph stays as it is, unless --graph is given: then everything that the mapping owns in it is deleted, with
    all relationships of its nodes, and our constraints and indexes on them. Parts that are gone already are no
    error. Refused while another process runs the stream.""",
    epilog=examples("gpm-cdc reset", "gpm-cdc reset --graph --yes", "gpm-cdc reset --yes --stream trial"),
)
@click.option("--graph", is_flag=True, help="Delete what the mapping owns in the graph, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def reset(settings: Settings, *, graph: bool, yes: bool) -> None:
    """The command; its help is above, since it is text for people."""
    owned = read_mapping(settings) if graph else None
    if not yes:
        _ask(settings, owned)
    _tell(asyncio.run(end_stream(settings, owned)), settings)


def _ask(settings: Settings, owned: GraphMapping | None) -> None:
    if not sys.stdin.isatty():
        raise ConfirmationMissing(stream=settings.stream)
    talk(
        "This drops replication slot {slot} and publication {publication}, and deletes the checkpoint of stream "
        "{stream} in {uri}.",
        slot=settings.slot_name,
        publication=settings.publication_name,
        stream=settings.stream,
        uri=settings.neo4j_uri,
    )
    if owned is not None:
        talk(
            "It also deletes every node with one of these labels: {labels}.",
            labels=", ".join(sorted({node.label for node in owned.nodes})),
        )
    click.confirm(say("Go on?"), abort=True, err=True)


def _tell(ended: Ended, settings: Settings) -> None:
    gone = [
        *([say("slot")] if ended.slot else []),
        *([say("publication")] if ended.publication == "dropped" else []),
        *([say("checkpoint")] if ended.checkpoint else []),
    ]
    if gone:
        talk("Stream {stream} is ended; gone: {parts}.", stream=settings.stream, parts=", ".join(gone))
    else:
        talk("There was no stream {stream}.", stream=settings.stream)
    if ended.publication == "foreign":
        talk(
            "Publication {publication} stays: it belongs to another role, which may drop it with "
            "DROP PUBLICATION {publication}.",
            publication=settings.publication_name,
        )
    if ended.nodes or ended.relationships or ended.constraints:
        talk(
            "Deleted from the graph: {nodes} nodes, {relationships} relationships, "
            "{constraints} constraints and indexes.",
            nodes=ended.nodes,
            relationships=ended.relationships,
            constraints=ended.constraints,
        )
