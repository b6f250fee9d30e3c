"""Checks of a study for values that contradict each other. The models already checked each value by itself.

Each check of a condition is one small function in `CHECKS`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from general_circuits.config.branch import StudyCondition, against_branches
from general_circuits.config.condition import LINE_SEARCHING, ConditionSettings, TaskSettings
from general_circuits.config.duels import PlantedSettings, ToySettings
from general_circuits.config.errors import some
from general_circuits.config.measurements import MeasurementSettings
from general_circuits.config.study import Study
from general_circuits.models.compatibility import by_hand_misfits, misfits, why_not_reduced
from general_circuits.models.shapes import weight_shapes
from general_circuits.registered import BASE, REGISTERED
from general_circuits.tasks import registry
from general_circuits.tasks.counts import Counts, counts
from general_circuits.tasks.splits import SplitError
from general_circuits.training.settings import Condition

Fault = tuple[tuple[str, ...], Any, str]
"""The place of a value, the value, and what would be right."""
KeyFault = tuple[str, Any, str]
"""The key of a value in one condition, the value, and what would be right."""

MOST_IN_TABLES, MOST_CHECKPOINTS, MOST_EVALUATIONS, MOST_TOYS = 60_000_000, 10_000, 100_000, 50_000
"""Largest numbers of examples of all conditions, of steps of a run that are kept or evaluated, and of toys."""


def contradictions(study: Study) -> Iterator[Fault]:
    """Yield every value that contradicts another one."""
    if study.replicas % study.block:
        yield ("replicas",), study.replicas, f"should be a multiple of block = {study.block}"
    yield from _registered_choices(study.measurements)
    if study.duels.toy:
        yield from _toy_sizes(study, study.duels.toy)
    wrong_branches = list(against_branches(study.conditions))
    yield from wrong_branches
    if wrong_branches:
        return  # a branch inherits its settings, so without a sound parent there is nothing to check
    if (examples := sum(map(_table_size, study.conditions.values()))) > MOST_IN_TABLES:
        right = f"have tasks of {examples:,} examples together; at most {MOST_IN_TABLES:,} are counted before a study"
        yield ("conditions",), f"{len(study.conditions)} conditions", right
        return
    for name, settings in study.conditions.items():
        yield from _condition(study, ("conditions", name), settings)
    if study.duels.planted:
        yield from _condition(study, ("duels", "planted"), study.duels.planted.condition)


def _table_size(settings: ConditionSettings) -> int:
    """Return a bound on the number of examples of a condition's task, without making its table."""
    if settings.group is not None:
        return 2**20 if isinstance(settings.group, str) else len(settings.group) ** 2
    return {"sparse_parity": settings.examples, "boolean": 2**16, "digits": 2000}.get(
        str(settings.operation), settings.modulus**2
    )


def _condition(study: Study, here: tuple[str, ...], settings: ConditionSettings) -> Iterator[Fault]:
    """Yield contradictions in one condition, or in the settings of the planted duels' modules.

    Args:
        study: the study.
        here: the place of the settings in the config.
        settings: the settings, resolved only here because some name no task.
    """
    try:
        resolved = settings.resolve()
    except registry.TaskError as error:
        yield (*here, error.key), error.value, error.right
        return
    size_key = "train_fraction" if settings.train_count is None else "train_count"
    try:
        sizes = counts(resolved.task, resolved.split)
    except SplitError as error:
        yield (*here, size_key), getattr(settings, size_key), str(error)
        return
    trained = Trained(study, settings, resolved, sizes, size_key)
    for check in CHECKS:
        for key, value, right in check(trained):
            yield (*here, key), value, right
    if here == ("duels", "planted"):
        for key, value, right in _planted(trained):
            yield (*here, key), value, right


@dataclass(frozen=True)
class Trained:
    """One condition that is to be trained.

    Attributes:
        study: the study that it belongs to.
        settings: its settings as a user writes them.
        resolved: its settings as stages get them.
        counts: sizes of its task and split.
        size_key: the key in use for the number of training examples, `train_fraction` or `train_count`.
    """

    study: Study
    settings: ConditionSettings
    resolved: Condition
    counts: Counts
    size_key: str


def _parent(trained: Trained) -> Iterator[KeyFault]:
    """Yield changes of a branch that its parent's network or data cannot take."""
    settings, own = trained.settings, trained.counts
    if not isinstance(settings, StudyCondition) or not settings.branch:
        return
    try:
        parent = trained.study.conditions[settings.branch.parent].resolve()
        theirs = counts(parent.task, parent.split).vocabulary
    except (registry.TaskError, SplitError):
        return  # the check of the parent tells this fault
    if theirs != own.vocabulary:
        key = next(key for key in settings.branch.change.settings if key in TaskSettings.model_fields)
        had, has = ((each.n_inputs, each.n_symbols, each.n_classes) for each in (theirs, own.vocabulary))
        right = f"should leave the parent's {had[0]} inputs of {had[1]} symbols and {had[2]} classes"
        yield key, getattr(settings, key), f"{right}, but has {has[0]} of {has[1]} and {has[2]}"
    drawn = settings.branch.change.batch_noise
    if drawn is not None and drawn > own.n_training:
        yield "batch_noise", drawn, f"should be at most the {own.n_training} training examples"
    batch = settings.branch.change.noise_examples
    if batch is not None and batch > own.n_training // 2:
        right = f"should be at most half of the {own.n_training} training examples, so that batches differ"
        yield "noise_examples", batch, right


def _network(trained: Trained) -> Iterator[KeyFault]:
    """Yield keys of the network that contradict each other, and patterns in `decay_on` that match no weight."""
    settings, model, own = trained.settings, trained.resolved.model, trained.counts
    wrong = list(misfits(settings.model_dump(), model, own.vocabulary.n_classes))
    wrong += by_hand_misfits(model, trained.resolved.task, own.vocabulary, own.n_training)
    for key, right in wrong:
        yield key, getattr(model, key), right
    reason = why_not_reduced(model, own.vocabulary.n_inputs)
    if reason and settings.arithmetic == "reduced":
        yield "arithmetic", "reduced", f"should be plain, since {reason}"
    if settings.decay_on != "all" and not wrong:  # an impossible network has no list of weights
        names = weight_shapes(model, own.vocabulary)
        for pattern in settings.decay_on:
            if not fnmatch.filter(names, pattern):
                yield "decay_on", pattern, f"matches no weight; they are {some(sorted(names))}"


def _decay(trained: Trained) -> Iterator[KeyFault]:
    """Yield a kind of decay that the update rule does not have."""
    if trained.settings.optimiser == "adamw" and trained.settings.decay == "coupled":
        yield "decay", "coupled", "adamw has decoupled decay; for coupled decay set optimiser: adam"


def _momentum(trained: Trained) -> Iterator[KeyFault]:
    """Yield momentum where the update rule has none."""
    if trained.settings.optimiser != "sgd" and trained.settings.momentum:
        yield "momentum", trained.settings.momentum, "belongs to optimiser: sgd; leave it out, or see beta1"


def _line_search(trained: Trained) -> Iterator[KeyFault]:
    """Yield settings with which a searching rule would compare different losses, or follow another gradient."""
    settings, rule = trained.settings, trained.settings.optimiser
    if rule not in LINE_SEARCHING:
        return
    if settings.batch_size != "full":
        yield "batch_size", settings.batch_size, f"should be full, since {rule} compares losses of the same examples"
    if settings.decay == "decoupled":
        yield "decay", "decoupled", f"should be coupled, or left out: {rule} adds the decay to the loss"
    for key in ("gradient_noise", "grokfast_lambda"):
        if value := getattr(settings, key):
            yield key, value, f"should be 0, since {rule} needs the exact gradient of the loss"


def _sizes(trained: Trained) -> Iterator[KeyFault]:
    """Yield a split without training or validation examples, or batches larger than the training split."""
    settings, n_training, n_examples = trained.settings, trained.counts.n_training, trained.counts.n_examples
    if not 0 < n_training < n_examples:
        which = "validation" if n_training else "training"
        yield trained.size_key, getattr(settings, trained.size_key), f"leaves no {which} example of {n_examples}"
    elif settings.batch_size != "full" and not 0 < settings.batch_size <= n_training:
        right = f"should be from 1 to the {n_training} training examples, or full"
        yield "batch_size", settings.batch_size, right


def _labels(trained: Trained) -> Iterator[KeyFault]:
    """Yield ways to draw random labels that the task, or the share of random labels, does not allow."""
    settings, vocabulary = trained.settings, trained.counts.vocabulary
    by, n = settings.label_noise_by, vocabulary.n_symbols
    if by != "example" and vocabulary.n_inputs != 2:
        yield "label_noise_by", by, f"should be example, since there are {vocabulary.n_inputs} inputs and not a pair"
    elif by == "latin_square":
        if settings.label_noise != 1:
            yield "label_noise", settings.label_noise, "should be 1, since latin_square draws all training labels"
        if (trained.counts.n_examples, vocabulary.n_classes) != (n**2, n):
            has = f"{trained.counts.n_examples:,} examples and {vocabulary.n_classes} answers"
            right = f"should be example or pair: a Latin square of {n} symbols needs all {n**2:,} pairs and {n} answers"
            yield "label_noise_by", by, f"{right}, and there are {has}"


def _spacings(trained: Trained) -> Iterator[KeyFault]:
    """Yield spacings with more steps than a job can hold at once."""
    schedule = trained.resolved.schedule
    for key, most in (("checkpoints", MOST_CHECKPOINTS), ("metrics", MOST_EVALUATIONS)):
        spacing = getattr(schedule, key)
        if (steps := schedule.steps // spacing.every + spacing.log) > most:
            right = f"gives up to {steps:,} steps of {schedule.steps:,}; at most {most:,} can be. Raise `every`"
            yield key, f"every {spacing.every}", right


def _until(trained: Trained) -> Iterator[KeyFault]:
    """Yield a fault if training ends with grokking's, but there is no other condition to wait for."""
    settings = trained.settings
    if trained.resolved.schedule.waits_for_partner and trained.study.conditions.get(BASE) in (None, settings):
        yield "until", settings.until, f"should be set only in conditions beside one named {BASE}, with which they end"


CHECKS: tuple[Callable[[Trained], Iterator[KeyFault]], ...] = (
    _parent,
    _network,
    _decay,
    _momentum,
    _line_search,
    _sizes,
    _labels,
    _spacings,
    _until,
)
"""Checks of every condition, in the order of their messages."""


def _planted(trained: Trained) -> Iterator[KeyFault]:
    """Yield settings that leave the modules of planted duels without examples or without random weights."""
    planted = trained.study.duels.planted
    assert planted is not None
    for key in ("parts", "batch_sizes"):
        if any(number > trained.counts.n_training for number in getattr(planted, key)):
            yield key, getattr(planted, key), f"should be at most the {trained.counts.n_training} training examples"
    if not round(planted.general_fraction * trained.counts.n_examples):
        right = f"leaves the generaliser no example of {trained.counts.n_examples}"
        yield "general_fraction", planted.general_fraction, right
    yield from _registered_duels(planted)
    initialisation = trained.resolved.model.initialisation
    if initialisation in ("fourier", "lookup_table"):
        yield "initialisation", initialisation, "should be random, since modules are trained"


def _registered_duels(planted: PlantedSettings) -> Iterator[KeyFault]:
    """Yield lists of planted duels that leave out, or do not begin with, the registered choice of the claims."""
    if "sgd" not in planted.rules:
        yield "rules", sorted(planted.rules), "should include sgd, which the claims are judged by"
    if planted.initial_shares[0] != 0.5:
        yield "initial_shares", planted.initial_shares, "should begin with 0.5, which the claims are judged by"
    if planted.label_noises[0] != 0:
        yield "label_noises", planted.label_noises, "should begin with 0, which the claims are judged by"
    if planted.label_noise:
        yield "label_noise", planted.label_noise, "should be 0: label_noises has the rates of wrong labels"
    if planted.perturbation:
        yield "perturbation", planted.perturbation, "should be 0, since it moves the weights of conditions alone"


def _toy_sizes(study: Study, toy: ToySettings) -> Iterator[Fault]:
    """Yield numbers of pairs that are larger than the number of all pairs, and more toys or steps than a job holds."""
    crossed = len(toy.attentions) * len(toy.sharings) * len(toy.coverages)
    crossed *= max(len(rule.weight_decays) for rule in toy.rules.values())
    varied = 1 + len(toy.batch_sizes) * study.replicas + len(toy.orders) * study.replicas
    varied += len(toy.initial_shares) + len(toy.frequencies)
    if (toys := crossed * varied) > MOST_TOYS:
        yield ("duels", "toy"), f"{toys:,} toys", f"should be at most {MOST_TOYS:,}; shorten its lists"
    if toy.steps // toy.block_steps > 1000:
        right = f"should be at least {toy.steps // 1000}, a thousandth of its steps"
        yield ("duels", "toy", "block_steps"), toy.block_steps, right
    for key in ("coverages", "batch_sizes"):
        if any(number > toy.pairs for number in getattr(toy, key)):
            yield ("duels", "toy", key), getattr(toy, key), f"should be at most pairs = {toy.pairs}"


def _registered_choices(measured: MeasurementSettings) -> Iterator[Fault]:
    """Yield lists of choices that leave out the registered one, or name one twice.

    Claims are judged from the registered choice, so every study that measures at all must have it.
    """
    site, split = REGISTERED["site"], REGISTERED["split"]
    attributed = {f"{name}s": REGISTERED[name] for name in ("method", "target", "normalisation", "site")}
    deleted = {"sites": site, "deletions": "zero", "rankings": "mean_magnitude", "splits": split}
    needed = {"saliency": attributed, "ablation": {**deleted, "dead_units": "included"}}
    if measured.specifications is not None:
        ranked = {"statistics": "mean_magnitude", "splits": split, "deletions": "zero", "damage_sites": site}
        needed["specifications"] = {**attributed, **ranked, "dead_units": "included"}
    for section, keys in needed.items():
        for key, value in keys.items():
            choices = getattr(getattr(measured, section), key)
            if value not in choices:
                yield ("measurements", section, key), choices, f"should include {value}, which the claims are judged by"
            if len(set(choices)) < len(choices):
                yield ("measurements", section, key), choices, "should name each choice once"
    curves = measured.specifications
    if curves is not None and not set(curves.damage_sites) <= set(curves.sites):
        place = ("measurements", "specifications", "damage_sites")
        yield place, curves.damage_sites, f"should be among sites = {curves.sites}"
