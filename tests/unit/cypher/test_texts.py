import re

import pytest

from gpm_cdc.projection.plan import GraphPlan
from tests.unit.cypher import batches


def test_what_is_sent_for_each_kind_of_batch() -> None:
    """Texts, rows and their order are those of tests/golden/statements.txt, whose changes are read before a commit."""
    assert batches.text() == batches.GOLDEN.read_text(encoding="utf-8"), (
        "after a change that is meant: python -m tests.unit.cypher.batches, and read the difference"
    )


@pytest.mark.parametrize("name", batches.BATCHES)
@pytest.mark.parametrize("plan", [batches.PLAN, batches.WITHOUT], ids=["with relationship tables", "without"])
def test_nothing_is_looked_up_after_a_delete(plan: GraphPlan, name: str) -> None:
    """After n deletes Neo4j takes as long as n for each look-up by index, so these come first."""
    texts = batches.texts(plan, name)
    nodes = [place for place, text in enumerate(texts) if "DETACH DELETE" in text]
    relationships = [place for place, text in enumerate(texts) if text.endswith("DELETE e")]
    after_nodes = texts[nodes[0] + 1 :] if nodes else []
    after_relationships = texts[relationships[0] + 1 :] if relationships else []
    assert all("elementId(n) = r DETACH DELETE" in text for text in after_nodes)
    assert not any(re.search(r"\[e:`[^`]+` \{", text) for text in after_relationships)
