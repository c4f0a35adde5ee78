"""Mutants: modules of the package with one small mistake each, made on the syntax tree. Nothing is written to disk."""

import ast
import copy
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_CYPHER = (
    ("OPTIONAL MATCH", "MATCH"),
    ("DETACH DELETE", "DELETE"),
    ("MERGE", "CREATE"),
    ("CREATE", "MERGE"),
    ("DISTINCT ", ""),
    ("NOT ", ""),
    (" AND ", " OR "),
    (" OR ", " AND "),
    ("<>", "="),
    (" = ", " <> "),
    ("true", "false"),
    ("false", "true"),
    ("LIMIT", "SKIP"),
)
_LOOPS = {ast.Continue: ast.Break, ast.Break: ast.Continue}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake: `change` of the module's change number `number`, in `function`. `before` and `after` are source."""

    module: str
    function: str
    line: int
    number: int
    before: str
    after: str

    @property
    def name(self) -> str:
        """What it is, without the line, which moves."""
        return f"{self.module} {self.function}: {self.before} -> {self.after}"

    def tree(self) -> ast.Module:
        """The module with the mistake."""
        tree = _parse(self.module)
        next(place for number, (_, place) in enumerate(_places(tree)) if number == self.number).put()
        return ast.fix_missing_locations(tree)


def path_of(module: str) -> Path:
    """Where the source of `module` is."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def mutants(modules: Iterable[str]) -> list[Mutant]:
    """Every mutant of these modules, in the order of their text."""
    return [mutant for module in modules for mutant in _of(module)]


def sample(modules: Iterable[str], count: int, seed: str) -> list[Mutant]:
    """`count` of all mutants, drawn with `seed`, in random order: a run that ends early is a sample too."""
    every = mutants(modules)
    return random.Random(seed).sample(every, min(count, len(every)))


def _parse(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def _of(module: str) -> Iterator[Mutant]:
    tree = _parse(module)
    for number, (function, place) in enumerate(_places(tree)):
        before, after = place.shown()
        if before != after:
            yield Mutant(module, function, place.line, number, before, after)


@dataclass(slots=True)
class _Place:
    """A node in the tree that may become another: `holder.field`, or its item `index`."""

    holder: ast.AST
    field: str
    index: int | None
    changed: ast.AST
    line: int

    @property
    def node(self) -> ast.AST:
        found = getattr(self.holder, self.field)
        node: ast.AST = found if self.index is None else found[self.index]
        return node

    def shown(self) -> tuple[str, str]:
        """Source before and after, on one line each."""
        return _text(self.node), _text(self.changed)

    def put(self) -> None:
        """Make the change."""
        if self.index is None:
            setattr(self.holder, self.field, self.changed)
        else:
            getattr(self.holder, self.field)[self.index] = self.changed


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())


def _places(tree: ast.Module) -> Iterator[tuple[str, _Place]]:
    """Every place inside a function, with the function's name; not decorators, annotations, docstrings."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from ((node.name, place) for place in _inside(node))
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield from ((f"{node.name}.{inner.name}", place) for place in _inside(inner))


def _inside(function: ast.FunctionDef) -> Iterator[_Place]:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    start = len(function.body) - len(body)
    for index, statement in enumerate(body, start):
        yield from _walk(function, "body", index, statement)
    for index, default in enumerate(function.args.kw_defaults):
        if default is not None:
            yield from _walk(function.args, "kw_defaults", index, default)


_UNTOUCHED = {"annotation", "returns", "type_params", "decorator_list"}


def _walk(holder: ast.AST, field: str, index: int | None, node: ast.AST) -> Iterator[_Place]:
    if isinstance(node, (ast.Raise, ast.Assert)):
        return
    line = getattr(node, "lineno", 0)
    for changed in _changes(node):
        yield _Place(holder, field, index, changed, line)
    for name, value in ast.iter_fields(node):
        if name in _UNTOUCHED:
            continue
        if isinstance(value, list):
            for place, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield from _walk(node, name, place, item)
        elif isinstance(value, ast.AST):
            yield from _walk(node, name, None, value)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of `node`."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            yield ast.Compare(node.left, [_COMPARISONS[type(operator)]()], node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            yield node.values[0]
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _OPERATORS:
            yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
        case ast.IfExp():
            yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        case ast.Constant():
            yield from (ast.copy_location(ast.Constant(value), node) for value in _constants(node.value))
        case ast.comprehension(ifs=[_, *_]):
            yield ast.comprehension(node.target, node.iter, [], node.is_async)
        case ast.stmt():
            yield from _statements(node)
        case _:
            pass


def _constants(value: object) -> Iterator[str | int]:
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
        case str():
            yield from (value.replace(old, new, 1) for old, new in _CYPHER if old in value)
        case _:
            pass


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.If():
            yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        case ast.Return(value=ast.expr()) if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Return() | ast.AugAssign():
            yield ast.Pass()
        case ast.Expr(value=ast.YieldFrom()):
            yield ast.Expr(ast.YieldFrom(ast.Tuple([], ast.Load())))
        case ast.Expr(value=ast.Call()) | ast.Delete():
            yield ast.Pass()
        case ast.Continue() | ast.Break():
            yield _LOOPS[type(node)]()
        case _:
            pass
