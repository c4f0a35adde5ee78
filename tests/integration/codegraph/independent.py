"""Who calls whom, worked out from the `ast` alone: plain recursion over whole programs in memory, no tables, no SQL.

Shares no code with `gpm_cdc.codegraph`. The rules are those of docs/codegraph.md.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LONGEST_CHAIN = 6


@dataclass
class Frame:
    """A scope: what its names are. A dotted name, or None for a variable."""

    kind: str
    qualname: str
    key: str
    names: dict[str, str | None] = field(default_factory=dict)
    own: str | None = None


@dataclass
class Program:
    """All modules of a project."""

    last: dict[str, tuple[tuple[str, int], str, str]] = field(default_factory=dict)
    """By qualified name: where the last definition of it stands, its key, its kind."""
    imported: dict[str, str] = field(default_factory=dict)
    used: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By key: the dotted names that a definition calls."""

    def calls(self) -> set[tuple[str, str]]:
        """Keys of callers and of those they call."""
        return {
            (caller, callee) for caller, names in self.used.items() for callee in map(self.meaning, names) if callee
        }

    def meaning(self, name: str) -> str | None:
        """The key of the class or function that a dotted name stands for."""
        for _ in range(LONGEST_CHAIN + 1):
            if name in self.last:
                _, key, kind = self.last[name]
                return key if kind != "module" else None
            head, _, rest = name.rpartition(".")
            if name in self.imported:
                name = self.imported[name]
            elif head in self.imported:
                name = f"{self.imported[head]}.{rest}"
            else:
                return None
        return None


def program(files: Mapping[str, str]) -> Program:
    """Read every module of a project; files that are no Python have only their module."""
    made = Program()
    for path, text in files.items():
        parts = path.removesuffix(".py").split("/")
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        module = ".".join(parts)
        _put(made, module, path, 1, f"{path}#", "module")
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        _Module(made, path, module, tree)
    return made


def _put(made: Program, qualname: str, path: str, line: int, key: str, kind: str) -> None:
    if qualname not in made.last or made.last[qualname][0] <= (path, line):
        made.last[qualname] = ((path, line), key, kind)


class _Module:
    def __init__(self, made: Program, path: str, module: str, tree: ast.Module) -> None:
        self.made, self.path, self.module = made, path, module
        self.seen: dict[str, int] = defaultdict(int)
        frame = Frame("module", module, f"{path}#")
        self.body(tree.body, frame, [frame], "")
        for name in self.from_imports(tree):
            target = frame.names.get(name)
            if target is not None and target != f"{module}.{name}":
                made.imported[f"{module}.{name}"] = max(target, made.imported.get(f"{module}.{name}", ""))

    def from_imports(self, tree: ast.Module) -> Iterator[str]:
        """Names at the top that the last definition or import of them imports."""
        last: dict[str, bool] = {}
        for node in self.inside(tree.body):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    if alias.name != "*":
                        plain = alias.name.split(".")[0] if isinstance(node, ast.Import) else alias.name
                        last[alias.asname or plain] = True
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                last[node.name] = False
        return (name for name, imports in last.items() if imports)

    def inside(self, body: list[ast.stmt]) -> Iterator[ast.AST]:
        """Statements and expressions of a scope in the order of the text; of inner scopes only what names them."""
        for node in body:
            yield from self.below(node)

    def below(self, node: ast.AST) -> Iterator[ast.AST]:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            return
        for child in ast.iter_child_nodes(node):
            yield from self.below(child)

    def body(self, body: list[ast.stmt], frame: Frame, frames: list[Frame], local: str) -> None:
        self.bind(body, frame)
        for node in body:
            self.walk(node, frame, frames, local, frozenset())

    def bind(self, body: list[ast.stmt], frame: Frame) -> None:  # noqa: C901 - one case for each kind of statement
        """Fill in what the scope's statements bind."""
        firm: dict[str, str] = {}
        declared: set[str] = set()
        for node in self.inside(body):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    firm[node.name] = f"{frame.qualname}.{node.name}"
                case ast.Import():
                    for alias in node.names:
                        first = alias.name.split(".")[0]
                        firm[alias.asname or first] = alias.name if alias.asname else first
                case ast.ImportFrom():
                    for alias in node.names:
                        if alias.name != "*":
                            firm[alias.asname or alias.name] = f"{self.source(node)}.{alias.name}"
                case ast.Global() | ast.Nonlocal():
                    declared.update(node.names)
                case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
                    frame.names.setdefault(node.name, None)
                case _:
                    pass
        for name in self.stored(body):
            frame.names.setdefault(name, None)
        frame.names.update(firm)
        for name in declared:
            frame.names.pop(name, None)

    def stored(self, body: list[ast.stmt]) -> Iterator[str]:
        """Names that are assigned, not counting those of comprehensions."""

        def visit(node: ast.AST) -> Iterator[str]:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                yield node.id
            inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
            bound: set[str] = set()
            if isinstance(node, inner):
                return
            if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                bound = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
            for child in ast.iter_child_nodes(node):
                yield from (name for name in visit(child) if name not in bound)

        for statement in body:
            yield from visit(statement)

    def source(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        parts = self.module.split(".")
        drop = node.level - (1 if self.path.endswith("__init__.py") else 0)
        if drop >= len(parts):
            return "." * node.level + (node.module or "")
        return ".".join(parts[: len(parts) - drop] + ([node.module] if node.module else []))

    def walk(  # noqa: C901 - one case for each kind of node
        self, node: ast.AST, frame: Frame, frames: list[Frame], local: str, hidden: frozenset[str]
    ) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for outer in [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]:
                    self.walk(outer, frame, frames, local, hidden)
                self.define(node, frame, frames, local)
            case ast.ClassDef():
                for outer in [*node.decorator_list, *node.bases, *(word.value for word in node.keywords)]:
                    self.walk(outer, frame, frames, local, hidden)
                self.define(node, frame, frames, local)
            case ast.Lambda():
                for outer in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
                    self.walk(outer, frame, frames, local, hidden)
                self.walk(node.body, frame, frames, local, hidden | {a.arg for a in _arguments(node.args)})
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                bound = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
                for child in ast.iter_child_nodes(node):
                    self.walk(child, frame, frames, local, hidden | bound)
            case _:
                if isinstance(node, ast.Call):
                    self.called(node.func, frame, frames, hidden)
                for child in ast.iter_child_nodes(node):
                    self.walk(child, frame, frames, local, hidden)

    def define(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, frame: Frame, frames: list[Frame], local: str
    ) -> None:
        plain = f"{local}.{node.name}" if local else node.name
        self.seen[plain] += 1
        inner_local = plain if self.seen[plain] == 1 else f"{plain}~{self.seen[plain]}"
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        inner = Frame(kind, f"{frame.qualname}.{node.name}", f"{self.path}#{inner_local}")
        _put(self.made, inner.qualname, self.path, node.lineno, inner.key, kind)
        if not isinstance(node, ast.ClassDef):
            inner.names.update((a.arg, None) for a in _arguments(node.args))
            static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
            positional = [*node.args.posonlyargs, *node.args.args]
            if frame.kind == "class" and positional and not static:
                inner.own = positional[0].arg
        self.body(node.body, inner, [*frames, inner], inner_local)

    def called(self, function: ast.expr, frame: Frame, frames: list[Frame], hidden: frozenset[str]) -> None:
        rest: list[str] = []
        while isinstance(function, ast.Attribute):
            rest.insert(0, function.attr)
            function = function.value
        if not isinstance(function, ast.Name) or function.id in hidden:
            return
        for depth in range(len(frames) - 1, -1, -1):
            scope = frames[depth]
            if scope.own == function.id and len(rest) == 1:
                self.made.used[frame.key].append(f"{frames[depth - 1].qualname}.{rest[0]}")
                return
            if function.id in scope.names and (scope is frame or scope.kind != "class"):
                target = scope.names[function.id]
                if target is not None:
                    self.made.used[frame.key].append(".".join([target, *rest]))
                return
        self.made.used[frame.key].append(".".join([function.id, *rest]))


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    several = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*several, *filter(None, (arguments.vararg, arguments.kwarg))]
