"""Draws whole histories: a schema, its mapping, the settings of the stream, and what happens. All from one seed."""

import random

from gpm_cdc.config.settings import Settings
from tests.exactness.drawing import Drawing
from tests.exactness.schema import ddl, mapping_text
from tests.exactness.script import (
    Compare,
    Crash,
    End,
    Finish,
    Hold,
    Recopy,
    Script,
    Step,
    Transaction,
    Woven,
)
from tests.exactness.statements import Statements

TRANSACTIONS = 40
"""Transactions per history, roughly; some of them come to nothing."""

HISTORIES_PER_SCHEMA = 8
"""Neo4j plans a statement once per schema: what the first history of one has to wait for, the others find done."""

_SETTINGS = {
    "batch_rows": (1, 2, 5, 10_000, 10_000),
    "batch_bytes": (1024, 100_000, 8_388_608),
}
"""What is drawn of each setting; one that Settings does not have yet is left out."""


class _Steps:
    """The steps of a history being drawn."""

    def __init__(self, dice: random.Random, statements: Statements, *, prepared: bool) -> None:
        self._dice = dice
        self._statements = statements
        self._prepared = prepared
        self._open: list[str] = []
        self._names = 0
        self.steps: list[Step] = []

    def draw(self, transactions: int) -> tuple[Step, ...]:
        """Rows to begin with, which the stream copies, then groups of transactions with a comparison after each."""
        dice = self._dice
        self.steps.append(Transaction(tuple(self._statements.seeding())))
        self.steps.append(Compare())
        done = 0
        while done < transactions:
            manner = dice.random()
            if manner < 0.04:
                self.steps.append(self._recopy())
            if dice.random() < 0.65:
                self.steps.append(Hold())
            if dice.random() < 0.15:
                self.steps.append(Crash(dice.choice((1, 1, 2, 3)), dice.choice(("before", "inside", "after"))))
            size = dice.randint(2, 10)
            for _ in range(size):
                self._one()
            done += size
            self.steps.append(Compare())
        return tuple(self.steps)

    def _one(self) -> None:
        dice = self._dice
        if self._open and dice.random() < 0.4:
            self.steps.append(Finish(self._open.pop(0), commit=dice.random() < 0.8))
        elif dice.random() < 0.08:
            first, second = self._transaction(), self._transaction()
            turns = [False] * len(first.statements) + [True] * len(second.statements)
            dice.shuffle(turns)
            self.steps.append(Woven(first, second, tuple(turns)))
        else:
            self.steps.append(self._transaction())

    def _recopy(self) -> Recopy:
        crash = self._dice.choice((0, 1, 3, 6, 10, 15, 22, 30))
        # A copy that goes on would wait for prepared transactions.
        meanwhile = (self._transaction(preparing=False) for _ in range(self._dice.choice((0, 1, 2, 4))))
        return Recopy(crash, tuple(meanwhile) if crash else ())

    def _transaction(self, *, preparing: bool = True) -> Transaction:
        dice = self._dice
        statements: list[str] = []
        for _ in range(dice.choice((1, 1, 2, 3, 4, 6))):
            statement = self._statements.statement()
            if dice.random() < 0.06:
                statements += ["SAVEPOINT undone", statement, self._statements.statement(), "ROLLBACK TO undone"]
            elif dice.random() < 0.06:
                statements += ["SET CONSTRAINTS ALL DEFERRED", statement]
            else:
                statements.append(statement)
        guarded = dice.random() < 0.85
        # A prepared TRUNCATE would lock the table against everybody who compares.
        truncates = any("TRUNCATE" in statement for statement in statements)
        if preparing and self._prepared and not truncates and dice.random() < 0.05:
            self._names += 1
            self._open.append(f"prepared {self._names}")
            return Transaction(tuple(statements), "PREPARE", guarded, self._open[-1])
        end: End = "ROLLBACK" if dice.random() < 0.04 else "COMMIT"
        return Transaction(tuple(statements), end, guarded)


def draw_history(origin: str, version: int, *, prepared: bool, transactions: int = TRANSACTIONS) -> Script:
    """The history of an origin, SEED.NUMBER, for a server of this major version; neighbours share their schema.

    `prepared`: the server has room for prepared transactions.
    """
    seed, _, number = origin.rpartition(".")
    drawing = Drawing(random.Random(f"{seed} {int(number) // HISTORIES_PER_SCHEMA} {version}"), version)
    schema = drawing.schema()
    dice = random.Random(f"{origin} {version}")
    statements = Statements(dice, schema, drawing.key_types)
    drawn = {name: dice.choice(choices) for name, choices in _SETTINGS.items()}
    return Script(
        origin=origin,
        version=version,
        schema=tuple(ddl(schema)),
        mapping=mapping_text(schema),
        settings={name: value for name, value in drawn.items() if name in Settings.model_fields},
        statement_rows=dice.choice((1, 2, 10_000, 10_000)),
        steps=_Steps(dice, statements, prepared=prepared).draw(transactions),
        mend=tuple(statements.mend()),
        inferred=schema.inferred,
    )
