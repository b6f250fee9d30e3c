"""The settings of a condition as typed models, with their defaults; `config` has the study that they are part of."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from general_circuits.models.compatibility import why_not_reduced
from general_circuits.models.presets import PRESETS
from general_circuits.models.settings import Model
from general_circuits.tasks import registry
from general_circuits.tasks.settings import Split
from general_circuits.training.schedule import Schedule, Spacing
from general_circuits.training.settings import Condition, Optimiser

LINE_SEARCHING = ("line_search", "lbfgs")
"""Update rules that evaluate the loss several times in a step, and find their step size by it."""


def _number(value: Any) -> Any:
    """YAML reads 1e-3 as text; the user meant the number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)] | Literal["replica"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Settings(BaseModel):
    """No unknown keys, no silent conversion, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SpacingSettings(Settings):
    """Steps spaced evenly on both axes. The first and the last step always belong."""

    log: int = Field(10, ge=1, description="number of steps that are evenly spaced on a log axis")
    every: int = Field(250, ge=1, description="distance between steps that are evenly spaced on a linear axis")


class TaskSettings(Settings):
    """What is to be learned: a table of examples. docs/tasks.md lists them."""

    operation: str | list[str] = Field(
        "x+y",
        description="name of the operation: arithmetic modulo `modulus`, composition in `group`, or"
        " `sparse_parity`, `boolean` or `digits`. In a list of q operations, example (x, y) has the"
        " operation numbered x mod q",
    )
    expression: str | list[str] | None = Field(
        None,
        description="your own formula in x and y modulo `modulus`, or a list of formulas; it takes the place of"
        " `operation`",
    )
    modulus: int = Field(
        59, ge=2, le=1024, description="p. Operands run from 0 to p − 1. It must be prime if the formula has a /"
    )
    group: str | list[list[int]] | None = Field(
        None,
        description="group for x*y, x*y*x^-1 and x*y*x: a name such as S5, D7 or C12, or a multiplication"
        " table, row by row",
    )
    bits: int = Field(40, ge=1, le=256, description="number of inputs of `sparse_parity` and `boolean`")
    relevant_bits: int = Field(
        3, ge=1, description="for `sparse_parity`: number of bits that decide the answer, counted from the first"
    )
    examples: int = Field(
        2000, ge=2, le=100_000, description="for `sparse_parity`: number of random inputs, both splits together"
    )
    function: str | None = Field(
        None, description="for `boolean`: and, or, parity or majority; or its values for all inputs, such as '0110'"
    )


class SplitSettings(Settings):
    """Which examples train. Equal settings with equal seeds are equal splits; a smaller fraction is a subset."""

    train_fraction: Number = Field(0.6, gt=0, lt=1, description="share of the examples that the network trains on")
    train_count: int | None = Field(
        None, ge=1, description="number of training examples; it takes the place of `train_fraction`"
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
        description="ξ, the share of training examples whose label is random; 1 makes all labels random",
    )
    label_seed: Seed = Field(
        "replica",
        description="seed of the random labels. `replica` draws them for every replica; a number gives all"
        " replicas the same draw",
    )


class ModelSettings(Settings):
    """A network that reads the inputs and answers with a class; docs/networks.md lists those with a name."""

    preset: Literal["power", "nanda", "pre_norm", "quadratic_mlp", "parity_mlp", "mlp"] = Field(
        "nanda",
        description="the architecture, and the values of all keys in this section that are not given. A"
        " condition can name its own preset. Then keys in `defaults` that belong to another"
        " architecture do not apply to it",
    )
    inputs: Literal["tokens", "one_hot", "embedding", "ordinal"] | None = Field(
        None,
        description="what the network reads. A transformer reads `tokens`. An MLP reads each input as a one-hot"
        " vector, as an embedding that all inputs share, or as one number from −1 to 1 (`ordinal`)",
    )
    n_layers: int | None = Field(
        None, ge=1, le=12, description="number of transformer blocks, or of an MLP's hidden layers"
    )
    d_model: int | None = Field(
        None, ge=1, description="width of the residual stream, or of an MLP's embedding with `inputs: embedding`"
    )
    n_heads: int | None = Field(
        None, ge=1, description="for transformers: attention heads per block; must divide `d_model`"
    )
    d_mlp: int | None = Field(None, ge=2, description="neurons per layer")
    activation: Literal["relu", "gelu", "quadratic"] | None = Field(
        None, description="activation function of the neurons"
    )
    normalisation: Literal["none", "pre", "post"] | None = Field(
        None,
        description="for transformers: layer norm. `pre` has one before each attention and each MLP, and a"
        " final one. `post` has one after each residual sum",
    )
    biases: Literal["none", "mlp", "blocks", "all"] | None = Field(
        None,
        description="linear maps that have a bias. `mlp`: those of the neurons. `blocks`: those of attention"
        " too. `all`: the unembedding too",
    )
    positions: Literal["learned", "sinusoidal"] | None = Field(
        None, description="for transformers: kind of position embeddings"
    )
    initialisation: Literal["normal", "linear", "multihead", "mean_field", "fourier", "lookup_table"] | None = Field(
        None,
        description="starting weights. `normal`: standard deviation 1/√d_model, biases zero. `linear`: as"
        " torch's `nn.Linear` and `nn.Embedding`. `multihead`: the same, but attention as"
        " `nn.MultiheadAttention`. `mean_field`, for MLPs: normal with standard deviation (16"
        " d_mlp)^(−1/3). Two are built by hand: `fourier` adds, and `lookup_table` knows its"
        " training examples",
    )
    outputs: Literal["classes", "sign"] | None = Field(
        None,
        description="`classes`: one logit per class. `sign`, for MLPs: one number, whose sign tells two classes apart",
    )


class OptimiserSettings(Settings):
    """How one step is taken."""

    optimiser: Literal["adamw", "adam", "sgd", "line_search", "lbfgs"] = Field(
        "adamw", description="update rule; `line_search` and `lbfgs` need `batch_size: full`"
    )
    learning_rate: Number = Field(
        1e-3,
        gt=0,
        description="learning rate after warm-up, constant. `line_search` uses it as the first step size that"
        " it tries. `lbfgs` tries it first in every step, where 1 is usual",
    )
    warm_up: int = Field(10, ge=0, description="steps of linear warm-up; `line_search` and `lbfgs` always have none")
    weight_decay: Number = Field(
        1.0,
        ge=0,
        description="decay of the weights in `decay_on`; if it is decoupled, a step removes learning rate ×"
        " this number",
    )
    decay: Literal["decoupled", "coupled"] | None = Field(
        None,
        description="`decoupled` decay acts beside the gradient, `coupled` decay inside it. By default it is"
        " decoupled for adamw and coupled for all other rules",
    )
    decay_on: Literal["all"] | list[str] = Field(
        "all",
        min_length=1,
        description="weights that decay: `all`, or patterns of their names, such as `[embed.W_E,"
        " blocks.*.mlp.*]`. A pattern that matches no weight is refused",
    )
    beta1: Number = Field(0.9, ge=0, lt=1, description="Adam's memory of the gradient")
    beta2: Number = Field(0.98, ge=0, lt=1, description="Adam's memory of the squared gradient")
    epsilon: Number = Field(1e-8, gt=0, description="Adam's ε")
    momentum: Number = Field(0.0, ge=0, lt=1, description="momentum of sgd")
    gradient_noise: Number = Field(
        0.0,
        ge=0,
        description="standard deviation of the Gaussian noise that every step adds to each coordinate of the gradient",
    )
    grokfast_alpha: Number = Field(0.98, ge=0, lt=1, description="Grokfast's memory of the gradient (Lee et al. 2024)")
    grokfast_lambda: Number = Field(
        0.0, ge=0, description="factor with which Grokfast adds the remembered gradient; 0 adds nothing"
    )
    batch_size: int | Literal["full"] = Field(512, description="examples per step, or `full`")
    loss: Literal["cross_entropy", "mean_squared_error", "hinge", "stablemax"] | None = Field(
        None, description="loss that training makes small; by default the preset's loss"
    )
    loss_precision: Literal["float32", "float64"] = Field(
        "float32", description="precision of the logits in the training loss"
    )
    arithmetic: Literal["reduced", "plain"] | None = Field(
        None,
        description="how gradients are computed. `reduced` leaves out what cannot reach the answer; `plain`"
        " uses the plain network; the two are equal to rounding. The default is reduced for"
        " transformers over two operands. All other networks have only plain arithmetic",
    )


class ScheduleSettings(Settings):
    """How long training lasts, and when it is looked at."""

    steps: int = Field(6000, ge=0, description="number of updates; 0 measures the weights as they begin")
    checkpoints: SpacingSettings = Field(
        SpacingSettings(log=10, every=250), description="steps at which weights are kept"
    )
    metrics: SpacingSettings = Field(
        SpacingSettings(log=30, every=50), description="steps at which all examples of both splits are evaluated"
    )


class ConditionSettings(TaskSettings, SplitSettings, ModelSettings, OptimiserSettings, ScheduleSettings):
    """One complete setting."""

    def resolve(self) -> Condition:
        """The frozen records that stages work on: presets filled in, nothing left open."""
        values = self.model_dump()
        preset = asdict(PRESETS[self.preset].model)
        values |= {key: preset[key] for key in preset if values.get(key) is None}
        if values["inputs"] not in ("tokens", "embedding") and self.d_model is None:
            values["d_model"] = 0
        if values["decay"] is None:
            values["decay"] = "decoupled" if self.optimiser == "adamw" else "coupled"
        if values["decay_on"] != "all":
            values["decay_on"] = tuple(values["decay_on"])
        if self.optimiser in LINE_SEARCHING:
            values["warm_up"] = 0
        values["loss"] = values["loss"] or PRESETS[self.preset].loss

        values["train_size"] = float(self.train_fraction) if self.train_count is None else self.train_count

        def part(kind: Any) -> Any:
            return kind(**{key: values[key] for key in kind.__dataclass_fields__})

        model = part(Model)
        task = registry.resolve(self)
        if values["arithmetic"] is None:
            values["arithmetic"] = "plain" if why_not_reduced(model, registry.n_inputs(task)) else "reduced"
        schedule = Schedule(
            steps=self.steps,
            checkpoints=Spacing(**values["checkpoints"]),
            metrics=Spacing(**values["metrics"]),
        )
        return Condition(task, part(Split), model, part(Optimiser), schedule)


SECTIONS = (TaskSettings, SplitSettings, ModelSettings, OptimiserSettings, ScheduleSettings)
