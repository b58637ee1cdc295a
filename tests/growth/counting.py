"""
Counts the work of a package: its steps, and the lengths of the values that it reads.

The package is imported from a changed syntax tree. Counted are each call of one of its
functions, each turn of a loop, and the length of what is searched, copied, joined,
compared or sorted: ``form in held`` costs as much as ``held`` is long. A search by a
regular expression counts the length of its text once.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import deque
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

__all__ = ["install", "work"]

_SIZED: tuple[type, ...] = (
    *(tuple, list, str, bytes, set, frozenset, dict, deque),
    *(type({}.keys()), type({}.values()), type({}.items())),
)
_SEARCHED: tuple[type, ...] = (tuple, list, str, bytes, deque, type({}.values()))
_BUILTINS = {
    *("tuple", "list", "set", "frozenset", "dict", "sorted", "sum", "min", "max"),
    *("any", "all", "deque", "hash"),
}
_METHODS = {
    *("join", "update", "extend", "index", "count", "remove", "copy", "sort"),
    *("split", "rsplit", "sub", "match", "search", "fullmatch", "findall", "finditer"),
    *(
        "translate",
        "casefold",
        "lower",
        "upper",
        "strip",
        "rstrip",
        "lstrip",
        "replace",
    ),
    *("normalize", "union", "difference", "partition", "isdigit"),
    *("isascii", "fromkeys", "writerow", "dumps"),
}
_SEARCHES = {"match", "search", "fullmatch", "finditer"}
"""Methods of patterns; a second argument is where they begin."""
_BY_THE_OTHER = {"intersection", "issubset", "issuperset", "isdisjoint"}
"""Methods of sets that iterate over the shorter set, or over another iterable."""
_FROM_A_PLACE = {"insert"}
"""Methods of lists that move the items after a place."""
_count = 0


def work() -> int:
    """Return the work counted so far."""
    return _count


def _worked(amount: int) -> None:
    global _count  # noqa: PLW0603 - it is the counter
    _count += amount


def _ticked(value: Any) -> Any:
    _worked(1)
    return value


def _cost(value: Any) -> Any:
    if type(value) in _SIZED:
        _worked(len(value))
    return value


def _searched(value: Any) -> Any:
    _worked(len(value) if type(value) in _SEARCHED else 1)
    return value


def _compared(value: Any) -> Any:
    if type(value) in (tuple, list, dict, set, frozenset):
        _worked(len(value))
    return value


def _shorter(mine: Any, other: Any) -> Any:
    if type(other) in _SIZED:
        both = isinstance(mine, set | frozenset) and isinstance(other, set | frozenset)
        _worked(min(len(mine), len(other)) if both else len(other))
    return other


def _moved(mine: Any, place: Any) -> Any:
    if type(mine) is list and type(place) is int:
        _worked(len(mine[place:]))
    return place


def _called(name: str, value: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), [value], [])


class _Counted(ast.NodeTransformer):
    """Adds counting to a module; annotations stay as they are."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        returns, node.returns = node.returns, None
        self.generic_visit(node)
        node.returns = returns
        place = 1 if ast.get_docstring(node) is not None else 0
        node.body.insert(place, self._tick())
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self.generic_visit(node)
        node.body = _called("__ticked__", node.body)
        return node

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        node.body.insert(0, self._tick())
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        node.body.insert(0, self._tick())
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        self.generic_visit(node)
        if node.ifs:
            node.ifs[0] = _called("__ticked__", node.ifs[0])
        return node

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        return self._elements(node)

    def visit_SetComp(self, node: ast.SetComp) -> Any:
        return self._elements(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> Any:
        return self._elements(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.DictComp:
        self.generic_visit(node)
        node.key = _called("__ticked__", node.key)
        return node

    def _elements(self, node: Any) -> Any:
        self.generic_visit(node)
        node.elt = _called("__ticked__", node.elt)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.Compare:
        self.generic_visit(node)
        for place, operator in enumerate(node.ops):
            if isinstance(operator, ast.In | ast.NotIn):
                operand = node.comparators[place]
                node.comparators[place] = _called("__searched__", operand)
            elif isinstance(operator, ast.Eq | ast.NotEq):
                operand = node.comparators[place]
                node.comparators[place] = _called("__compared__", operand)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        wanted = isinstance(node.op, ast.Add | ast.BitOr | ast.Sub | ast.Mult)
        return _called("__cost__", node) if wanted else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        sliced = isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load)
        return _called("__cost__", node) if sliced else node

    def visit_Starred(self, node: ast.Starred) -> ast.Starred:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = _called("__cost__", node.value)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        self.generic_visit(node)
        for place, key in enumerate(node.keys):
            if key is None:
                node.values[place] = _called("__cost__", node.values[place])
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        named = isinstance(node.func, ast.Name) and node.func.id in _BUILTINS
        method = isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in _BY_THE_OTHER | _FROM_A_PLACE
            and isinstance(node.func.value, ast.Name)
            and node.args
        ):
            owner = ast.Name(node.func.value.id, ast.Load())
            moved = node.func.attr in _FROM_A_PLACE
            counter = ast.Name("__moved__" if moved else "__shorter__", ast.Load())
            node.args[0] = ast.Call(counter, [owner, node.args[0]], [])
            return node
        at = isinstance(node.func, ast.Attribute) and node.func.attr in _SEARCHES
        if not (named or method) or (at and len(node.args) > 1):
            return node
        node.args = [
            argument
            if isinstance(argument, ast.Starred)
            else _called("__cost__", argument)
            for argument in node.args
        ]
        if isinstance(node.func, ast.Attribute) and node.func.attr != "update":
            node.func.value = _called("__cost__", node.func.value)
        return _called("__cost__", node)

    def _tick(self) -> ast.stmt:
        return ast.Expr(_called("__worked__", ast.Constant(1)))


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = _Counted().visit(ast.parse(self.get_data(path)))
        code: CodeType = compile(
            ast.fix_missing_locations(tree), path, "exec", dont_inherit=True
        )
        return code


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


def install(package: str) -> None:
    """Make a package that is imported from now on count its work."""
    counters = [_worked, _ticked, _cost, _searched, _compared, _shorter, _moved]
    for counter in counters:
        setattr(builtins, f"_{counter.__name__}__", counter)
    sys.meta_path.insert(0, _Finder(package))
