"""`gpm-cdc check`: every condition on both servers, with its remedy."""

import asyncio
from dataclasses import asdict

import click

from gpm_cdc.cli.options import examples, with_settings
from gpm_cdc.cli.rendering import show_json, show_table, talk
from gpm_cdc.config.settings import Settings
from gpm_cdc.errors.base import ExitCode
from gpm_cdc.runtime.check import Report, check as examine


@click.command(
    help="""Examine both servers and the mapping, and say what is in the way of a stream. Changes nothing.

    A finding blocks, warns or notes, and says what to do. The exit code is 1 if any blocks. A server that cannot be
    reached is an error, not a finding.""",
    epilog=examples("gpm-cdc check", "gpm-cdc check --json", "gpm-cdc check --adopt   # before 'gpm-cdc run --adopt'"),
)
@click.option("--adopt", is_flag=True, help="Take a graph that already holds mapped labels as meant.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_settings
def check(settings: Settings, *, adopt: bool, as_json: bool) -> ExitCode:
    """The command; its help is above, since it is text for people."""
    report = asyncio.run(examine(settings, adopt=adopt))
    if as_json:
        show_json(
            {
                "blocked": report.blocked > 0,
                "postgres": {"version": report.postgres_version},
                "neo4j": {"version": report.neo4j_version, "edition": report.neo4j_edition},
                "findings": [asdict(finding) for finding in report.findings],
            }
        )
    else:
        _show(report)
    return ExitCode.FINDING if report.blocked else ExitCode.DONE


def _show(report: Report) -> None:
    if report.findings:
        show_table(
            ("severity", "about", "finding", "next"),
            ((finding.severity, finding.subject, finding.message, finding.remedy) for finding in report.findings),
        )
    talk(
        "Postgres {postgres}, Neo4j {neo4j} {edition}.",
        postgres=report.postgres_version,
        neo4j=report.neo4j_version,
        edition=report.neo4j_edition,
    )
    if report.blocked:
        talk("Findings that block: {count}.", count=report.blocked)
    else:
        talk("Nothing is in the way of 'gpm-cdc run'.")
