"""Reads a source tree with `ast`, importing nothing, and lists every breach of the rules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.arch import rules

PACKAGE = "hullmark"
STANDARD: frozenset[str] = sys.stdlib_module_names  # type: ignore[attr-defined]  # Python 3.10


@dataclass(frozen=True)
class Module:
    """A source file. `path` is relative to the package's folder; `room` is empty for modules beside the rooms."""

    path: Path
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @property
    def room(self) -> str:
        return self.path.parts[0] if len(self.path.parts) > 1 else ""

    @property
    def dotted(self) -> str:
        parts = (PACKAGE, *self.path.with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(package: Path) -> list[Module]:
    """Every module below the package's folder, in order of path."""
    found = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text()
        found.append(Module(path.relative_to(package), text, ast.parse(text, str(path))))
    return found


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name, for imports anywhere in the module, in functions and behind
    TYPE_CHECKING too. `from a import b` gives `a.b`, which may be a module or a name in one.
    """
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                folder = [PACKAGE, *module.path.parent.parts]
                here = folder[: len(folder) - node.level + 1]
                origin = ".".join([*here, origin] if origin else here)
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"


def breaches(modules: list[Module]) -> list[str]:
    """`path:line: what is wrong`, for all rules but those about the folders themselves."""
    found = []
    for module in modules:
        for check in (_imports, _loads, _effects, _excepts, _gate, _size, _name):
            found += [f"{module.path}:{line}: {what}" for line, what in check(module)]
    return found


def _imports(module: Module) -> Iterator[tuple[int, str]]:
    for line, name in imports(module):
        top = name.split(".")[0]
        if name == PACKAGE:
            continue
        if top == PACKAGE:
            yield from ((line, what) for what in _own_import(module, name))
        elif top not in STANDARD and not _may_use(module, top):
            yield line, f"{module.room or module.dotted} may not import the library {top}"


def _loads(module: Module) -> Iterator[tuple[int, str]]:
    """What is imported when the module is."""
    if module.room in rules.APART:
        return
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            top, _, rest = (node.module or "").partition(".")
            names = [rest] if rest else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            parts = [alias.name.partition(".") for alias in node.names]
            top, names = PACKAGE, [rest for first, _, rest in parts if first == PACKAGE]
        else:
            continue
        for room in {name.partition(".")[0] for name in names} & rules.APART:
            if top == PACKAGE:
                yield node.lineno, f"{room} is not on every host: import it where it is used"


def _own_import(module: Module, name: str) -> Iterator[str]:
    target = name.split(".")[1]
    if target not in rules.ROOMS:  # a shared module, or a name such as hullmark.__version__
        if f"{PACKAGE}.{target}" not in rules.SHARED and not target.startswith("__"):
            yield f"{name} is neither a room nor a shared module"
    elif not module.room:
        yield f"{module.dotted} stands beside the rooms and may not import {target}"
    elif target not in {module.room, *rules.ROOMS[module.room].rooms}:
        yield f"{module.room} may not import {target}"


def _may_use(module: Module, library: str) -> bool:
    allowed = rules.ROOMS[module.room].libraries if module.room in rules.ROOMS else frozenset()
    return rules.ANY in allowed or library in allowed


def _effects(module: Module) -> Iterator[tuple[int, str]]:
    if module.room not in rules.PURE:
        return
    for line, name in imports(module):
        if name.split(".")[0] in rules.IMPURE_MODULES or name == f"{PACKAGE}.log":
            yield line, f"{module.room} has no effects and may not import {name.split('.')[0]}"
    for node in module.nodes:
        if isinstance(node, ast.Call):
            name = _called(node)
            if name in rules.IMPURE_CALLS:
                yield node.lineno, f"{module.room} has no effects and may not call {name}()"


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """It only tidies up: its last statement is a bare `raise`."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _excepts(module: Module) -> Iterator[tuple[int, str]]:
    if module.path.as_posix() in rules.BROAD_EXCEPTS:
        return
    for node in module.nodes:
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = node.type is None or any(_broad(each) for each in caught)
            if broad and not _raises_again(node):
                yield node.lineno, "catches everything; tests/arch/rules.py lists who may"
        elif (
            isinstance(node, ast.Call)
            and _called(node) == "suppress"
            and any(map(_broad, node.args))
        ):
            yield node.lineno, "suppresses everything"


def _gate(module: Module) -> Iterator[tuple[int, str]]:
    """No change of an engine past the gate."""
    if module.room != rules.GATED_ROOM:
        for line, name in imports(module):
            if name.split(".")[0] == rules.ENGINE_LIBRARY:
                yield line, f"only the room {rules.GATED_ROOM} talks with engines"
        return
    if module.path.as_posix() not in rules.UNGATED:
        for line, what in _past_the_gate(module, module.tree):
            yield line, f"{what} changes the engine outside of the gate"


def _past_the_gate(module: Module, node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.With) and any(_opens_gate(item) for item in node.items):
        return
    named = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else ""
    if (module.path.as_posix(), named) in rules.PASSED_ON:
        return
    if isinstance(node, ast.Call) and _changes(node):
        yield node.lineno, f"{_called(node)}()"
    for child in ast.iter_child_nodes(node):
        yield from _past_the_gate(module, child)


def _opens_gate(item: ast.withitem) -> bool:
    return isinstance(item.context_expr, ast.Call) and _called(item.context_expr) == "passing"


def _changes(call: ast.Call) -> bool:
    """Whether a method of something is called that is not a plain question."""
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr in rules.CHANGING_CALLS:
        return True
    if call.func.attr not in rules.METHOD_CALLS:
        return False
    method = call.args[0] if call.args else None
    return not (isinstance(method, ast.Constant) and method.value in rules.READING_METHODS)


def _broad(caught: ast.expr | None) -> bool:
    return caught is not None and ast.unparse(caught).split(".")[-1] in {
        "Exception",
        "BaseException",
    }


def _size(module: Module) -> Iterator[tuple[int, str]]:
    lines = module.text.count("\n")
    if lines > rules.MAX_LINES and module.path.as_posix() not in rules.LONG:
        yield lines, f"{lines} lines; at most {rules.MAX_LINES}"


def _name(module: Module) -> Iterator[tuple[int, str]]:
    for part in module.path.with_suffix("").parts:
        if rules.FORBIDDEN_NAMES.intersection(part.strip("_").split("_")):
            yield 1, f"{part} says nothing; name what it holds"


def folder_breaches(package: Path) -> list[str]:
    """Folders that are no room of the table, rooms that are missing, and rooms whose door has no sign."""
    found = []
    folders = {each.name for each in package.iterdir() if each.is_dir() and any(each.rglob("*.py"))}
    for name in sorted(folders - rules.ROOMS.keys()):
        found.append(f"{name}: no such room in tests/arch/rules.py")
    for name in sorted(rules.ROOMS.keys() - folders):
        found.append(f"{name}: the room is missing")
    for name in sorted(folders):
        door = package / name / "__init__.py"
        if not door.is_file() or not ast.get_docstring(ast.parse(door.read_text())):
            found.append(
                f"{name}/__init__.py: no docstring that says what the room owns and refuses"
            )
    return found
