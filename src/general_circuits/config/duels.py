"""The settings of duels between circuits as typed models, with their defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from general_circuits.config.condition import (
    ConditionSettings,
    Count,
    ModelSettings,
    Number,
    Settings,
    SplitSettings,
    TaskSettings,
)
from general_circuits.duels import settings as duels
from general_circuits.duels import toy_grid
from general_circuits.training.settings import Condition

Rate = Annotated[Number, Field(gt=0)]
Decay = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(gt=0, lt=1)]
Noise = Annotated[Number, Field(ge=0, lt=1)]


class RuleSettings(Settings):
    """How steps are taken, in a duel: by a rate, and the weight decays to try."""

    learning_rate: Rate = Field(description="learning rate, constant")
    weight_decays: list[Decay] = Field(
        min_length=1,
        description="weight decays to try one after another; decoupled for adamw and coupled for the others, as"
        " in torch",
    )


class ToySettings(Settings):
    """The source's toy example: one general attention head against shallow ones. docs/duels.md explains it.

    Every attention × sharing × coverage × weight decay is trained, each with one of the other lists varied at a time.
    """

    pairs: int = Field(
        8, ge=2, le=64, description="n, the number of input pairs to memorise; each has a shallow circuit"
    )
    margin: Rate = Field(
        4.0,
        description="how far the right logit is above the others at the start, for pairs that both kinds of"
        " circuit serve",
    )
    coverages: list[Count] = Field(
        [1, 2, 4, 8], min_length=1, description="numbers of pairs that the general circuit finds"
    )
    attentions: list[Literal["linear", "softmax"]] = Field(
        ["linear", "softmax"],
        min_length=1,
        description="`linear` has no softmax; `softmax` is over both tokens and a place named nothing",
    )
    sharings: list[Literal["shared", "apart"]] = Field(
        ["shared", "apart"],
        min_length=1,
        description="`shared`: the general circuit is one head, whose query serves all its pairs. `apart`: it"
        " is one head for each of them",
    )
    batch_sizes: list[Count] = Field([1, 4, 8], description="pairs per step; the number `pairs` means all of them")
    orders: list[Literal["shuffled", "sequential", "blocked"]] = Field(
        ["shuffled", "sequential", "blocked"],
        description="`shuffled` shows pairs in random order. `sequential` shows one pair at a time in a fixed"
        " order. `blocked` shows all pairs, but the first one is away for `block_steps` steps and"
        " then there for as many",
    )
    initial_shares: list[Share] = Field(
        [0.2, 0.5, 0.8], description="share of the general circuit in the right logits at the start"
    )
    frequencies: list[Count] = Field(
        [1, 4, 16], description="how often the first pair is shown for each time another pair is shown"
    )
    rules: dict[Literal["sgd", "momentum", "adam", "adamw"], RuleSettings] = Field(
        {
            "sgd": RuleSettings(learning_rate=0.5, weight_decays=[0.0, 1e-3, 1e-2]),
            "momentum": RuleSettings(learning_rate=0.05, weight_decays=[0.0, 1e-3, 1e-2]),
            "adam": RuleSettings(learning_rate=3e-3, weight_decays=[0.0, 1e-4, 1e-3]),
            "adamw": RuleSettings(learning_rate=3e-3, weight_decays=[0.0, 0.1, 1.0]),
        },
        min_length=1,
        description="update rules, each with `learning_rate` and `weight_decays`; momentum is 0.9",
    )
    steps: Count = Field(1500, description="training steps")
    block_steps: Count = Field(
        150, description="in `blocked` order: steps that the first pair is away, and then steps that it is there"
    )

    def resolve(self, replicas: int, first_seed: int) -> toy_grid.Grid:
        """The frozen record that stages work on."""
        lists = ("coverages", "attentions", "sharings", "batch_sizes", "orders", "initial_shares", "frequencies")
        rules = tuple(
            toy_grid.RuleSettings(name, rule.learning_rate, tuple(rule.weight_decays))
            for name, rule in self.rules.items()
        )
        return toy_grid.Grid(
            pairs=self.pairs,
            margin=self.margin,
            rules=rules,
            steps=self.steps,
            block_steps=self.block_steps,
            replicas=replicas,
            first_seed=first_seed,
            **{name: tuple(getattr(self, name)) for name in lists},
        )


class PlantedSettings(TaskSettings, SplitSettings, ModelSettings):
    """Networks trained apart, then added: a generaliser against memorisers of a part each. docs/duels.md explains it.

    Has the keys of a task, a split and a network too, with its own defaults. Duels vary one list at a time; the
    registered ones have the most `parts`, no decay, and the first of every other list.
    """

    modulus: int = Field(23, ge=2, le=1024, description="p of the task")
    train_fraction: Number = Field(0.65, gt=0, lt=1, description="share of the examples that the networks train on")
    preset: Literal["power", "nanda", "pre_norm", "quadratic_mlp", "parity_mlp", "mlp"] = Field(
        "quadratic_mlp", description="architecture of the modules"
    )
    d_mlp: int | None = Field(
        128, ge=8, description="neurons of the generaliser; a memoriser of one of K parts has 1/√K times as many"
    )
    general_fraction: Share = Field(0.9, description="share of all examples that the generaliser trains on")
    planting_rate: Rate = Field(1e-2, description="AdamW's learning rate while modules are trained apart")
    planting_decay: Decay = Field(1.0, description="the generaliser's weight decay; memorisers have none")
    general_steps: Count = Field(5000, description="most training steps of the generaliser")
    memory_steps: Count = Field(500, description="training steps of each memoriser")
    parts: list[Count] = Field(
        [1, 4, 16], min_length=1, description="K, numbers of parts that the training examples are split into"
    )
    label_noises: list[Noise] = Field(
        [0.0, 0.1], min_length=1, description="ξ, shares of training examples with a wrong label"
    )
    rules: dict[Literal["sgd", "momentum", "adam", "adamw"], RuleSettings] = Field(
        {
            "sgd": RuleSettings(learning_rate=2.0, weight_decays=[1e-3]),
            "adamw": RuleSettings(learning_rate=2e-3, weight_decays=[1.0]),
        },
        min_length=1,
        description="update rules of duels; each is also run without weight decay",
    )
    batch_sizes: list[Annotated[int, Field(ge=0)]] = Field(
        [64, 0], min_length=1, description="examples per step; 0 means all"
    )
    margins: list[Rate] = Field(
        [4.0, 2.0, 8.0],
        min_length=1,
        description="margins of right answers at the start. A larger margin is a lower temperature and leaves"
        " less loss",
    )
    initial_shares: list[Share] = Field(
        [0.5, 0.2, 0.8], min_length=1, description="share of the general side in that margin at the start"
    )
    scalings: list[Literal["outside", "halfway", "inside"]] = Field(
        ["outside", "halfway", "inside"],
        min_length=1,
        description="where the factor that matches margins is put: `outside` the networks, `inside` their"
        " readout weights, or `halfway`, half in each",
    )
    duel_steps: Count = Field(500, description="steps of a duel")
    evaluations: Count = Field(25, description="number of steps in a duel that are measured, evenly chosen")

    @property
    def condition(self) -> ConditionSettings:
        """Its task, split and network as those of a condition."""
        kinds = (TaskSettings, SplitSettings, ModelSettings)
        names = [name for kind in kinds for name in kind.model_fields]
        return ConditionSettings(**{name: getattr(self, name) for name in names}, batch_size="full")

    def resolve(self) -> tuple[Condition, duels.Planting, duels.Duels]:
        """The frozen records that stages work on."""
        condition = self.condition.resolve()
        rules = tuple(
            toy_grid.RuleSettings(name, rule.learning_rate, tuple(rule.weight_decays))
            for name, rule in self.rules.items()
        )
        planting = duels.Planting(
            condition.model,
            self.general_fraction,
            self.planting_rate,
            self.planting_decay,
            self.general_steps,
            self.memory_steps,
            tuple(self.parts),
            tuple(self.label_noises),
        )
        lists = ("batch_sizes", "margins", "initial_shares", "scalings")
        varied = {name: tuple(getattr(self, name)) for name in lists}
        return (
            condition,
            planting,
            duels.Duels(rules=rules, steps=self.duel_steps, evaluations=self.evaluations, **varied),
        )


class DuelSettings(Settings):
    """Circuits planted by hand or trained apart, general against shallow. docs/duels.md explains them."""

    toy: ToySettings | None = Field(None, description="the source's toy example; without this key there is none")
    planted: PlantedSettings | None = Field(None, description="networks trained apart; without this key there are none")
