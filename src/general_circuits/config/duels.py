"""Typed models of the settings of duels between circuits, with their defaults."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from general_circuits.config.condition import (
    ConditionSettings,
    ModelSettings,
    SplitSettings,
    TaskSettings,
)
from general_circuits.config.kinds import (
    MOST_EXAMPLES,
    Choices,
    Count,
    Decay,
    Few,
    Number,
    Rate,
    Settings,
    each_once,
    number,
)
from general_circuits.duels import settings as duels
from general_circuits.duels import toy_grid
from general_circuits.training.settings import Condition

# Numbers in lists, where a field's own bounds would be those of the list.
Margin = Annotated[float, Field(ge=1e-3, le=50), BeforeValidator(number)]
Share = Annotated[float, Field(ge=1e-3, le=0.999), BeforeValidator(number)]
Noise = Annotated[float, Field(ge=0, lt=1), BeforeValidator(number)]

Pairs = Annotated[int, Field(ge=1, le=64)]
# Lists that may be empty: then a duel does not vary this setting.
Item = TypeVar("Item")
Short = Annotated[list[Item], Field(max_length=20), AfterValidator(each_once)]


class RuleSettings(Settings):
    """Update rule of a duel: its learning rate, and the weight decays to try."""

    learning_rate: Rate = Field(description="constant learning rate")
    weight_decays: Choices[Decay] = Field(
        description="weight decays to try one after another. As in torch, decay is decoupled for adamw and coupled"
        " for the other rules",
    )


class ToySettings(Settings):
    """Toy example of the source: one general attention head against shallow ones. docs/duels.md explains it.

    Toys are trained for every combination of attention, sharing, coverage and weight decay. In each combination, the
    other lists are varied one at a time.
    """

    pairs: int = Field(
        8, ge=2, le=64, description="n, the number of input pairs to memorise; each pair has its own shallow circuit"
    )
    margin: Margin = Field(
        4.0,
        description="margin at the start, for pairs that both kinds of circuit answer: the right logit minus the"
        " other logits",
    )
    coverages: Choices[Pairs] = Field([1, 2, 4, 8], description="numbers of pairs that the general circuit covers")
    attentions: Choices[Literal["linear", "softmax"]] = Field(
        ["linear", "softmax"],
        description="kinds of attention. `linear` has no softmax. `softmax` runs over both tokens and a third place"
        " called nothing",
    )
    sharings: Choices[Literal["shared", "apart"]] = Field(
        ["shared", "apart"],
        min_length=1,
        description="forms of the general circuit. `shared` is one head, whose query serves all its pairs. `apart`"
        " has one head for each of its pairs",
    )
    batch_sizes: Short[Pairs] = Field([1, 4, 8], description="pairs per step; the number `pairs` means all pairs")
    orders: Short[Literal["shuffled", "sequential", "blocked"]] = Field(
        ["shuffled", "sequential", "blocked"],
        description="orders in which pairs are shown. `shuffled` is a random order; `sequential` shows one pair at a"
        " time in a fixed order; `blocked` shows all pairs at once, but leaves the first pair out for"
        " `block_steps` steps, shows it for as many, and so on",
    )
    initial_shares: Short[Share] = Field(
        [0.2, 0.5, 0.8], description="shares of the right logits that the general circuit gives at the start"
    )
    frequencies: Short[Annotated[int, Field(ge=1, le=1000)]] = Field(
        [1, 4, 16], description="frequencies of the first pair, in units of another pair's frequency"
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
        150,
        description="for `blocked` order: number of steps without the first pair, and then number of steps with it",
    )

    def resolve(self, replicas: int, first_seed: int) -> toy_grid.Grid:
        """Return the settings as the frozen record that stages read."""
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
    """Networks that are trained apart and then added: a generaliser against memorisers of one part each.

    docs/duels.md explains these duels. The section also has all keys of a task, a split and a network, with its own
    defaults. Duels vary one list at a time. The registered duels have the most `parts`, no weight decay, and the first
    value of every other list.
    """

    modulus: int = Field(23, ge=2, le=1024, description="p of the task")
    train_fraction: Number = Field(0.65, gt=0, lt=1, description="share of the examples that the networks train on")
    preset: Literal["power", "nanda", "pre_norm", "quadratic_mlp", "parity_mlp", "mlp"] = Field(
        "quadratic_mlp", description="architecture of the modules"
    )
    d_mlp: int | None = Field(
        128,
        ge=8,
        le=65_536,
        description="neurons of the generaliser; a memoriser of one of K parts has this number / √K",
    )
    general_fraction: Share = Field(0.9, description="share of all examples that the generaliser trains on")
    planting_rate: Rate = Field(1e-2, description="AdamW's learning rate while modules are trained apart")
    planting_decay: Decay = Field(1.0, description="weight decay of the generaliser; memorisers have none")
    general_steps: Count = Field(5000, description="largest number of training steps of the generaliser")
    memory_steps: Count = Field(500, description="training steps of each memoriser")
    parts: Choices[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        [1, 4, 16], min_length=1, description="numbers K of parts that the training examples are split into"
    )
    label_noises: Choices[Noise] = Field(
        [0.0, 0.1], min_length=1, description="shares ξ of training examples with a wrong label"
    )
    rules: dict[Literal["sgd", "momentum", "adam", "adamw"], RuleSettings] = Field(
        {
            "sgd": RuleSettings(learning_rate=2.0, weight_decays=[1e-3]),
            # A gradient adds up to ten times the rate through momentum 0.9, so this is sgd's rate.
            "momentum": RuleSettings(learning_rate=0.2, weight_decays=[1e-3]),
            "adamw": RuleSettings(learning_rate=2e-3, weight_decays=[1.0]),
        },
        min_length=1,
        description="update rules of duels; each is also run without weight decay",
    )
    batch_sizes: Choices[Annotated[int, Field(ge=0, le=MOST_EXAMPLES)]] = Field(
        [64, 0], min_length=1, description="examples per step; 0 means all"
    )
    margins: Choices[Margin] = Field(
        [4.0, 2.0, 8.0],
        min_length=1,
        description="margins of right answers at the start. A larger margin acts like a lower temperature and leaves"
        " less loss",
    )
    initial_shares: Choices[Share] = Field(
        [0.5, 0.2, 0.8], min_length=1, description="shares of that margin that the general side gives at the start"
    )
    scalings: Choices[Literal["outside", "halfway", "inside"]] = Field(
        ["outside", "halfway", "inside"],
        min_length=1,
        description="places of the factor that matches the margins: `outside` the networks, `inside` their readout"
        " weights, or `halfway`, with its square root in each",
    )
    duel_steps: Count = Field(500, description="training steps of a duel; longer ones have effects measured up to here")
    settling: dict[Literal["sgd", "momentum", "adam", "adamw"], Annotated[int, Field(ge=1, le=1000)]] = Field(
        # Chosen on seeds 1000 to 1002 from drifts alone. At these ends none of one or sixteen parts is above 0.0014 per
        # 100 steps. Shares of adamw with decay turn twice on their way, so a small drift could not end a duel.
        {"sgd": 4, "momentum": 4, "adamw": 10},
        description="how many times `duel_steps` the duels last whose shares are judged, by update rule; 1 for a rule"
        " that is not named. Their shares must have settled at the end",
    )
    evaluations: Few = Field(
        25,
        description="number of steps of a duel that are measured, evenly chosen from `duel_steps`. The further steps"
        " of longer duels are measured as often",
    )

    @property
    def condition(self) -> ConditionSettings:
        """Task, split and network of the modules, as the settings of a condition."""
        kinds = (TaskSettings, SplitSettings, ModelSettings)
        names = [name for kind in kinds for name in kind.model_fields]
        return ConditionSettings(**{name: getattr(self, name) for name in names}, batch_size="full")

    def resolve(self) -> tuple[Condition, duels.Planting, duels.Duels]:
        """Return the settings as the frozen records that stages read: the modules' condition, planting and duels."""
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
            duels.Duels(
                rules=rules,
                steps=self.duel_steps,
                settling=tuple(self.settling.items()),
                evaluations=self.evaluations,
                **varied,
            ),
        )


class DuelSettings(Settings):
    """Duels of a general circuit against shallow ones, built by hand or trained apart. docs/duels.md explains them."""

    toy: ToySettings | None = Field(None, description="toy example of the source; without this key there is none")
    planted: PlantedSettings | None = Field(None, description="networks trained apart; without this key there are none")
