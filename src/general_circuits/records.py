"""The settings a stage works on: frozen records without defaults, which `config.py` fills in and passes on as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

Record = TypeVar("Record")


@dataclass(frozen=True)
class Modular:
    """Formulas in x and y modulo p; with several, example (x, y) has the one numbered x mod their number."""

    formulas: tuple[str, ...]
    modulus: int
    family: Literal["modular"] = "modular"


@dataclass(frozen=True)
class Group:
    """Composition in a group, by its name or its multiplication table."""

    operation: str
    group: str | tuple[tuple[int, ...], ...]
    family: Literal["groups"] = "groups"


@dataclass(frozen=True)
class Parity:
    """Parity of the first `relevant_bits` of `bits`, on so many random inputs."""

    bits: int
    relevant_bits: int
    examples: int
    family: Literal["bits"] = "bits"


@dataclass(frozen=True)
class Boolean:
    """A function of `bits`, by name or by its values for all inputs in order."""

    bits: int
    function: str
    family: Literal["bits"] = "bits"


@dataclass(frozen=True)
class Digits:
    """Images of handwritten digits."""

    family: Literal["digits"] = "digits"


Task = Modular | Group | Parity | Boolean | Digits
"""A table of examples; `family` is the file under `tasks/` that makes it."""


@dataclass(frozen=True)
class Split:
    """Which examples train, and which of their labels are replaced.

    `train_size` is a share of the examples, or a whole number of them.
    """

    train_size: float | int
    split_by: Literal["pair", "example"]
    split_seed: int | Literal["replica"]
    label_noise: float
    label_seed: int | Literal["replica"]


@dataclass(frozen=True)
class Model:
    """A network that reads the inputs of a task and answers with a class; what its architecture lacks is none, or 0.

    Attributes:
        inputs: a transformer reads `tokens`; an MLP reads each input as a vector.
        d_model: width of a transformer's residual stream, or of the embedding of each of an MLP's inputs.
        d_mlp: neurons per layer.
        biases: which linear maps have one: `mlp` are the layers of neurons, `blocks` attention too, `all` also the
            unembedding.
        outputs: a logit per class, or one number whose sign tells two classes apart.
    """

    architecture: Literal["transformer", "mlp"]
    inputs: Literal["tokens", "one_hot", "embedding", "ordinal"]
    n_layers: int
    d_model: int
    n_heads: int
    d_mlp: int
    activation: Literal["relu", "gelu", "quadratic"]
    normalisation: Literal["none", "pre", "post"]
    biases: Literal["none", "mlp", "blocks", "all"]
    positions: Literal["none", "learned", "sinusoidal"]
    initialisation: Literal["normal", "linear", "multihead", "mean_field", "fourier", "lookup_table"]
    outputs: Literal["classes", "sign"]

    def input_width(self, vocabulary: Vocabulary) -> int:
        """Numbers that an MLP's first layer reads."""
        each = {"one_hot": vocabulary.n_symbols, "embedding": self.d_model, "ordinal": 1}
        return vocabulary.n_inputs * each[self.inputs]


@dataclass(frozen=True)
class Optimiser:
    """How one step is taken."""

    optimiser: Literal["adamw", "adam", "sgd", "line_search", "lbfgs"]
    learning_rate: float
    warm_up: int
    weight_decay: float
    decay: Literal["decoupled", "coupled"]
    decay_on: Literal["all"] | tuple[str, ...]
    beta1: float
    beta2: float
    epsilon: float
    momentum: float
    gradient_noise: float
    grokfast_alpha: float
    grokfast_lambda: float
    batch_size: int | Literal["full"]
    loss: Literal["cross_entropy", "mean_squared_error", "hinge", "stablemax"]
    loss_precision: Literal["float32", "float64"]
    arithmetic: Literal["reduced", "plain"]

    def rate(self, step: int) -> float:
        """That of update `step` (from 0): a linear warm-up, then constant. Rules that search a line find their own."""
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warm_up))

    def decays(self, names: Iterable[str]) -> set[str]:
        """Those of a network's weights that `decay_on` names, "all" or shell-style patterns.

        In `blocks.*.mlp.*` the * also stands for dots.

        Raises:
            ValueError: where a pattern matches no weight.
        """
        weights = list(names)
        patterns = ("*",) if self.decay_on == "all" else self.decay_on
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in weights):
                had = ", ".join(weights)
                raise ValueError(f"decay_on = {pattern!r}: matches no weight of the network; it has {had}")
        return {name for name in weights if any(fnmatchcase(name, pattern) for pattern in patterns)}


@dataclass(frozen=True)
class Spacing:
    """Steps spaced evenly on both axes: `log` of them from 1 geometrically, and one `every` so many steps."""

    log: int
    every: int

    def steps(self, last: int) -> list[int]:
        """The ascending steps from 0 to `last`, both included."""
        geometric = {round(last ** (i / self.log)) for i in range(self.log)} if last else set()
        return sorted({0, last} | geometric | set(range(0, last, self.every)))


def chosen(steps: Sequence[int], how_many: int | None) -> list[int]:
    """So many of the steps, evenly by position, the first and the last among them; all of them for None."""
    if how_many is None or how_many >= len(steps):
        return list(steps)
    if how_many == 1:
        return [steps[-1]]
    return [steps[round(i * (len(steps) - 1) / (how_many - 1))] for i in range(how_many)]


@dataclass(frozen=True)
class Vocabulary:
    """What a network reads and answers: so many inputs, each one of so many symbols, and one of so many classes."""

    n_inputs: int
    n_symbols: int
    n_classes: int


STATE_EVERY = 500
"""Steps between two states of training. Fixed, so that they do not depend on when a run was killed."""


@dataclass(frozen=True)
class Schedule:
    """How long training lasts, and when it is looked at."""

    steps: int
    checkpoints: Spacing
    metrics: Spacing


@dataclass(frozen=True)
class Condition:
    """One complete setting of an experiment."""

    task: Task
    split: Split
    model: Model
    optimiser: Optimiser
    schedule: Schedule


EVENTS = ("memorised", "validation_loss_peak", "onset", "generalised")
"""What is looked for in a run, by name."""
STEP = re.compile(r"step (\d+)")
"""A place in a run that is no event."""


@dataclass(frozen=True)
class Intervention:
    """What a branch does to training that no setting says.

    Attributes:
        kick: once, at the start: every weight tensor moves in a random direction by this share of its norm; or the name
            of another branch, whose lowest training accuracy the kick shall cause.
        mask: share of each matrix's numbers, the smallest, that are 0 from the start on.
        temperature: that the loss divides logits by.
        ignore_above: examples whose label has this probability or more have no part in the loss.
        noise_instead: Gaussian noise in place of the gradient, of mean size so many times each tensor's mean size: as
            much as a decay of that size takes. 0 is no gradient at all.
        batch_noise: Gaussian noise beside the gradient, of each tensor as large as what batches of so many examples
            differ by from the whole.
    """

    kick: float | str
    mask: float
    temperature: float
    ignore_above: float | None
    noise_instead: float | None
    batch_noise: int | None


@dataclass(frozen=True)
class Branch:
    """Where a condition leaves another one, which it continues, and how it differs from there.

    Attributes:
        parent: the other one, complete.
        at: an event of it, or "step 1000".
        lasts: steps after which settings are the parent's again; None for never.
        then: at once, or, of learning rate and weight decay, by and by over as many steps again; or training ends.
        intervention: beside the settings that differ.
    """

    parent: Condition
    at: str
    lasts: int | None
    then: Literal["back", "anneal", "stop"]
    intervention: Intervention

    def last(self, start: int) -> int | None:
        """The step at which a branch ends that left its parent at this one, if not at its schedule's end."""
        return start + self.lasts if self.then == "stop" and self.lasts is not None else None


@cache
def to_json(record: Any) -> str:
    """The record as JSON with sorted keys, so that equal settings are equal bytes."""
    return json.dumps(record, sort_keys=True, default=vars)


def from_json(kind: type[Record], text: str) -> Record:
    """The record of this `kind` that `to_json` wrote."""
    return TypeAdapter(kind).validate_json(text)
