"""What a name in Python source stands for, as far as the text of its file tells.

A scope knows what binds its names: definitions, imports, variables. A call `a.b.c()` stands for a dotted name if `a`
leads to an import or a definition; of a variable or a parameter only the attribute is known, and the name begins with a
dot.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

type Function = ast.FunctionDef | ast.AsyncFunctionDef
type Shadowed = frozenset[str]
"""Names that a comprehension or a lambda binds for itself."""

type Dotted = tuple[str, ...]
"""`a.b.c` in parts; the first is empty where what is before the dot is no name."""


class Binding(NamedTuple):
    """What a name of a scope is: `target` is the dotted name that it stands for, None for a variable."""

    target: str | None
    imported: bool = False


_VARIABLE = Binding(None)


@dataclass(slots=True)
class Scope:
    """A module, class or function: `qualname` is its dotted name, `local` its key within the module."""

    kind: Literal["module", "class", "function"]
    qualname: str
    local: str
    around: "Scope | None"
    bindings: dict[str, Binding] = field(default_factory=dict)
    own: str | None = None
    """The first parameter of a method: an instance or the class."""

    def resolve(self, dotted: Dotted | None, shadowed: Shadowed = frozenset()) -> str | None:
        """The dotted name that `dotted` stands for in this scope; None for what is no name at all."""
        if dotted is None:
            return None
        first, *rest = dotted
        unknown = f".{rest[-1]}" if rest else None
        if not first or first in shadowed:
            return unknown
        scope: Scope | None = self
        while scope is not None:
            if first == scope.own and len(rest) == 1 and scope.around is not None:
                return f"{scope.around.qualname}.{rest[0]}"
            binding = scope.bindings.get(first)
            if binding is not None and (scope is self or scope.kind != "class"):
                return unknown if binding.target is None else ".".join((binding.target, *rest))
            scope = scope.around
        # A builtin, or what a star brings along: the name as it is written.
        return ".".join(dotted)


def named(node: ast.expr) -> Dotted | None:
    """`node` as a dotted name; what stands in brackets behind it does not count."""
    parts: list[str] = []
    while True:
        match node:
            case ast.Attribute():
                parts.append(node.attr)
                node = node.value
            case ast.Subscript() if not parts:
                node = node.value
            case ast.Name():
                parts.append(node.id)
                return tuple(reversed(parts))
            case _:
                return ("", *reversed(parts)) if parts else None


class ScopeReader:
    """What one scope holds, not counting the scopes within; reading it fills the bindings of `scope`."""

    def __init__(self, scope: Scope, node: ast.Module | Function | ast.ClassDef, module: str, *, package: bool) -> None:
        """`module` is the dotted name of the module, `package` whether its file is an `__init__`."""
        self._scope = scope
        self._module = module
        self._package = package
        self._bound: dict[str, Binding] = {}
        self.definitions: list[Function | ast.ClassDef] = []
        self.imports: list[str] = []
        self.calls: list[tuple[Dotted, Shadowed]] = []
        for name in _parameters(node):
            scope.bindings[name] = _VARIABLE
        if (
            scope.around is not None
            and scope.around.kind == "class"
            and not isinstance(node, ast.Module | ast.ClassDef)
        ):
            scope.own = _first_parameter(node)
        outer_names: set[str] = set()
        for each, shadowed in _walk(node.body):
            match each:
                case ast.Global() | ast.Nonlocal():
                    outer_names.update(each.names)
                case ast.Call():
                    self._call(each, shadowed)
                case ast.Import() | ast.ImportFrom():
                    self._import(each)
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    self.definitions.append(each)
                    self._bound[each.name] = Binding(f"{scope.qualname}.{each.name}")
                case _:
                    self._variable(each, shadowed)
        # What is defined or imported is that, also where a branch binds the name to something else.
        scope.bindings.update(self._bound)
        for name in outer_names:
            scope.bindings.pop(name, None)

    def _call(self, node: ast.Call, shadowed: Shadowed) -> None:
        dotted = named(node.func)
        if dotted is not None and not isinstance(node.func, ast.Subscript):
            self.calls.append((dotted, shadowed))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            self.imports += [alias.name for alias in node.names]
            self._bound.update(_imported(alias) for alias in node.names)
            return
        source = _source(node, self._module, package=self._package)
        self.imports.append(source)
        for alias in node.names:
            if alias.name != "*":
                self.imports.append(f"{source}.{alias.name}")
                self._bound[alias.asname or alias.name] = Binding(f"{source}.{alias.name}", imported=True)

    def _variable(self, node: ast.AST, shadowed: Shadowed) -> None:
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()) if node.id not in shadowed:
                self._scope.bindings.setdefault(node.id, _VARIABLE)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._scope.bindings.setdefault(name, _VARIABLE)
            case _:
                pass


def _walk(body: Sequence[ast.AST]) -> Iterator[tuple[ast.AST, Shadowed]]:
    """What tells something below `body`, in the order of the text, not going into the scopes of definitions."""
    none: Shadowed = frozenset()
    stack: list[tuple[ast.AST, Shadowed]] = [(node, none) for node in reversed(body)]
    while stack:
        node, shadowed = stack.pop()
        kind = type(node)
        if kind in _TELLING:
            yield node, shadowed
        if kind in _SCOPED:
            stack += reversed(_parts(node, shadowed))
        else:
            stack += [(child, shadowed) for child in reversed(_children(node))]


_TELLING: Final = frozenset(
    (
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal),
        *(ast.Call, ast.Name, ast.ExceptHandler, ast.MatchAs, ast.MatchStar),
    )
)
_SCOPED: Final = frozenset(
    (
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
        *(ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp),
    )
)


def _children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below, without those that tell nothing: constants, operators, names that are only read."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, ast.Name):
                if not isinstance(child.ctx, ast.Load):
                    found.append(child)
            elif isinstance(child, ast.AST) and child._fields and not isinstance(child, ast.Constant):
                found.append(child)
    return found


def _parts(node: ast.AST, shadowed: Shadowed) -> list[tuple[ast.AST, Shadowed]]:
    """Of what has a scope of its own: the parts that are outside of it, or whose names it shadows."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            outside = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
            return [(child, shadowed) for child in outside]
        case ast.ClassDef():
            outside = [*node.decorator_list, *node.bases, *(word.value for word in node.keywords)]
            return [(child, shadowed) for child in outside]
        case ast.Lambda():
            defaults: list[ast.AST] = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            inside = shadowed | frozenset(argument.arg for argument in _arguments(node.args))
            return [*((child, shadowed) for child in defaults), (node.body, inside)]
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            targets = (name for generator in node.generators for name in ast.walk(generator.target))
            inside = shadowed | frozenset(name.id for name in targets if isinstance(name, ast.Name))
            return [(child, inside) for child in _children(node)]
        case _:
            return []


def _arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from filter(None, (arguments.vararg, arguments.kwarg))


def _parameters(node: ast.Module | Function | ast.ClassDef) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from (argument.arg for argument in _arguments(node.args))


def _first_parameter(node: Function) -> str | None:
    if any(named(each) == ("staticmethod",) for each in node.decorator_list):
        return None
    first = [*node.args.posonlyargs, *node.args.args]
    return first[0].arg if first else None


def _imported(alias: ast.alias) -> tuple[str, Binding]:
    """`import a.b` binds a; `import a.b as c` binds c to a.b."""
    if alias.asname is not None:
        return alias.asname, Binding(alias.name, imported=True)
    first = alias.name.partition(".")[0]
    return first, Binding(first, imported=True)


def _source(node: ast.ImportFrom, module: str, *, package: bool) -> str:
    """The module that `from ... import` names, absolute where it can be."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    up = node.level - 1 if package else node.level
    if up >= len(parts):
        return "." * node.level + (node.module or "")
    base = parts[: len(parts) - up]
    return ".".join((*base, node.module) if node.module else base)
