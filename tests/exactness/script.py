"""A history as data: what is done to the tables and to the stream, step by step. Nothing in it depends on the graph."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, cast

type End = Literal["COMMIT", "ROLLBACK", "PREPARE"]
type Moment = Literal["before", "inside", "after"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Statements of one session. `guarded`: what Postgres refuses is rolled back alone, else with the transaction.

    `name` is that of the prepared transaction when it ends with PREPARE. A statement that begins with COPY has its
    data after the first line break.
    """

    statements: tuple[str, ...]
    end: End = "COMMIT"
    guarded: bool = True
    name: str = ""
    kind: Literal["transaction"] = "transaction"


@dataclass(frozen=True, slots=True)
class Woven:
    """Two transactions of two sessions; `order` says which one goes on, False being the first."""

    first: Transaction
    second: Transaction
    order: tuple[bool, ...]
    kind: Literal["woven"] = "woven"


@dataclass(frozen=True, slots=True)
class Finish:
    """COMMIT PREPARED or ROLLBACK PREPARED."""

    name: str
    commit: bool
    kind: Literal["finish"] = "finish"


@dataclass(frozen=True, slots=True)
class Hold:
    """What follows, up to the next Compare, reaches the graph in batches as large as the limits allow."""

    kind: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True)
class Crash:
    """The stream is cut off at its `writes`-th write from now on: before it, inside it, or after its commit."""

    writes: int
    moment: Moment
    kind: Literal["crash"] = "crash"


@dataclass(frozen=True, slots=True)
class Recopy:
    """The stream is ended, and a new one takes over its graph; cut off in the copy as by a Crash if `crash` says so.

    Before it begins again, `meanwhile` happens.
    """

    crash: int = 0
    meanwhile: tuple[Transaction, ...] = ()
    kind: Literal["recopy"] = "recopy"


@dataclass(frozen=True, slots=True)
class Compare:
    """Wait until everything is in the graph, and compare."""

    kind: Literal["compare"] = "compare"


type Step = Transaction | Woven | Finish | Hold | Crash | Recopy | Compare

_KINDS: Mapping[str, type[Step]] = {
    "transaction": Transaction,
    "finish": Finish,
    "hold": Hold,
    "crash": Crash,
    "recopy": Recopy,
    "compare": Compare,
}


@dataclass(frozen=True, slots=True)
class Script:
    """A whole history. `settings` are the stream's, `statement_rows` the rows of one Cypher statement.

    `mend` are statements that make a transaction committable whose deferred constraints do not hold.
    """

    origin: str
    version: int
    schema: tuple[str, ...]
    mapping: str
    settings: Mapping[str, int]
    statement_rows: int
    steps: tuple[Step, ...]
    mend: tuple[str, ...] = ()
    inferred: bool = field(default=False)

    def with_steps(self, steps: tuple[Step, ...]) -> Self:
        """The same with other steps."""
        return replace(self, steps=steps)

    def dump(self) -> str:
        """The script for `load`."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def load(cls, text: str) -> Self:
        """What `dump` wrote."""
        facts: dict[str, Any] = json.loads(text)
        facts["steps"] = tuple(_step(step) for step in facts["steps"])
        for name in ("schema", "mend"):
            facts[name] = tuple(facts[name])
        return cls(**facts)

    def sql(self) -> str:
        """The script for people: the mapping, then SQL that psql runs, with what happens to the stream between it."""
        return "\n".join(
            [
                f"-- {self.origin} on Postgres {self.version}",
                f"-- {dict(self.settings)}, rows per statement: {self.statement_rows}",
                *(f"-- | {line}" for line in self.mapping.splitlines()),
                *(f"{statement};" for statement in self.schema),
                *(line for step in self.steps for line in _lines(step)),
            ]
        )


def _step(facts: dict[str, Any]) -> Step:
    if facts["kind"] == "woven":
        first, second = (_step(facts[name]) for name in ("first", "second"))
        return Woven(cast("Transaction", first), cast("Transaction", second), tuple(facts["order"]))
    if facts["kind"] == "recopy":
        facts = {**facts, "meanwhile": tuple(cast("Transaction", _step(each)) for each in facts["meanwhile"])}
    if facts["kind"] == "transaction":
        facts = {**facts, "statements": tuple(facts["statements"])}
    return _KINDS[facts["kind"]](**facts)


def _lines(step: Step) -> Iterator[str]:
    match step:
        case Transaction():
            yield from _transaction_lines(step)
        case Woven():
            yield f"-- two sessions, in the order {''.join('ab'[turn] for turn in step.order)}:"
            yield from _transaction_lines(step.first, "/* a */ ")
            yield from _transaction_lines(step.second, "/* b */ ")
        case Finish():
            yield f"{'COMMIT' if step.commit else 'ROLLBACK'} PREPARED '{step.name}';"
        case Crash():
            yield f"-- the stream is cut off {step.moment} its write number {step.writes}"
        case Recopy():
            yield f"-- a new stream copies again, cut off at write number {step.crash} (0: not at all), then:"
            for each in step.meanwhile:
                yield from _transaction_lines(each, "/* meanwhile */ ")
        case Hold() | Compare():
            yield f"-- {step.kind}"


def _transaction_lines(transaction: Transaction, mark: str = "") -> Iterator[str]:
    yield f"{mark}BEGIN;"
    for statement in transaction.statements:
        yield f"{mark}{statement}{'' if statement.startswith('COPY') else ';'}"
    yield f"{mark}{end_of(transaction)};"


def end_of(transaction: Transaction) -> str:
    """How the transaction ends, as SQL."""
    return f"PREPARE TRANSACTION '{transaction.name}'" if transaction.end == "PREPARE" else transaction.end
