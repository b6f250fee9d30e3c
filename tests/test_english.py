"""Plain English, as far as a machine can tell: docstrings' openings and sentences' lengths."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "benchmarks").glob("*.py"))
RULES = [ROOT / "Snakefile", ROOT / "workflow" / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
NO_OPENING = re.compile(
    r"\W*(As|At|Beside|But|By|For|From|How|If|In|Its|Of|On|Such|That|Those|To|What|When|Where|Whether|Which|Who|Whose"
    r"|With|Without)\b"
)
"""Words that are neither a verb nor a noun: a docstring that opens with one circles what it is about."""
MOST_WORDS = 25


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string that stands by itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        body = getattr(node, "body", None)
        for part in body if isinstance(body, list) else ():
            value = getattr(part, "value", None)
            if isinstance(part, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield part.lineno, value.value


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the first line and the text of every comment; lines of their own that follow each other are one."""
    start, lines = 0, []
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type != tokenize.COMMENT:
            continue
        text, stands_alone = token.string.lstrip("# "), not token.line[: token.start[1]].strip()
        if not stands_alone:
            yield token.start[0], text
        elif lines and token.start[0] == start + len(lines):
            lines.append(text)
        else:
            yield start, " ".join(lines)
            start, lines = token.start[0], [text]
    yield start, " ".join(lines)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text. Code in backticks counts as one word; a list's items are sentences."""
    text = re.sub(r"`[^`]*`", "Code", text)
    for paragraph in re.split(r"\n\s*\n|\n\s*(?=[-*] )|\n\s*\w[\w, ]*: ", text):
        yield from re.split(r"(?<=[.!?:;])\s+(?=[A-Z(“\"])|;\s", " ".join(paragraph.split()))


def words(sentence: str) -> int:
    """Count a sentence's words. The symbols of a formula are none."""
    return len(re.findall(r"[^\W\d_]{2,}", sentence))


def too_long(texts: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {line}: {words(sentence)} words: {sentence}"
        for line, text in texts
        for sentence in sentences(text)
        if words(sentence) > MOST_WORDS
    ]


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=name_of)
def test_a_docstring_opens_with_a_verb_or_a_noun(path: Path) -> None:
    assert [f"line {line}: {text}" for line, text in docstrings(path) if NO_OPENING.match(text)] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_sentences_of_docstrings_and_comments_have_at_most_25_words(path: Path) -> None:
    assert too_long(docstrings(path)) == []
    assert too_long(comments(path)) == []


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_sentences_in_rules_have_at_most_25_words(path: Path) -> None:
    found = re.findall(r"(?m)^((?:#.*\n)+)", path.read_text(encoding="utf-8"))
    assert too_long(enumerate(block.replace("#", "") for block in found)) == []


def test_the_check_sees_what_it_is_for() -> None:
    assert list(sentences("One. Two: three; four `a b c`.")) == ["One.", "Two: three", "four Code."]
    assert words("p = e / (e + n − 1), where n is a number") == 3
    assert len(too_long(iter([(1, "word " * 26)]))) == 1
    assert too_long(iter([(1, "word " * 25)])) == []
