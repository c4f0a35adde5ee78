"""Source code that is edited while the daemon that follows it is killed again and again."""

import os
import random
from collections import Counter
from itertools import islice

import psycopg
import pytest
from sqlalchemy import create_engine

from gpm_cdc.codegraph import Loader, migrate
from tests.acceptance.daemon import Daemon
from tests.acceptance.stream import Stream
from tests.integration.codegraph.edits import edits, originals

EDITS = 500
KILLS = 12

pytestmark = pytest.mark.timeout(400)


def _follows(stream: Stream) -> Daemon:
    """A daemon that has taken the stream over."""
    daemon = stream.run(tuning={"batch_rows": 300})
    daemon.wait_line("streaming", 60)
    return daemon


@pytest.mark.long
def test_edits_under_fire(stream: Stream) -> None:
    """500 random edits of real sources, the daemon killed 12 times right after one: equal in the end."""
    seed = int(os.environ.get("GPM_TEST_EDITS_SEED", "0")) or random.SystemRandom().randrange(1_000_000)
    dice = random.Random(seed)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(stream.postgres.dsn))
    migrate(engine)
    done = stream.command("map", "--models", "gpm_cdc.codegraph:Base", "--output", str(stream.mapping))
    assert done.returncode == 0, done.stderr
    files = originals()
    loader = Loader(engine, "p", processes=1)
    loader.store(files)
    daemon = _follows(stream)
    kills = set(dice.sample(range(20, EDITS), KILLS))
    epochs: Counter[int] = Counter()
    for number, change in enumerate(islice(edits(files, dice), EDITS)):
        loader.store(change)
        if number in kills:
            daemon.kill()
            checkpoint = stream.checkpoint()
            assert checkpoint is not None
            epochs[checkpoint.epoch] += 1
            daemon = _follows(stream)
    engine.dispose()
    stream.wait_current(120)
    stream.assert_equal()
    assert len(epochs) == KILLS, f"GPM_TEST_EDITS_SEED={seed}"
    definitions = stream.cypher("MATCH (d:Definition) RETURN count(d) AS n")[0]["n"]
    assert definitions == stream.sql("SELECT count(*) FROM code_definition")[0][0]
