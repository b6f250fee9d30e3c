"""Typed models of a condition's settings, with their defaults."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from general_circuits.config.kinds import (
    ASCII,
    MOST_EXAMPLES,
    MOST_STEPS,
    Decay,
    Few,
    Number,
    Pattern,
    Rate,
    Seed,
    Settings,
    Steps,
    Strength,
    Text,
    Times,
)
from general_circuits.models.compatibility import why_not_reduced
from general_circuits.models.presets import PRESETS
from general_circuits.models.settings import Model
from general_circuits.tasks import registry
from general_circuits.tasks.settings import Split
from general_circuits.training.schedule import Schedule, Spacing
from general_circuits.training.settings import Condition, Optimiser

LINE_SEARCHING = ("line_search", "lbfgs")
"""Update rules that search for their step size: they evaluate the loss several times in a step."""


class SpacingSettings(Settings):
    """Steps of two spacings together: evenly on a log axis, and evenly on a linear axis. Step 0 and the last step are
    always included.
    """

    log: Few = Field(10, description="number of steps that are evenly spaced on a log axis")
    every: int = Field(
        250, ge=1, le=MOST_STEPS, description="distance between steps that are evenly spaced on a linear axis"
    )


Row = Annotated[list[Annotated[int, Field(ge=0, lt=64)]], Field(max_length=64)]
"""Row of a group's multiplication table."""


class TaskSettings(Settings):
    """Task that the network learns: a table of examples. docs/tasks.md lists all tasks."""

    operation: Text | Annotated[list[Text], Field(min_length=1, max_length=64)] = Field(
        "x+y",
        description="name of the operation: arithmetic modulo `modulus`, composition in `group`, or"
        " `sparse_parity`, `boolean` or `digits`. In a list of q operations, example (x, y) has the"
        " operation numbered x mod q",
    )
    expression: Text | Annotated[list[Text], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="your own formula in x and y modulo `modulus`, or a list of formulas; it replaces `operation`",
    )
    modulus: int = Field(
        59, ge=2, le=1024, description="p. Operands run from 0 to p − 1. It must be prime if the formula has a /"
    )
    group: Text | Annotated[list[Row], Field(min_length=2, max_length=64)] | None = Field(
        None,
        description="group for x*y, x*y*x^-1 and x*y*x: a name such as S5, D7 or C12, or a multiplication"
        " table, row by row",
    )
    bits: int = Field(40, ge=1, le=128, description="number of inputs of `sparse_parity` and `boolean`")
    relevant_bits: int = Field(
        3,
        ge=1,
        le=128,
        description="for `sparse_parity`: number of bits that decide the answer, counted from the first",
    )
    examples: int = Field(
        2000, ge=2, le=50_000, description="for `sparse_parity`: number of random inputs, both splits together"
    )
    function: Annotated[str, Field(pattern=ASCII, max_length=4096)] | None = Field(
        None,
        description="for `boolean`: and, or, parity or majority; or the function's values for all inputs, such as"
        " '0110'",
    )


class SplitSettings(Settings):
    """Split of the examples into training and validation.

    Equal settings with equal seeds give equal splits. With the same seed, a smaller fraction gives a subset.
    """

    train_fraction: Number = Field(0.6, gt=0, lt=1, description="share of the examples that the network trains on")
    train_count: int | None = Field(
        None, ge=1, le=MOST_EXAMPLES, description="number of training examples; it replaces `train_fraction`"
    )
    split_by: Literal["pair", "example"] = Field(
        "pair", description="`pair` keeps (a, b) and (b, a) in the same split; `example` draws each example by itself"
    )
    split_seed: Seed = Field(
        "replica",
        description="seed of the split. `replica` gives every replica its own split; a number gives all"
        " replicas the same split",
    )
    label_noise: Number = Field(
        0.0,
        ge=0,
        le=1,
        description="ξ, the share of training examples whose label is random; 1 makes all training labels random",
    )
    label_noise_by: Literal["example", "pair", "latin_square"] = Field(
        "example",
        description="way to draw random labels. `example` draws one for every training example. `pair` draws one for"
        " both (a, b) and (b, a); ξ is then a share of the pairs. `latin_square` takes all training labels"
        " from a random commutative Latin square, and needs `label_noise: 1`. There (a, b) and (b, a) have"
        " the same label. Each row and column of the whole table has each answer once, as in addition",
    )
    label_seed: Seed = Field(
        "replica",
        description="seed of the random labels. `replica` draws them for every replica; a number gives all"
        " replicas the same draw",
    )


class ModelSettings(Settings):
    """Network that reads the inputs and answers with a class. docs/networks.md lists the presets."""

    preset: Literal["power", "nanda", "pre_norm", "quadratic_mlp", "parity_mlp", "mlp"] = Field(
        "nanda",
        description="named network. It sets the architecture, and every key of this section that is not given. A"
        " condition can name its own preset. Then keys in `defaults` that belong to another"
        " architecture do not apply to it",
    )
    inputs: Literal["tokens", "one_hot", "embedding", "ordinal"] | None = Field(
        None,
        description="form of the inputs. A transformer reads `tokens`. An MLP reads each input in one of three forms."
        " `one_hot` is a one-hot vector; `embedding` is a vector of an embedding that all inputs share;"
        " `ordinal` is one number from −1 to 1",
    )
    n_layers: int | None = Field(
        None, ge=1, le=12, description="number of transformer blocks, or of an MLP's hidden layers"
    )
    d_model: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="width of the residual stream, or of an MLP's embedding with `inputs: embedding`",
    )
    n_heads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="for transformers: number of attention heads per block; it must divide `d_model`",
    )
    d_mlp: int | None = Field(None, ge=2, le=65_536, description="neurons per layer")
    activation: Literal["relu", "gelu", "quadratic"] | None = Field(
        None, description="activation function of the neurons"
    )
    normalisation: Literal["none", "pre", "post"] | None = Field(
        None,
        description="for transformers: place of layer norm. `pre` has one before each attention and each MLP, and a"
        " final one; `post` has one after each residual sum",
    )
    biases: Literal["none", "mlp", "blocks", "all"] | None = Field(
        None,
        description="linear maps that have a bias. `mlp` gives biases to the MLPs. `blocks` gives them to attention"
        " too. `all` gives one to the unembedding too",
    )
    positions: Literal["learned", "sinusoidal"] | None = Field(
        None, description="for transformers: kind of position embeddings"
    )
    initialisation: Literal["normal", "linear", "multihead", "mean_field", "fourier", "lookup_table"] | None = Field(
        None,
        description="starting weights. `normal` has standard deviation 1/√d_model and zero biases; `linear` is as"
        " torch's `nn.Linear` and `nn.Embedding`; `multihead` is the same, but attention is as"
        " `nn.MultiheadAttention`; `mean_field`, for MLPs, is normal with standard deviation"
        " (16 d_mlp)^(−1/3). Two networks are built by hand: `fourier` adds, and `lookup_table` knows its"
        " training examples",
    )
    perturbation: Number = Field(
        0.0,
        ge=0,
        le=1e-2,
        description="ε, the size of a small random move of the starting weights: each weight w becomes w (1 + ε z),"
        " with z normal. Two runs that differ in this alone show how far chaos drives training apart. In float32 the"
        " next number is 6e-8 to 1.2e-7 of a number's size away. So 1e-7 leaves one weight in three as it is,"
        " and moves nearly all others by one to three such steps",
    )
    outputs: Literal["classes", "sign"] | None = Field(
        None,
        description="form of the answer. `classes` has one logit per class. `sign` is for MLPs on two classes: one"
        " number, whose sign is the answer",
    )


class OptimiserSettings(Settings):
    """Optimiser: the rule of one training step."""

    optimiser: Literal["adamw", "adam", "sgd", "line_search", "lbfgs"] = Field(
        "adamw", description="update rule; `line_search` and `lbfgs` need `batch_size: full`"
    )
    learning_rate: Rate = Field(
        1e-3,
        description="constant learning rate after warm-up. `line_search` tries it as the first step size of"
        " training. `lbfgs` tries it first in every step; 1 is usual there",
    )
    warm_up: Steps = Field(10, description="steps of linear warm-up; `line_search` and `lbfgs` never warm up")
    weight_decay: Decay = Field(
        1.0,
        description="decay of the weights in `decay_on`. If it is decoupled, a step removes this share of them:"
        " learning rate × this number",
    )
    decay: Literal["decoupled", "coupled"] | None = Field(
        None,
        description="`decoupled` decay acts beside the gradient, `coupled` decay inside it. By default it is"
        " decoupled for adamw and coupled for all other rules",
    )
    decay_on: Literal["all"] | Annotated[list[Pattern], Field(min_length=1, max_length=100)] = Field(
        "all",
        description="weights that decay: `all`, or patterns of their names, such as `[embed.W_E,"
        " blocks.*.mlp.*]`. A pattern that matches no weight is refused",
    )
    beta1: Number = Field(0.9, ge=0, lt=1, description="Adam's memory of the gradient")
    beta2: Number = Field(0.98, ge=0, lt=1, description="Adam's memory of the squared gradient")
    epsilon: Number = Field(1e-8, gt=0, le=1, description="Adam's ε")
    momentum: Number = Field(0.0, ge=0, lt=1, description="momentum of sgd")
    gradient_noise: Strength = Field(
        0.0,
        description="standard deviation of the Gaussian noise that every step adds to each coordinate of the gradient",
    )
    grokfast_alpha: Number = Field(0.98, ge=0, lt=1, description="Grokfast's memory of the gradient (Lee et al. 2024)")
    grokfast_lambda: Strength = Field(
        0.0, description="factor with which Grokfast adds the remembered gradient; 0 adds nothing"
    )
    batch_size: Annotated[int, Field(ge=1, le=MOST_EXAMPLES)] | Literal["full"] = Field(
        512, description="examples per step, or `full`"
    )
    loss: Literal["cross_entropy", "mean_squared_error", "hinge", "stablemax"] | None = Field(
        None, description="loss that training minimises; by default the preset's loss"
    )
    loss_precision: Literal["float32", "float64"] = Field(
        "float32", description="precision of the logits in the training loss"
    )
    arithmetic: Literal["reduced", "plain"] | None = Field(
        None,
        description="way to compute gradients. `reduced` leaves out activations that cannot reach the answer. `plain`"
        " runs the whole network. Both give the same gradients, up to rounding. The default is"
        " `reduced` for transformers over two operands. All other networks need `plain`",
    )


OWN_END = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,9})?) generalised")


def _times(until: float | str) -> float:
    """Return the multiple of t_g in `until`; 0 if it names none."""
    if not isinstance(until, str):
        return until
    own = OWN_END.fullmatch(until)
    return float(own[1]) if own else 0.0


def _end(until: float | str | None) -> float | str | None:
    """Return `until` if it names an end of training; otherwise refuse it."""
    if until is None:
        return None
    # A replica's own t_g is known only when it has come, so its end cannot be earlier.
    if isinstance(until, str) and not 1 <= _times(until) <= 1000:
        raise PydanticCustomError("end", "should be a number above 0, or as in '1.5 generalised' with 1 to 1000")
    return until


class ScheduleSettings(Settings):
    """Length of training, and the steps at which it is recorded."""

    steps: Steps = Field(6000, description="number of updates; with 0, the starting weights are measured")
    until: Annotated[Times | Text | None, AfterValidator(_end)] = Field(
        None,
        description="training ends earlier. With a number such as `1.5`, it ends at so many times t_g of grokking's"
        " replica with the same number. This saves time in controls, which claims read up to 1.5 t_g. With"
        " `1.5 generalised`, each replica ends at so many times its own t_g. A branch does not inherit this key",
    )
    checkpoints: SpacingSettings = Field(
        SpacingSettings(log=10, every=250), description="steps at which weights are kept"
    )
    metrics: SpacingSettings = Field(
        SpacingSettings(log=30, every=50), description="steps at which all examples of both splits are evaluated"
    )


class ConditionSettings(TaskSettings, SplitSettings, ModelSettings, OptimiserSettings, ScheduleSettings):
    """All settings of one condition."""

    def resolve(self) -> Condition:
        """Return the condition as the frozen record that stages read, with presets and all defaults filled in.

        Raises:
            tasks.registry.TaskError: the settings describe no task.
        """
        values = self.model_dump()
        preset = asdict(PRESETS[self.preset].model)
        values |= {key: preset[key] for key in preset if values.get(key) is None}
        if values["inputs"] not in ("tokens", "embedding") and self.d_model is None:
            values["d_model"] = 0  # no part of the network has this width
        if values["decay"] is None:
            values["decay"] = "decoupled" if self.optimiser == "adamw" else "coupled"
        if values["decay_on"] != "all":
            values["decay_on"] = tuple(values["decay_on"])
        if self.optimiser in LINE_SEARCHING:
            values["warm_up"] = 0
        values["loss"] = values["loss"] or PRESETS[self.preset].loss
        # A fraction stays a float and a count an int: their type tells the two apart in `Split`.
        values["train_size"] = float(self.train_fraction) if self.train_count is None else self.train_count

        def part(kind: Any) -> Any:
            """Return a frozen record of this kind, which takes the settings of its own fields."""
            return kind(**{key: values[key] for key in kind.__dataclass_fields__})

        model = part(Model)
        task = registry.resolve(self)
        if values["arithmetic"] is None:
            values["arithmetic"] = "plain" if why_not_reduced(model, registry.n_inputs(task)) else "reduced"
        schedule = Schedule(
            steps=self.steps,
            checkpoints=Spacing(**values["checkpoints"]),
            metrics=Spacing(**values["metrics"]),
            until=None if self.until is None else _times(self.until),
            whose="own" if isinstance(self.until, str) else "partner",
        )
        return Condition(task, part(Split), model, self.perturbation, part(Optimiser), schedule)


SECTIONS = (TaskSettings, SplitSettings, ModelSettings, OptimiserSettings, ScheduleSettings)
"""Parts of a condition's settings, in the order of their documentation."""
