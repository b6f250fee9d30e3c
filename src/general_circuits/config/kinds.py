"""Kinds of values in a config. Every number has a finite range, and every text a length and an alphabet."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MOST_STEPS, MOST_EXAMPLES, LARGEST_SEED = 10_000_000, 2**20, 2_000_000_000
"""Largest number of training steps, of examples, and largest seed. With the replicas after it, it fits 32 bits."""

ALPHABETS = {
    r"^[a-z][a-z0-9_]*$": "should have lower-case letters, digits and underscores, and begin with a letter",
    r"^[ -~]*$": "should have only letters, digits and signs of ASCII",
    r"^[A-Za-z0-9_.*?]+$": "should have only letters, digits, underscores, dots, * and ?",
}
"""Alphabets of texts, as patterns, with the words that refuse other texts."""
NAMES, ASCII, PATTERNS = ALPHABETS

SPELLED = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?inf|nan")
"""Pattern of a text that spells a number."""


class Settings(BaseModel):
    """Base of all settings: frozen, without unknown keys, silent conversions or NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def number(value: Any) -> Any:
    """Return text that spells a number as that number, and anything else as it is. YAML 1.1 reads 1e-3 as text."""
    if isinstance(value, str):
        return float(value) if SPELLED.fullmatch(value) else value
    # Python's whole numbers have no largest one, but floats have.
    return float("inf") if type(value) is int and abs(value) > 10**300 else value


Item = TypeVar("Item")


def each_once(items: list[Item]) -> list[Item]:
    """Return a list that names each item once; otherwise refuse it."""
    if any(item in items[:position] for position, item in enumerate(items)):
        raise PydanticCustomError("each_once", "should name each choice once")
    return items


def _without_repeats(name: str) -> str:
    """Return a name that does not repeat the same letters ten times. Snakemake takes such wildcards for a loop."""
    if re.search(r"(.+)\1{9}", name):
        raise PydanticCustomError("repeats", "should not repeat the same letters ten times")
    return name


Number = Annotated[float, BeforeValidator(number)]
# The order matters: a range after the conversion of text would be missing in the schema.
Count = Annotated[int, Field(ge=1, le=MOST_STEPS)]
Steps = Annotated[int, Field(ge=0, le=MOST_STEPS)]
Examples = Annotated[int, Field(ge=1, le=MOST_EXAMPLES)]
# Checkpoints, points of a curve, random draws and other repetitions of work.
Few = Annotated[int, Field(ge=1, le=10_000)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)] | Literal["replica"]
# Training diverges at some of these rates. Divergence is recorded, and is no error.
Rate = Annotated[float, Field(gt=0, le=1000), BeforeValidator(number)]
Decay = Annotated[float, Field(ge=0, le=1000), BeforeValidator(number)]
Probability = Annotated[float, Field(gt=0, le=1), BeforeValidator(number)]
Times = Annotated[float, Field(gt=0, le=1000), BeforeValidator(number)]
Strength = Annotated[float, Field(ge=0, le=1000), BeforeValidator(number)]
# Names become folders, wildcards of rules and Python identifiers. Names of files hold 255 bytes.
Name = Annotated[str, Field(pattern=NAMES, max_length=64), AfterValidator(_without_repeats)]
Text = Annotated[str, Field(pattern=ASCII, max_length=200)]
Pattern = Annotated[str, Field(pattern=PATTERNS, max_length=100)]
Choices = Annotated[list[Item], Field(min_length=1, max_length=20), AfterValidator(each_once)]
