"""Reading of config files: YAML in which everything means what it looks like. All else is refused, by line and key."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from general_circuits.config.errors import ConfigError, cut, dotted, listed

LARGEST, DEEPEST, LONGEST, MOST = 1_000_000, 20, 45_000, 200_000
"""Limits of a file: bytes, levels of nesting, commas and colons, and values once every alias is written out.

A sweep of 10,000 conditions is within them.
"""

CONTROL = re.compile(r"[^\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""Letters that cannot be seen. Tabs are among them, since YAML forbids them in some places."""

PLAIN_KINDS = ("str", "int", "float", "bool", "null")
"""Kinds of values without quotes. Others, such as dates, mean nothing in a config."""


def read(path: Path) -> dict[str, Any]:
    """Return the mapping in a config file.

    Raises:
        ConfigError: the file cannot be read, is no mapping, or has YAML that other programs read differently. The
            message names the file, and for every fault its line and key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ConfigError(f"{path}: is larger than {LARGEST:,} bytes, the largest config that is read")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"the byte {content[error.start]:#04x} is no UTF-8; save the file as UTF-8"
        raise ConfigError(f"{path}, line {line}: {wrong}") from None
    value = parsed(text, str(path))
    if not isinstance(value, dict):
        found = "is empty" if value is None else f"holds {cut(value)}"
        raise ConfigError(f"{path}: {found}; it should have keys with values, such as study: mine")
    return value


def parsed(text: str, source: str) -> Any:
    """Return the value that a YAML text describes. Nobody may change it, since equal texts share it.

    Args:
        text: one YAML document.
        source: its place in the words of messages, such as the name of a file.

    Raises:
        ConfigError: as for `read`.
    """
    try:
        return _parsed(text)
    except ConfigError as error:
        raise ConfigError(f"{source}{error}") from None


@cache
def _parsed(text: str) -> Any:
    """Return the value that a YAML text describes. Messages lack the source, with which they begin."""
    text = text.replace("\r\n", "\n")
    if unseen := CONTROL.search(text):
        line = text.count("\n", 0, unseen.start()) + 1
        names = {"\t": "a tab; indent with spaces", "\ufeff": "a byte-order mark; save the file without one"}
        named = names.get(unseen[0], f"the control character U+{ord(unseen[0]):04X}; remove it")
        raise ConfigError(f", line {line}: has {named}")
    if text.count(",") + text.count(":") > LONGEST:
        raise ConfigError(f": has more than {LONGEST:,} keys and values, the longest config that is read")
    if directive := re.search("^%", text, re.MULTILINE):
        line = text.count("\n", 0, directive.start()) + 1
        raise ConfigError(f", line {line}: begins with %; configs are YAML 1.2 without directives")
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = DEEPEST
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ReusedAnchorWarning)
            node = yaml.compose(text)
        if node is None:
            return None
        if faults := [f"line {line}: {fault}" for line, fault in _faults(node, (), (), set())]:
            raise ConfigError(listed(faults, " cannot be used:"))
        if _size(node, {}) > MOST:
            raise ConfigError(f": has more than {MOST:,} values once its aliases are written out")
        return yaml.constructor.construct_document(node)
    except ReusedAnchorWarning as error:
        anchor = re.search("anchor '(.*)'", str(error))
        raise ConfigError(
            f": the anchor &{cut(anchor[1], quoted=False) if anchor else ''} is written twice; rename one"
        ) from None
    except MaxDepthExceededError as error:
        line = error.problem_mark.line + 1
        raise ConfigError(f", line {line}: is nested more than {DEEPEST} levels deep") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        wrong = textwrap.shorten(" ".join(str(part) for part in (error.context, error.problem) if part), 200)
        raise ConfigError(f"{where}: is no valid YAML: {wrong}") from None
    except ConfigError:
        raise
    except Exception as error:  # the library ends with errors of many kinds, such as OverflowError for "\\UFFFFFFFF"
        raise ConfigError(f": is no valid YAML: {cut(str(error))}") from None


def _faults(node: Node, path: tuple[str, ...], around: tuple[int, ...], known: set[int]) -> Iterator[tuple[int, str]]:
    """Yield line and reason of everything below a node that does not mean what it looks like.

    Args:
        node: a node of the document.
        path: keys that lead to it.
        around: identities of the nodes that it stands in.
        known: identities of nodes that were seen before, and that an alias repeats; this one is added.
    """
    line, here = node.start_mark.line + 1, ".".join(path) or "the config"
    if id(node) in around:
        yield line, f"{here}: the alias stands for something that contains the alias itself"
    if id(node) in known:
        return
    known.add(id(node))
    kind = str(node.tag).rsplit(":", 1)[-1]
    untagged = _kinds(node)[0] if isinstance(node, ScalarNode) else "map" if isinstance(node, MappingNode) else "seq"
    if kind != untagged:
        yield line, f"{here}: has the tag {cut(kind)}; a config has no tags"
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _faults(item, path, (*around, id(node)), known)
    elif isinstance(node, MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            if fault := _key_fault(key):
                yield key.start_mark.line + 1, f"{'.'.join((*path, fault))}"
                continue
            if key.value in seen:
                name, first = ".".join((*path, cut(key.value, quoted=False))), seen[key.value]
                yield key.start_mark.line + 1, f"{name}: is written twice, first on line {first}; keep one"
            seen.setdefault(key.value, key.start_mark.line + 1)
            yield from _faults(value, (*path, cut(key.value, quoted=False)), (*around, id(node)), known)
    elif isinstance(node, ScalarNode) and (fault := _plain_fault(node)):
        yield line, f"{here} = {cut(node.value, quoted=False)}: {fault}"


def _key_fault(key: Node) -> str | None:
    """Return a key and why it cannot be one; `None` if it can."""
    if not isinstance(key, ScalarNode):
        return "a list or a mapping cannot be a key"
    kinds = _kinds(key)
    if kinds[0] != str(key.tag).rsplit(":", 1)[-1]:
        return f"{cut(key.value, quoted=False)}: has a tag; a config has no tags"
    if key.style is None and key.value != "<<" and kinds != ("str", "str"):
        kind = next(kind for kind in kinds if kind != "str")
        name = cut(key.value, quoted=False) or "a key"
        return f"{name}: YAML can read this key as {_in_words(kind)}; choose another name"
    return None


def _plain_fault(node: ScalarNode) -> str | None:
    """Return why a value without quotes may be read as something else; `None` if it may not."""
    # Few readers take y and n for booleans, and both are formulas.
    if node.style is not None or node.value in ("y", "n", "Y", "N"):
        return None
    new, old = _kinds(node)
    if re.fullmatch(r"[-+]?0[0-9_]+", node.value):
        return "some YAML readers take a leading zero for an octal number; leave it out, or write quotes around text"
    if new not in PLAIN_KINDS or new != old:
        right = "write true or false, or quotes around text" if old == "bool" else "write quotes around text"
        return f"some YAML readers take this for {_in_words(old)}; {right}"
    return None


def _in_words(kind: str) -> str:
    """Return a kind of value as a user calls it."""
    words = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing", "timestamp": "a date"}
    return words.get(kind, "text" if kind == "str" else "something else")


def _kinds(node: ScalarNode) -> tuple[str, str]:
    """Return the kinds of value that YAML 1.2 and YAML 1.1 read a text without quotes as."""
    return ("str", "str") if node.style is not None else _kinds_of(node.value)


@cache
def _kinds_of(text: str) -> tuple[str, str]:
    new, old = (
        str(_resolver(version).resolve(ScalarNode, text, (True, False))).rsplit(":", 1)[-1]
        for version in ((1, 2), (1, 1))
    )
    return new, old


@cache
def _resolver(version: tuple[int, int]) -> Any:
    """Return the part of a reader of this version of YAML that tells kinds of values apart."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.resolver


def _size(node: Node, known: dict[int, int]) -> int:
    """Return the number of values in a node without a loop, counting every use of an alias."""
    if id(node) not in known:
        parts = node.value if isinstance(node, SequenceNode) else []
        parts = [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else parts
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def merged(files: Sequence[Path], changes: Sequence[str]) -> dict[str, Any]:
    """Return the config of several files, later ones first, with changes from the command line.

    Args:
        files: config files. Mappings of a later file are merged into those of an earlier one, which nothing removes.
        changes: texts `key=value`, as for Snakemake's option `--config`; a value is YAML.

    Raises:
        ConfigError: as for `read`, or a change is no `key=value`, a key has two changes, or an empty value would remove
            a mapping.
    """
    config: dict[str, Any] = {}
    for file in files:
        config = _merged(config, read(file), (str(file),))
    given: set[str] = set()
    for change in changes:
        key, equals, value = change.partition("=")
        here = f"--config {cut(key, quoted=False)}"
        if not equals:
            raise ConfigError(f"{here}: should be key=value")
        if key in given:
            raise ConfigError(f"{here}: is given twice; keep one")
        given.add(key)
        config = _merged(config, {key: parsed(value, here)}, ("--config",))
    return config


def _merged(earlier: Any, later: Any, path: tuple[str, ...]) -> Any:
    """Return `later` with the keys of `earlier` that it does not have, also inside mappings.

    Args:
        earlier, later: two values of the same key.
        path: the source of the later one, and keys that lead to it.
    """
    if earlier and isinstance(earlier, dict) and later is None:
        where = dotted(*path[1:])
        raise ConfigError(
            f"{path[0]}: {where}: is empty, and would remove what was given before; leave it out or fill it"
        )
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        return later
    return {**earlier, **{key: _merged(earlier.get(key), value, (*path, key)) for key, value in later.items()}}
