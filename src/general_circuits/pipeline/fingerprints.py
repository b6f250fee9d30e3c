"""Fingerprints of code: a hash of a stage and of all that it imports inside the package.

Snakemake reruns a job when its fingerprint changes. A fingerprint therefore has to change with every edit that the job
can see, and with no other. Code is compared as syntax, so touches, comments, docstrings, formatting and copies change
nothing, whatever a file's date. Two more things are left out: they say what is allowed or meant, never
what is computed.

- the options of a `Literal`, which list what a setting may be;
- the words of a `Table` or a `Field` (`row=`, `meanings=`, `description=`), and constants named …MEANINGS.

A stage imports some modules by a name in its settings: a task family, a loss, an update rule, a claim, a figure. The
import graph does not show these, so the DAG names them beside the stage. A new one changes no other job's fingerprint.
"""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

import grimp

PACKAGE = "general_circuits"
WORDS = {"Table": {"row", "meanings"}, "Field": {"description"}}
"""Keyword arguments that hold words for a reader, by what is called."""


@lru_cache
def fingerprint(*modules: str) -> str:
    """Return the hash of these modules of the package and of all they import inside it, directly or not.

    Args:
        modules: dotted names, with or without the package's: `stages.train_block`.
    """
    graph = _graph()
    roots = {module if module.startswith(PACKAGE) else f"{PACKAGE}.{module}" for module in modules}
    reached = set().union(*(graph.find_upstream_modules(root) for root in roots)) | roots
    # Importing a module runs the __init__ of every package around it.
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
    """Return a module's code without what no job can see."""
    path = Path(__file__).parents[1].joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.unparse(_Visible().visit(ast.parse(file.read_text(encoding="utf-8"))))


class _Visible(ast.NodeTransformer):
    """Takes out of a syntax tree what changes no result."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list) and not body:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop strings that stand by themselves: documentation."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Drop the options of a `Literal`."""
        is_literal = isinstance(node.value, ast.Name) and node.value.id == "Literal"
        return node.value if is_literal else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop keyword arguments that are words."""
        words = WORDS.get(node.func.id, set()) if isinstance(node.func, ast.Name) else set()
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in words]
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """Drop constants that are words."""
        return None if any(_holds_words(target) for target in node.targets) else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Drop constants that are words."""
        return None if _holds_words(node.target) else self.generic_visit(node)


def _holds_words(target: ast.expr) -> bool:
    """Tell whether a constant's name says that it holds columns' meanings."""
    return isinstance(target, ast.Name) and target.id.endswith("MEANINGS")
