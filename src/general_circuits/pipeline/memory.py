"""What the jobs of a condition need, before they run: memory and disk, from the condition alone.

Memory was measured (peak resident size on Linux, torch 2.13, one thread) on networks of 1 to 4 layers, and fitted from
above: a prediction is at most twice the measured peak, and not below it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from general_circuits.config.measurements import AblationSettings, AttributionSettings
from general_circuits.config.study import Study
from general_circuits.duels.planted_grid import NUMBERS_PER_STACK
from general_circuits.duels.toy_grid import Grid, evaluation_steps, toys
from general_circuits.measurements.saliency import LOGITS_PER_PASS
from general_circuits.models.settings import EXAMPLES_PER_PASS, Model
from general_circuits.models.shapes import weight_shapes
from general_circuits.tasks.counts import counts
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.optimisers import HISTORY
from general_circuits.training.reduced import EXAMPLES_PER_SLICE
from general_circuits.training.schedule import STATE_EVERY
from general_circuits.training.settings import Condition

MB = 10**6
FLOAT = 4
"""Bytes of a number in a network."""

TRAINING_BASE, SALIENCY_BASE, ABLATION_BASE = 380 * MB, 470 * MB, 420 * MB
"""Bytes of a job before it has done anything: Python with torch, pandas and Arrow, and Captum for saliency."""
PROGRESS_BASE = 530 * MB
"""Of `measure_progress`, with what forward differentiation imports."""
MODULES_BASE, TOY_ROW = 420 * MB, 750
"""Bytes of a job of duels before it has done anything, and those that a row of `toy` leaves behind."""
ANSWER_ROW, LOSS_ROW = 150, 500
"""Bytes that a row of `answers` and one of `losses` leave behind, all of which are there at once."""
ABLATION_ROW, SALIENCY_ROW, EXAMPLE_ROW = 260, 200, 170
"""Bytes that a row of `ablation` and one of `saliency` leave behind, which are written one checkpoint at a time; and
those of a row of `example_saliency`, of which all of one place are there at once."""
TORCH_COMPILER = 100 * MB
"""What torch's optimiser classes import, of which only L-BFGS is one."""

SNAKEMAKE_MB = 600
"""Beside a job on a cluster: the two Snakemakes that start it there."""


@dataclass(frozen=True)
class Attributions:
    """How much one job of `extract_saliency` attributes.

    Attributes:
        methods: by name.
        examples: that methods of many passes see, of each split at most; or "all".
        targets: how many, those at matched scale among them.
        combinations: of method, target and normalisation.
        sites: whose neurons.
        checkpoints: of each replica, at most; or "all".
        replicas: of the job.
    """

    methods: tuple[str, ...]
    examples: int | Literal["all"]
    targets: int
    combinations: int
    sites: tuple[str, ...]
    checkpoints: int | Literal["all"]
    replicas: int


@dataclass(frozen=True)
class Deletions:
    """How much one job of `ablate_neurons` deletes.

    Attributes:
        examples: of each split, at most.
        splits: how many.
        k_points: sizes k on a log axis, or "all".
        curves: how many of one layer on one split.
        checkpoints: of each replica, at most; or "all".
        replicas: of the job.
    """

    examples: int
    splits: int
    k_points: int | Literal["all"]
    curves: int
    checkpoints: int | Literal["all"]
    replicas: int


@dataclass(frozen=True)
class Size:
    """What costs are computed from.

    Attributes:
        condition: the setting.
        vocabulary: of its task.
        n_training, n_validation: examples.
    """

    condition: Condition
    vocabulary: Vocabulary
    n_training: int
    n_validation: int

    @classmethod
    def of(cls, condition: Condition) -> Size:
        """Return the sizes of a condition's data and network."""
        own = counts(condition.task, condition.split)
        return cls(condition, own.vocabulary, own.n_training, own.n_validation)

    @property
    def batch(self) -> int:
        """Examples per step."""
        batch_size = self.condition.optimiser.batch_size
        return self.n_training if batch_size == "full" else int(batch_size)

    @property
    def n_examples(self) -> int:
        return self.n_training + self.n_validation

    @property
    def largest_split(self) -> int:
        return max(self.n_training, self.n_validation)

    @property
    def parameters(self) -> int:
        """Numbers in the network."""
        return parameters(self.condition.model, self.vocabulary)

    @property
    def checkpoints(self) -> int:
        """How many are kept."""
        schedule = self.condition.schedule
        return len(schedule.checkpoints.steps(schedule.steps))

    @property
    def weights_bytes(self) -> int:
        """Of one replica's file of checkpoints, but for its header."""
        return self.checkpoints * self.parameters * FLOAT

    @property
    def state_bytes(self) -> int:
        """Of one training state: weights, and what the optimiser remembers of each."""
        settings = self.condition.optimiser
        # L-BFGS remembers its direction and gradient, and two histories.
        moments = {"sgd": int(settings.momentum > 0), "line_search": 0, "lbfgs": 2 + 2 * HISTORY}
        remembered = moments.get(settings.optimiser, 2) + int(settings.grokfast_lambda > 0)
        return (1 + remembered) * self.parameters * FLOAT

    def kept_bytes(self, weights: bool, states: int) -> int:
        """What a finished replica leaves on disk, but for its tables: checkpoints, and at most so many states."""
        made = -(-self.condition.schedule.steps // STATE_EVERY)
        return weights * self.weights_bytes + min(states, made) * self.state_bytes

    def training_mb(self, is_branch: bool = False) -> int:
        """Peak memory of `train_block`; of a branch, whose parent is there too."""
        # Evaluation: logits in double precision of a whole split, and what the scores make of them.
        evaluation = 6 * self.largest_split * self.vocabulary.n_classes * 8
        compiler = TORCH_COMPILER if self.condition.optimiser.optimiser == "lbfgs" else 0
        running = FLOAT * (self._in_mlp() if self.condition.model.architecture == "mlp" else self._in_transformer())
        # Once in memory, and twice where many checkpoints are written at once.
        own = TRAINING_BASE + compiler + 3 * self.weights_bytes + 5 * self.state_bytes + running + evaluation
        return _mb(own + is_branch * (3 * self.state_bytes + running))

    def _in_mlp(self) -> int:
        """Numbers between the inputs and the logits of all examples that are computed at once."""
        model = self.condition.model
        per_example = 5 * (model.n_layers * model.d_mlp + model.input_width(self.vocabulary))
        return self._at_once * per_example

    def _in_transformer(self) -> int:
        """Numbers between tokens and logits of all examples that are computed at once."""
        model, p = self.condition.model, self.vocabulary.n_symbols
        if self.condition.optimiser.arithmetic == "plain":
            return max(
                self._plain(self.batch, 2 * model.n_layers), self._plain(min(EXAMPLES_PER_PASS, self.largest_split), 1)
            )
        # A set of buffers for each number of examples that occurs: batches, slices and what is left over.
        examples = sum({min(n, EXAMPLES_PER_SLICE) for n in (self.batch, self.largest_split)})
        examples += sum(
            n % EXAMPLES_PER_SLICE for n in {self.batch, self.n_training, self.n_validation} if n > EXAMPLES_PER_SLICE
        )
        rows = (2 * model.n_layers - 1) * 2 * examples
        tables = 4 * p**2 * model.n_heads + 8 * p * model.n_heads * model.d_mlp
        return rows * self._per_row + tables

    def _plain(self, examples: int, layers: int) -> int:
        """Of the plain network on so many examples, where so many layers' numbers are kept."""
        return examples * layers * (self._positions * self._per_row + self._patterns)

    @property
    def _per_row(self) -> int:
        """Numbers at one position of one example, in one layer."""
        return 3 * self.condition.model.d_mlp + 16 * self.condition.model.d_model

    @property
    def _positions(self) -> int:
        """Of a transformer: every input, and "="."""
        return self.vocabulary.n_inputs + 1

    @property
    def _patterns(self) -> int:
        """Numbers of attention's scores and what is made of them, an example and a layer."""
        return 2 * self.condition.model.n_heads * self._positions**2

    @property
    def _at_once(self) -> int:
        """Examples that the plain network computes together."""
        return max(self.batch, min(EXAMPLES_PER_PASS, self.largest_split))

    def saliency_mb(self, asked: Attributions) -> int:
        """Peak memory of `extract_saliency`: a whole split's neurons, every attribution of one place, and the table."""
        model, n = self.condition.model, self.largest_split
        is_linear = model.n_layers == 1 and model.normalisation == "none" and asked.sites == ("mlp",)
        if model.architecture == "mlp":
            per_example = (6 + 5 * model.n_layers) * model.d_mlp + 2 * model.input_width(self.vocabulary)
        else:
            copies = 24 if is_linear else 40 if model.n_layers == 1 else 55
            per_example = copies * (model.d_mlp + model.d_model) * self._positions // 3 + 2 * self._patterns
        # Beside the registered method, which sees all examples; so do others where the logits are linear.
        others = [method for method in asked.methods if method != "activation_gradient"]
        gradients = sum(method.startswith("integrated_gradients") for method in others)
        some = n if asked.examples == "all" else min(n, asked.examples)
        together = max(n, EXAMPLES_PER_PASS) if others and not is_linear else n
        kept = (asked.targets - 1) * n + asked.targets * (n * gradients + 2 * some * (len(others) - gradients))
        logits = some * self.vocabulary.n_classes if "ablation_effect" in others else 0
        blocks = 5 * max(logits, min(LOGITS_PER_PASS, logits * model.d_mlp))
        numbers = together * per_example + 2 * kept * model.d_mlp + blocks
        checkpoints = self.checkpoints if asked.checkpoints == "all" else min(asked.checkpoints, self.checkpoints)
        rows = asked.replicas * checkpoints * 2 * asked.combinations * self.neurons(asked.sites)
        return _mb(SALIENCY_BASE + FLOAT * numbers + SALIENCY_ROW * rows + self.weights_bytes)

    def progress_mb(self) -> int:
        """Peak memory of `measure_progress`: examples on their way back, all logits, and the grid of neurons."""
        model, vocabulary = self.condition.model, self.vocabulary
        together, classes = min(EXAMPLES_PER_PASS, self.n_examples), vocabulary.n_classes
        if model.architecture == "mlp":
            width = 8 * model.n_layers * model.d_mlp + 4 * model.input_width(vocabulary)
        else:
            width = model.n_layers * (12 * model.d_mlp + self._positions * (24 * model.d_model + self._patterns))
        numbers = together * width + 60 * self.n_examples * classes + 8 * self.parameters
        grid = 8 * self.n_examples * model.d_mlp if vocabulary.n_inputs == 2 else 0
        return _mb(PROGRESS_BASE + FLOAT * (numbers + grid) + self.weights_bytes // 2)

    def updates_mb(self) -> int:
        """Peak memory of `track_updates`: the gradients of examples at once, in double precision, of two labelings."""
        model, together = self.condition.model, min(EXAMPLES_PER_PASS, self.n_training)
        if model.architecture == "mlp":
            width = (3 + 3 * model.n_layers) * model.d_mlp + model.input_width(self.vocabulary)
            positions = 1
        else:
            width = 4 * (model.d_mlp + model.d_model) + 8 * model.d_model
            positions = 1 if model.n_layers == 1 else self._positions
        numbers = together * (positions * width * 2 + 8 * self.vocabulary.n_classes)
        return _mb(MODULES_BASE + FLOAT * 5 * numbers // 2 + self.weights_bytes // 2)

    def answers_mb(self, checkpoints: int, replicas: int) -> int:
        """Peak memory of `record_answers`: gradients of examples at once, and a row for each at each checkpoint."""
        seen = self.checkpoints if checkpoints == 0 else min(checkpoints, self.checkpoints)
        rows = replicas * seen * self.n_examples
        numbers = self._with_gradients + 12 * self.largest_split * self.vocabulary.n_classes + 12 * self.parameters
        return _mb(TRAINING_BASE + FLOAT * numbers + ANSWER_ROW * rows + self.weights_bytes // 2)

    def spikes_mb(self, most: int, replicas: int) -> int:
        """Peak memory of `watch_spikes`: two replicas in training, weights around spikes, a record of all steps."""
        numbers = 2 * 20 * most * replicas * self.parameters
        record = LOSS_ROW * self.condition.schedule.steps * replicas
        return self.training_mb(is_branch=True) + _mb(FLOAT * numbers + record)

    @property
    def _with_gradients(self) -> int:
        """Numbers between inputs and logits of the plain network, of as many examples as go through it together."""
        model, together = self.condition.model, min(EXAMPLES_PER_PASS, self.largest_split)
        if model.architecture == "mlp":
            return together * 5 * (model.n_layers * model.d_mlp + model.input_width(self.vocabulary))
        return self._plain(together, 2 * model.n_layers)

    def modules_mb(self, parts: int) -> int:
        """Peak memory of `train_modules` and `duel_modules`: all modules on all examples, and what gradients keep."""
        model, vocabulary = self.condition.model, self.vocabulary
        if model.architecture == "mlp":
            per_neuron = (2 + 2 * model.n_layers) * model.d_mlp
            per_module = 2 * model.input_width(vocabulary)
        else:
            per_neuron = 4 * model.n_layers * self._positions * model.d_mlp
            per_module = model.n_layers * (16 * self._positions * model.d_model + self._patterns)
        at_once = self.n_examples * (math.sqrt(parts) * per_neuron + parts * (per_module + 8 * vocabulary.n_classes))
        return _mb(MODULES_BASE + FLOAT * (2 * at_once + 12 * parts * self.parameters + 8 * NUMBERS_PER_STACK))

    def example_saliency_mb(self, asked: Attributions) -> int:
        """Peak memory of `extract_example_saliency`: the same, and one attribution of one place as rows."""
        model = self.condition.model
        widest = max([model.d_model] * ("head_outputs" in asked.sites) + [model.d_mlp])
        return self.saliency_mb(asked) + _mb(EXAMPLE_ROW * self.largest_split * widest)

    def neurons(self, sites: Collection[str]) -> int:
        """How many there are at these sites, in all layers."""
        model = self.condition.model
        of_layer = {"mlp": model.d_mlp}
        if model.architecture != "mlp":
            of_layer |= {"head_outputs": model.d_model, "heads": model.n_heads}
        return model.n_layers * sum(of_layer.get(site, 0) for site in sites)

    def ablation_mb(self, deletions: Deletions) -> int:
        """Peak memory of `ablate_neurons`: the neurons, what each wrote, how examples are answered, and the table."""
        model, vocabulary = self.condition.model, self.vocabulary
        n = min(deletions.examples, self.largest_split)
        width = model.input_width(vocabulary) if model.architecture == "mlp" else model.d_model
        positions = 3 if model.architecture == "mlp" else self._positions
        # In one layer whose logits are linear in its neurons, they are not run again for each deletion.
        copies = 15 if model.n_layers == 1 and model.normalisation == "none" else 22
        neurons = positions * (copies * n + 3 * self.n_training) * (model.d_mlp + width)  # means are of all of training
        kept = 1 + (model.d_mlp if deletions.k_points == "all" else min(model.d_mlp, int(deletions.k_points) + 1))
        answers = n * (4 * model.d_mlp + 4 * kept + 8 * vocabulary.n_classes)
        splits = deletions.splits + 2 * (self.condition.split.label_noise > 0)
        checkpoints = deletions.checkpoints if deletions.checkpoints != "all" else self.checkpoints
        rows = deletions.replicas * min(int(checkpoints), self.checkpoints) * model.n_layers
        rows *= deletions.curves * splits * kept
        return _mb(ABLATION_BASE + FLOAT * (neurons + answers) + ABLATION_ROW * rows + self.weights_bytes // 2)


def attributions(study: Study) -> Attributions:
    """Return how much one job of a study attributes."""
    saliency = study.measurements.saliency
    return _attributions(saliency, saliency.checkpoints, study.block)


def attributions_all_ways(study: Study) -> Attributions:
    """Return how much one job attributes for specification curves."""
    return _attributions(study.measurements.specification, "all", study.block)


def deletions(study: Study) -> Deletions:
    """Return how much one job of a study deletes."""
    return _deletions(study.measurements.ablation, 1, study.block)


def deletions_all_ways(study: Study) -> Deletions:
    """Return how much one job deletes for specification curves."""
    asked = study.measurements
    return _deletions(asked.specification_ablation, asked.specification.combinations, study.block)


def _attributions(settings: AttributionSettings, checkpoints: int | Literal["all"], replicas: int) -> Attributions:
    targets = list(settings.targets)
    if "matched" in settings.normalisations and "log_probability" in targets:
        targets.append("log_probability")  # at another scale it is attributed by itself
    return Attributions(
        tuple(settings.methods),
        settings.examples,
        len(targets),
        settings.combinations,
        tuple(settings.sites),
        checkpoints,
        replicas,
    )


def _deletions(settings: AblationSettings, combinations: int, replicas: int) -> Deletions:
    return Deletions(
        settings.examples,
        len(settings.splits),
        settings.k_points,
        settings.curves(combinations),
        settings.checkpoints,
        replicas,
    )


def toy_mb(grid: Grid) -> int:
    """Peak memory of `duel_toys`: one update rule's toys, and a row for each of their circuits and looks."""
    trained = max(len(toys(grid, rule)) for rule in grid.rules)
    n = grid.pairs
    weights = 2 * n * (2 * n + max(grid.coverages) * 3 * n)
    rows = trained * len(evaluation_steps(grid)) * (1 + n)
    return _mb(MODULES_BASE + FLOAT * 20 * trained * weights // len(set(grid.coverages)) + TOY_ROW * rows)


def parameters(model: Model, vocabulary: Vocabulary) -> int:
    """Numbers in a network, as `models/` has them."""
    return sum(math.prod(shape) for shape in weight_shapes(model, vocabulary).values())


def machine_mb() -> int:
    """Memory of this machine, or of the container this runs in."""
    limit = Path("/sys/fs/cgroup/memory.max")
    found = limit.read_text().strip() if limit.is_file() else "max"
    total = psutil.virtual_memory().total
    return int(min(total, int(found)) if found.isdigit() else total) // MB


def _mb(size: float) -> int:
    return -(-int(size) // MB)
