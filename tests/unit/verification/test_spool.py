import gc
import warnings
from collections.abc import Iterable

import pytest
from hypothesis import given, settings, strategies as st

from gpm_cdc.verification import spool
from gpm_cdc.verification.comparison import Tally
from gpm_cdc.verification.report import COUNTED_AS, Finding, FindingKind, Way
from gpm_cdc.verification.spool import Chained, Spool, SpooledTally


def _finding(number: int, kind: FindingKind = "missing") -> Finding:
    key = {"id": number, "part": float(number)}
    return Finding("public.t", "T", kind, key, ("a", "b"), {"a": 'STRING "é\n"'}, None, dict(key))


_kinds = st.sampled_from(list(COUNTED_AS))


@settings(deadline=None)
@given(st.lists(st.lists(_kinds, max_size=4), max_size=6), st.integers(0, 6), st.sampled_from([1, 300, 10**6]))
def test_a_tally_keeps_what_a_plain_one_keeps(rounds: list[list[FindingKind]], failed: int, memory: int) -> None:
    """With its findings in memory or in a file, also when a round fails and the tally of before takes its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "IN_MEMORY_BYTES", memory)
        spooled, plain = SpooledTally(), Tally()
        for number, kinds in enumerate(rounds):
            before = spooled.copy(), plain.copy()
            found = [_finding(place, kind) for place, kind in enumerate(kinds)]
            for tally in (spooled, plain):
                tally.judged(number, [number, 7], found)
            if number == failed:
                spooled, plain = before
        ways: Iterable[Way] = ("missing", "extra", "different")
        assert [spooled.count(way) for way in ways] == [plain.count(way) for way in ways]
        assert list(spooled.spool) == plain.findings
        assert (spooled.postgres, spooled.neo4j) == (plain.postgres, plain.neo4j)
        spooled.reset()
        assert list(spooled.spool) == []


@pytest.mark.parametrize("memory", [1, 10**6])
def test_a_spool_is_a_sequence(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    """Places, slices, and several readers at once, across the parts of a chain."""
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", memory)
    findings = [_finding(number) for number in range(20)]
    parts = [Spool(), Spool(), Spool()]
    parts[0].extend(findings[:7])
    parts[2].extend(findings[7:])
    chained = Chained(parts)
    assert (len(chained), list(chained)) == (20, findings)
    assert (chained[3], chained[-1], chained[5:9], chained[:2]) == (
        findings[3],
        findings[-1],
        findings[5:9],
        findings[:2],
    )
    assert list(zip(chained, chained, strict=True)) == list(zip(findings, findings, strict=True))
    with pytest.raises(IndexError):
        chained[20]


def test_a_file_is_closed_with_its_last_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to the garbage collector to complain about."""
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 1)
    kept = Spool()
    kept.extend([_finding(1)])
    store = kept._store.file
    mark = kept.mark()
    del kept
    assert list(mark) == [_finding(1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del mark
        gc.collect()
    assert store.closed
