"""What a job's result depends on in this package: a hash of its stage's code and of all the stage imports.

Code is compared as syntax, so touches, comments, docstrings, formatting and copies change nothing, and every other
edit does, whatever its date.
"""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

import grimp

PACKAGE = "general_circuits"


@lru_cache
def fingerprint(*modules: str) -> str:
    """The hash of these modules of the package and of all they import inside it, directly or not.

    Args:
        modules: dotted names below the package, `stages.train_block`. What a stage imports by a name it is given, such
            as a figure's file, is not seen from its code and must be named too.
    """
    graph = _graph()
    roots = {module if module.startswith(PACKAGE) else f"{PACKAGE}.{module}" for module in modules}
    reached = set().union(*(graph.find_upstream_modules(root) for root in roots)) | roots
    packages = {module.rsplit(".", depth)[0] for module in reached for depth in range(1, module.count(".") + 1)}
    digest = hashlib.sha256()
    for module in sorted(reached | packages):
        digest.update(f"{module}\n{_syntax(module)}\n".encode())
    return digest.hexdigest()[:16]


@lru_cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


@lru_cache
def _syntax(module: str) -> str:
    """The module's code without comments, docstrings and layout."""
    path = Path(__file__).parents[1].joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _is_text(part)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    """A string standing by itself: documentation."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
