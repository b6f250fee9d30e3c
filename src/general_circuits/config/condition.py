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

    log: int = Field(10, ge=1, description="how many steps, evenly spaced on a log axis")
    every: int = Field(250, ge=1, description="one step in so many, evenly spaced on a linear axis")


class TaskSettings(Settings):
    """What is to be learned: a table of examples. docs/tasks.md lists them."""

    operation: str | list[str] = Field(
        "x+y",
        description="by name: modulo `modulus`, or composed in `group`; or `sparse_parity`, `boolean`, `digits`. Of a"
        " list of q, example (x, y) has the one numbered x mod q",
    )
    expression: str | list[str] | None = Field(
        None, description="in place of `operation`: a formula of your own in x and y, or a list, modulo `modulus`"
    )
    modulus: int = Field(59, ge=2, le=1024, description="p; operands run from 0 to p − 1. Prime where there is a /")
    group: str | list[list[int]] | None = Field(
        None, description="for x*y, x*y*x^-1, x*y*x: S5, D7, C12 and their like, or a multiplication table, row by row"
    )
    bits: int = Field(40, ge=1, le=256, description="inputs of `sparse_parity` and `boolean`")
    relevant_bits: int = Field(3, ge=1, description="of `sparse_parity`: the first so many decide")
    examples: int = Field(2000, ge=2, le=100_000, description="of `sparse_parity`: random inputs, in both splits")
    function: str | None = Field(
        None, description="of `boolean`: and, or, parity, majority, or its values for all inputs, as in '0110'"
    )


class SplitSettings(Settings):
    """Which examples train. Equal settings with equal seeds are equal splits; a smaller fraction is a subset."""

    train_fraction: Number = Field(0.6, gt=0, lt=1, description="share of the examples that trains")
    train_count: int | None = Field(None, ge=1, description="in place of `train_fraction`: how many examples train")
    split_by: Literal["pair", "example"] = Field(
        "pair", description="`pair`: (a, b) and (b, a) are on one side; `example`: each is drawn by itself"
    )
    split_seed: Seed = Field("replica", description="of the split; a number gives every replica the same one")
    label_noise: Number = Field(
        0.0, ge=0, le=1, description="ξ, share of the training examples whose label is random; 1 is random labels"
    )
    label_seed: Seed = Field("replica", description="of those labels, likewise")


class ModelSettings(Settings):
    """A network that reads the inputs and answers with a class; docs/networks.md lists those with a name."""

    preset: Literal["power", "nanda", "pre_norm", "quadratic_mlp", "parity_mlp", "mlp"] = Field(
        "nanda",
        description="the architecture, and where the keys of this section that are not given come from; what `defaults`"
        " say of another architecture does not apply to a condition that names one of its own",
    )
    inputs: Literal["tokens", "one_hot", "embedding", "ordinal"] | None = Field(
        None,
        description="what is read: of transformers `tokens`; of MLPs each input as a one-hot vector, as an embedding"
        " that all inputs share, or as one number from −1 to 1",
    )
    n_layers: int | None = Field(None, ge=1, le=12, description="transformer blocks, or hidden layers")
    d_model: int | None = Field(
        None, ge=1, description="width of the residual stream, or of an MLP's `inputs: embedding`"
    )
    n_heads: int | None = Field(
        None, ge=1, description="attention heads per block; must divide `d_model`; of transformers"
    )
    d_mlp: int | None = Field(None, ge=2, description="neurons per layer")
    activation: Literal["relu", "gelu", "quadratic"] | None = Field(None, description="of the neurons")
    normalisation: Literal["none", "pre", "post"] | None = Field(
        None,
        description="layer norm: none; before attention and MLP, and a final one; or after each residual sum; of"
        " transformers",
    )
    biases: Literal["none", "mlp", "blocks", "all"] | None = Field(
        None,
        description="which linear maps have one: none, those of the neurons, also of attention, or the unembedding too",
    )
    positions: Literal["learned", "sinusoidal"] | None = Field(None, description="position embeddings; of transformers")
    initialisation: Literal["normal", "linear", "multihead", "mean_field", "fourier", "lookup_table"] | None = Field(
        None,
        description="`normal`: standard deviation 1/√d_model, biases zero; `linear`: as torch's `nn.Linear` and"
        " `nn.Embedding`; `multihead`: the same, attention as `nn.MultiheadAttention`; `mean_field`: normal with"
        " standard deviation (16 d_mlp)^(−1/3), of MLPs; built by hand: `fourier`, which adds, and `lookup_table`,"
        " which knows its training examples",
    )
    outputs: Literal["classes", "sign"] | None = Field(
        None, description="a logit per class, or one number whose sign tells two classes apart; of MLPs"
    )


class OptimiserSettings(Settings):
    """How one step is taken."""

    optimiser: Literal["adamw", "adam", "sgd", "line_search", "lbfgs"] = Field(
        "adamw", description="update rule; line_search and lbfgs need `batch_size: full`"
    )
    learning_rate: Number = Field(
        1e-3,
        gt=0,
        description="after warm-up, constant; of line_search the first step size tried, of lbfgs in every step, where 1"
        " is usual",
    )
    warm_up: int = Field(
        10, ge=0, description="steps of linear warm-up; line_search and lbfgs have none, whatever it is"
    )
    weight_decay: Number = Field(
        1.0, ge=0, description="of the weights in `decay_on`; decoupled, a step removes rate × this"
    )
    decay: Literal["decoupled", "coupled"] | None = Field(
        None, description="beside the gradient or inside it; by default decoupled for adamw, coupled for all others"
    )
    decay_on: Literal["all"] | list[str] = Field(
        "all",
        min_length=1,
        description="which weights decay: `all`, or patterns of their names, as `[embed.W_E, blocks.*.mlp.*]`; one that"
        " matches no weight is refused",
    )
    beta1: Number = Field(0.9, ge=0, lt=1, description="Adam's memory of the gradient")
    beta2: Number = Field(0.98, ge=0, lt=1, description="Adam's memory of its square")
    epsilon: Number = Field(1e-8, gt=0, description="Adam's ε")
    momentum: Number = Field(0.0, ge=0, lt=1, description="of sgd")
    gradient_noise: Number = Field(
        0.0, ge=0, description="standard deviation of Gaussian noise on every coordinate of the gradient, in every step"
    )
    grokfast_alpha: Number = Field(0.98, ge=0, lt=1, description="Grokfast's memory of the gradient (Lee et al. 2024)")
    grokfast_lambda: Number = Field(0.0, ge=0, description="how much of what it remembers Grokfast adds; 0 is none")
    batch_size: int | Literal["full"] = Field(512, description="examples per step, or `full`")
    loss: Literal["cross_entropy", "mean_squared_error", "hinge", "stablemax"] | None = Field(
        None, description="what training makes small; by default the preset's"
    )
    loss_precision: Literal["float32", "float64"] = Field("float32", description="of logits in the training loss")
    arithmetic: Literal["reduced", "plain"] | None = Field(
        None,
        description="of gradients: with what can be left out, or by the plain network; equal to rounding; by default"
        " reduced for transformers over two operands, plain for all else, which has no reduced form",
    )


class ScheduleSettings(Settings):
    """How long training lasts, and when it is looked at."""

    steps: int = Field(6000, ge=0, description="updates; 0 looks at the weights as they begin")
    checkpoints: SpacingSettings = Field(SpacingSettings(log=10, every=250), description="when weights are kept")
    metrics: SpacingSettings = Field(
        SpacingSettings(log=30, every=50), description="when both splits are evaluated whole"
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
