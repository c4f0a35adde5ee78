import pathlib

import pytest

from gpm_cdc.ddl import Surroundings, judge


@pytest.mark.parametrize(("name", "dropped"), [("northwind.sql", 14), ("pagila.sql", 0)])
def test_sample_databases_are_read(test_data: pathlib.Path, name: str, dropped: int) -> None:
    """Dumps are read whole, rows and all: what they drop would stop a stream, what they make is nobody's yet."""
    report = judge((test_data / name).read_text(encoding="utf-8"), Surroundings(), where=name)
    assert {verdict.judgements[0].code for verdict in report.verdicts} <= {
        "nothing", "table_created", "table_of_file", "table_dropped", "code_run", "partition_created", "not_known",
    }  # fmt: skip
    assert report.counts["stops"] == dropped
    assert all(verdict.judgements[0].code != "not_known" for verdict in report.verdicts)
