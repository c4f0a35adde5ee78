"""Makes a failing history small: what it fails without is dropped, transactions first, then statements."""

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from tests.exactness.script import Recopy, Script, Step, Transaction, Woven

type Fails = Callable[[Script], Awaitable[bool]]


async def shrink(script: Script, fails: Fails, *, seconds: float) -> Script:
    """The smallest script found in about `seconds` that still fails. `script` must fail."""
    deadline = time.monotonic() + seconds
    while True:
        smaller = await _dropped(script, fails, deadline)
        smaller = await _trimmed(smaller, fails, deadline)
        if smaller == script or time.monotonic() > deadline:
            return smaller
        script = smaller


async def _dropped(script: Script, fails: Fails, deadline: float) -> Script:
    """Without whole steps: runs of them, half of what is left first, single ones at last."""
    size = max(1, len(script.steps) // 2)
    while True:
        at = 0
        while at < len(script.steps) and time.monotonic() < deadline:
            fewer = script.with_steps((*script.steps[:at], *script.steps[at + size :]))
            if await fails(fewer):
                script = fewer
            else:
                at += size
        if size == 1 or time.monotonic() > deadline:
            return script
        size //= 2


async def _trimmed(script: Script, fails: Fails, deadline: float) -> Script:
    """With steps of fewer statements: the last ones are tried first, they depend on the others."""
    place = len(script.steps) - 1
    while place >= 0 and time.monotonic() < deadline:
        for smaller in _smaller(script.steps[place]):
            steps = list(script.steps)
            steps[place] = smaller
            fewer = script.with_steps(tuple(steps))
            if await fails(fewer):
                script = fewer
                place += 1
                break
        place -= 1
    return script


def _smaller(step: Step) -> Iterator[Step]:
    """The same step with less in it."""
    if isinstance(step, Woven):
        yield from (step.first, step.second)
        yield from (replace(step, first=first) for first in _shorter(step.first))
        yield from (replace(step, second=second) for second in _shorter(step.second))
    elif isinstance(step, Transaction):
        yield from _shorter(step)
    elif isinstance(step, Recopy):
        for place, each in enumerate(step.meanwhile):
            before, after = step.meanwhile[:place], step.meanwhile[place + 1 :]
            yield replace(step, meanwhile=(*before, *after))
            yield from (replace(step, meanwhile=(*before, shorter, *after)) for shorter in _shorter(each))


def _shorter(transaction: Transaction) -> Iterator[Transaction]:
    """The transaction without some of its statements, then without parts of those that are several in one."""
    statements = transaction.statements
    size, half = len(statements), len(statements) // 2
    for start, width in [(0, half), (half, size - half), *((place, 1) for place in range(size))]:
        if 0 < width < size:
            yield replace(transaction, statements=(*statements[:start], *statements[start + width :]))
    for place, statement in enumerate(statements):
        parts = [] if statement.startswith("COPY") else statement.split("; ")
        for gone in range(len(parts) if len(parts) > 1 else 0):
            rest = "; ".join([*parts[:gone], *parts[gone + 1 :]])
            yield replace(transaction, statements=(*statements[:place], rest, *statements[place + 1 :]))
