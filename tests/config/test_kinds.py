"""Ranges and alphabets: what no study could run with is refused by its key, in the words of the user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from configs import faults, study

from general_circuits.config.errors import LONGEST

ROOT = Path(__file__).parents[2]


def branch(**settings: Any) -> dict[str, Any]:
    """Return a config whose condition `fast` is a branch with these settings."""
    return study(conditions={"grokking": {}, "fast": {"branch": {"from": "grokking", "at": "onset", **settings}}})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (study(first_seed=2**31 - 2), "first_seed = 2147483646: should be less than or equal to 2000000000"),
        (study(replicas=10**9), "replicas = 1000000000: should be less than or equal to 100"),
        (study(defaults={"learning_rate": 1e308}), "defaults.learning_rate = 1e+308: should be less than or equal to"),
        (study(defaults={"gradient_noise": 1e300}), "defaults.gradient_noise = 1e+300: should be less than or equal"),
        (study(defaults={"grokfast_lambda": 1e300}), "defaults.grokfast_lambda = 1e+300: should be less than or equal"),
        (study(defaults={"optimiser": "lbfgs", "learning_rate": 1e30, "batch_size": "full"}), "defaults.learning_rate"),
        (study(defaults={"steps": 10**12}), "defaults.steps = 1000000000000: should be less than or equal to 10000000"),
        (
            study(defaults={"steps": 10**7, "checkpoints": {"every": 9}, "metrics": {"every": 999}}),
            "defaults.checkpoints",
        ),
        (study(defaults={"split_seed": 2**40}), "defaults.split_seed = 1099511627776: should be less than or equal"),
        (study(defaults={"weight_decay": 10**400}), "defaults.weight_decay = inf: should be a finite number"),
        (study(defaults={"steps": 10**5000}), "defaults.steps = a number of thousands of digits: "),
        (study(study="s" * 300), "study = 'sssssss"),
        (
            study(study="ab" * 20),
            "study = 'abababababababababababababababababababab': should not repeat",
        ),
        (study(study="../../x"), "study = '../../x': should have lower-case letters, digits and underscores"),
        (study(conditions={"c" * 251: {}}), "conditions.ccccccc"),
        (study(conditions={"a\0": {}}), r"conditions.a\x00 = 'a\x00': should have lower-case letters"),
        (study(conditions={"a\n": {}}), r"conditions.a\n = 'a\n': should have lower-case letters"),
        (
            study(defaults={"decay_on": ["{wildcards.condition}"]}),
            "defaults.decay_on = '{wildcards.condition}'",
        ),
        (study(defaults={"decay_on": ["</script>*"]}), "defaults.decay_on = '</script>*': should have only letters"),
        (study(defaults={"modulus": "٣"}), "defaults.modulus = '٣': should be a whole number"),
        (study(defaults={"learning_rate": "٣"}), "defaults.learning_rate = '٣': should be a number"),
        (study(defaults={"until": "٣ generalised"}), "defaults.until = '٣ generalised': should have only"),
        (study(defaults={"expression": "٣*x"}), "defaults.expression = '٣*x': should have only letters, digits and"),
        (study(defaults={"expression": "x+y # sum"}), "defaults.expression = 'x+y # sum': has a comment; leave it out"),
        (
            study(measurements={"saliency": {"methods": ["shaply"]}}),
            "measurements.saliency.methods = 'shaply': did",
        ),
        (
            study(conditions={"a": {"measurements": ["salience"]}}),
            "conditions.a.measurements = 'salience': did you",
        ),
        (
            study(conditions={"a": {"measurements": "saliency"}}),
            "conditions.a.measurements = 'saliency': should be",
        ),
        (study(conditions={"a": 0}), "conditions.a = 0: should be a mapping of keys to values"),
        (study(conditions={"a": ""}), "conditions.a = '': should be a mapping of keys to values"),
        (study(defaults=""), "defaults = '': should be a mapping of keys to values"),
        (
            branch(change={"steps": "x1e400"}),
            "conditions.fast.branch.change.steps = 'x1e400': should be a",
        ),
        (branch(change={"steps": "x1e30"}), "conditions.fast.branch.change.steps = 59999"),
        (branch(change={"steps": "x٣"}), "conditions.fast.branch.change.steps = 'x٣': should be a whole number"),
        (branch(at="step ٣"), "conditions.fast.branch.at = 'step ٣': should have only letters"),
        (branch(change={"kick": -1}), "conditions.fast.branch.change.kick = -1: should be greater than or equal to 0"),
        (study(duels={"toy": {"frequencies": [10**9]}}), "duels.toy.frequencies = 1000000000: should be less than"),
        (study(duels={"planted": {"parts": [1, 1]}}), "duels.planted.parts = [1, 1]: should name each choice once"),
        (
            study(duels={"toy": {"rules": {"sgd": {"weight_decays": [0]}}}}),
            "duels.toy.rules.sgd.learning_rate: missing",
        ),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
)
def test_what_could_not_run_is_refused_by_its_key(config: dict[str, Any], message: str) -> None:
    (fault,) = faults(config)
    assert fault.startswith(message)
    assert len(fault) < 400


@pytest.mark.parametrize("wrong", [["grokking"], {"grokking": 1}, 3, None, True, [], [[]], "nobody", "fast"], ids=str)
@pytest.mark.parametrize("key", ["from", "at", "change", "for", "then"])
def test_a_branch_with_any_type_anywhere_is_refused(key: str, wrong: Any) -> None:
    config = branch(**{key: wrong})
    if (key, wrong) in [("for", 3), ("for", None)]:
        return
    assert all(fault.startswith("conditions.fast.branch") for fault in faults(config))


def test_branches_of_each_other_are_refused() -> None:
    conditions = {
        name: {"branch": {"from": other, "at": "onset", "change": {"steps": -1}}} for name, other in ("ab", "ba")
    }
    assert len(faults(study(conditions=conditions))) == 2


def test_a_long_value_is_cut() -> None:
    (fault,) = faults(study(device="x" * 1000))
    value = fault.removeprefix("device = ").removesuffix(": should be 'cpu' or 'cuda'")
    assert len(value) == LONGEST
    assert value.endswith("…")


def _unbounded(schema: Any, where: str = "") -> Iterator[str]:
    """Yield the places in a schema of a number without a range, a text without a length, a list without a length."""
    if isinstance(schema, list):
        for item in schema:
            yield from _unbounded(item, where)
        return
    if not isinstance(schema, dict):
        return
    needed = {
        "integer": ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}),
        "number": ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}),
        "string": ({"maxLength"}, {"pattern"}),
        "array": ({"maxItems"},),
    }
    kind = schema.get("type")
    bounds = needed.get(kind, ()) if isinstance(kind, str) and not {"enum", "const"} & schema.keys() else ()
    if not all(either & schema.keys() for either in bounds):
        yield f"{where}: {kind}"
    for key, part in schema.items():
        if key not in ("default", "description"):
            yield from _unbounded(part, f"{where}.{key}")


def test_the_schema_states_a_range_for_every_number_and_a_length_for_every_text_and_list() -> None:
    assert list(_unbounded(json.loads((ROOT / "workflow/schemas/study.schema.json").read_text()))) == []
