"""Reading of config files: what means something else than it looks like is refused by line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from general_circuits.config.errors import ConfigError
from general_circuits.config.read import DEEPEST, LARGEST, merged, parsed, read

ROOT = Path(__file__).parents[2]

REFUSED = {
    "a: 1\na: 2": "line 2: a: is written twice, first on line 1",
    "a:\n  b: {c: 1, d: 2, c: 1}": "line 2: a.b.c: is written twice",
    "'a': 1\na: 2": "line 2: a: is written twice",
    "conditions:\n  on: {}": "line 2: conditions.on: YAML can read this key as true or false",
    "{no: {}}": "no: YAML can read this key as true or false",
    "y: {}": "y: YAML can read this key as true or false",
    "Yes: {}": "Yes: YAML can read this key as true or false",
    "true: {}": "true: YAML can read this key as true or false",
    "1: {}": "1: YAML can read this key as a number",
    "1e3: {}": "1e3: YAML can read this key as a number",
    "1_0: {}": "1_0: YAML can read this key as a number",
    "1:30: {}": "1:30: YAML can read this key as a number",
    "null: {}": "null: YAML can read this key as nothing",
    "~: {}": "~: YAML can read this key as nothing",
    ": 1": "a key: YAML can read this key as nothing",
    "2026-01-01: {}": "2026-01-01: YAML can read this key as a date",
    "? [a]\n: 1": "a list or a mapping cannot be a key",
    "? {a: 1}\n: 1": "a list or a mapping cannot be a key",
    "from: on": "from = on: some YAML readers take this for true or false",
    "weights: no": "write true or false, or quotes around text",
    "a: 1:30": "a = 1:30: some YAML readers take this for a number",
    "a: 2026-01-01": "some YAML readers take this for a date",
    "function: 0110": "function = 0110: some YAML readers take a leading zero for an octal number",
    "a: 0o17": "some YAML readers take this for text",
    "a: [b, {c: off}]": "a.c = off: some YAML readers",
    "a: &x [*x]": "line 1: a: the alias stands for something that contains the alias itself",
    "&x a: &y {b: *y}": "a.b: the alias stands for something that contains the alias itself",
    "a: *x": "line 1: is no valid YAML: found undefined alias 'x'",
    "a: !!python/object/apply:os.system ['true']": "has the tag",
    "a: !!binary aGk=": "has the tag",
    "a: !mine 1": "has the tag '!mine'",
    "a: !!str 1": "has the tag 'str'",
    "!!int '1': a": "1: has a tag",
    "a: !!set {b}": "has the tag 'set'",
    "a: &x 1\nb: &x 2\nc: *x": "the anchor &x is written twice",
    "a:\n\tb: 1": "line 2: has a tab; indent with spaces",
    "\ufeffa: 1": "line 1: has a byte-order mark",
    "a: 1\nb: \x00": "line 2: has the control character U+0000",
    "a: 1\n---\nb: 2": "line 2: is no valid YAML: expected a single document",
    "%YAML 1.1\n---\na: 1": "line 1: begins with %",
    "a: " + "[" * 3000 + "]" * 3000: f"line 1: is nested more than {DEEPEST} levels deep",
    "a: " + "{b: " * 3000 + "1" + "}" * 3000: f"nested more than {DEEPEST} levels deep",
    "- " * 3000 + "a": f"nested more than {DEEPEST} levels deep",
    "a: " + "9" * 5000: "is no valid YAML",
    'study: "\\UFFFFFFFF"': "is no valid YAML",
    'study: "\\U00110000"': "is no valid YAML",
    "a: *" + "x" * 9_000: "line 1: is no valid YAML: ",
    "a: &{0} 1\nb: &{0} 2".format("x" * 9_000): "…",
    "{a: 1": "line 1: is no valid YAML",
    "a: b: c": "line 1: is no valid YAML",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text[:30]))
def test_yaml_that_means_something_else_than_it_looks_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed(text, "mine.yaml")
    assert REFUSED[text] in str(refused.value)
    assert str(refused.value).startswith("mine.yaml")
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1e-3", 1e-3),
        ("a: 5e-1", 0.5),
        ("a: x+y", "x+y"),
        ("a: x*y", "x*y"),
        ("a: x/y if y is odd else x-y", "x/y if y is odd else x-y"),
        ("a: y", "y"),
        ("a: [embed.W_E, blocks.*.mlp.*]", ["embed.W_E", "blocks.*.mlp.*"]),
        ("a: 'on'", "on"),
        ("a: '0110'", "0110"),
        ("a: true", True),
        ("a:", None),
        ("a: 1_000", 1000),
        ("a: x10", "x10"),
        ("a: ٣", "٣"),
        ("a: step 100", "step 100"),
    ],
)
def test_other_values_are_read_as_they_look(text: str, value: Any) -> None:
    read_value = parsed(text, "mine.yaml")["a"]
    assert read_value == value
    assert type(read_value) is type(value)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_configs_of_this_project_read_as_with_the_usual_reader(path: Path) -> None:
    assert read(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xff", "mine.yaml, line 2: the byte 0xff is no UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "mine.yaml, line 1: the byte 0xff is no UTF-8"),
        (b"", "mine.yaml: is empty"),
        (b"# nothing\n", "mine.yaml: is empty"),
        (b"hello", "mine.yaml: holds 'hello'; it should have keys with values"),
        (b"[1, 2]", "mine.yaml: holds [1, 2]"),
        (b"a: x\n" * LARGEST, "mine.yaml: is larger than 1,000,000 bytes"),
        (b"a: [" + b"1," * 100_000 + b"1]", "mine.yaml: has more than 45,000 keys and values"),
    ],
    ids=["latin", "utf16", "empty", "comment", "text", "list", "huge", "long"],
)
def test_files_that_hold_no_mapping_are_refused(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read(Path("mine.yaml"))
    assert message in str(refused.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read(path)


def test_equal_texts_are_read_once_and_refused_by_their_own_names() -> None:
    assert parsed("a: {b: 1}", "relative.yaml") is parsed("a: {b: 1}", "/absolute.yaml")
    for source in ("one.yaml", "two.yaml"):
        with pytest.raises(ConfigError, match=f"^{source}, line 1: is no valid YAML"):
            parsed("{a: 1", source)


def test_aliases_that_multiply_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    with pytest.raises(ConfigError, match="more than 200,000 values"):
        parsed("\n".join(lines), "mine.yaml")


def test_all_faults_are_listed_one_per_line() -> None:
    with pytest.raises(ConfigError) as refused:
        parsed("on: 1\na: 1\na: 2\nb: yes", "mine.yaml")
    assert [line.split(":")[0].strip() for line in str(refused.value).splitlines()[1:]] == [
        "line 1",
        "line 3",
        "line 4",
    ]


def test_files_and_changes_merge_key_by_key(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("study: one\ndefaults: {steps: 5, modulus: 7}\nconditions: {a: {}}")
    second.write_text("defaults: {steps: 6}")
    config = merged([first, second], ["study=two", "defaults={modulus: 11, learning_rate: 1e-3}"])
    defaults = {"steps": 6, "modulus": 11, "learning_rate": 1e-3}
    assert config == {"study": "two", "defaults": defaults, "conditions": {"a": {}}}


@pytest.mark.parametrize(
    ("later", "place"),
    [
        ("defaults:", "defaults"),
        ("conditions: {a: null}", "conditions.a"),
        ("defaults: {metrics: }", "defaults.metrics"),
    ],
)
def test_an_empty_value_removes_nothing_that_was_given_before(later: str, place: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("defaults: {steps: 5, metrics: {log: 3}}\nconditions: {a: {modulus: 7}, b: {}}\n")
    second.write_text(later)
    right = "is empty, and would remove what was given before; leave it out or fill it"
    with pytest.raises(ConfigError, match=f"^{second}: {place}: {right}$"):
        merged([first, second], [])
    key, _, value = later.partition(":")
    with pytest.raises(ConfigError, match=f"^--config: {place}: {right}$"):
        merged([first], [f"{key}={value.strip()}"])
    second.write_text("conditions: {b: null, c: null}")
    assert merged([first, second], [])["conditions"] == {"a": {"modulus": 7}, "b": None, "c": None}


def test_a_key_that_the_command_line_gives_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^--config replicas: is given twice; keep one$"):
        merged([], ["replicas=2", "study=a", "replicas=3"])


def test_whatever_the_yaml_library_raises_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("inside")

    monkeypatch.setattr(YAML, "compose", fail)
    with pytest.raises(ConfigError, match=r"^mine\.yaml: is no valid YAML: 'inside'$"):
        parsed("whatever: 1", "mine.yaml")


def test_of_many_faults_the_first_are_listed() -> None:
    with pytest.raises(ConfigError) as refused:
        parsed("a: 1\n" * 5_000, "mine.yaml")
    _, *lines = str(refused.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "  and 4,979 more"


@pytest.mark.parametrize("change", ["study", "study=on", "defaults={a: 1, a: 2}", "keep=\x00", "a=" + "[" * 3000])
def test_changes_on_the_command_line_are_read_as_strictly(change: str) -> None:
    with pytest.raises(ConfigError, match="--config "):
        merged([], [change])
