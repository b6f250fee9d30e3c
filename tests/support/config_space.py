"""Random configs: tiny valid ones from the whole space of settings, and mutations of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import yaml

from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load

Item = TypeVar("Item")
Config = dict[str, Any]
EVENTS = ("memorised", "onset", "generalised", "step 0", "step 3", "validation_loss_peak")
METHODS = ("integrated_gradients", "integrated_gradients_from_mean", "conductance", "ablation_effect", "shapley")
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 7, 10**6, 2**31, 2**63, 10**30, 0.5, -0.0, 1e-320, 1e30, 1e300, 1e308),
    *(float("inf"), float("nan"), "", "x", "all", "full", "٣", "x10", "x1e400", "1e-3", "step ٣", "{wildcards.block}"),
    *("</script>", "a" * 251, "a" * 5000, "\0", "a\nb", "../../x", "x+y # z", "0x10", "'", '"', "{}", "on", "é", "🦆"),
    *([], {}, [[]], [1, 2], ["x"], [None], {"a": 1}, [["x"] * 3] * 3, {"from": ["a"]}, ["saliency", "salience"]),
    *(
        "2 generalised",
        "1e400 generalised",
        "S5",
        "S9",
        "D7",
        "x^99",
        "x/y",
        "step 99999999999999999999",
        list(range(500)),
    ),
)
"""Values that are wrong in most places."""


def some(random: Random, items: tuple[Item, ...], *first: Item) -> list[Item]:
    """Return `first`, and a random choice of other items."""
    return [*first, *random.sample(items, random.randint(0, min(3, len(items))))]


def some_keys(random: Random, makers: dict[str, Callable[[], Any]], chance: float = 0.5) -> Config:
    """Return some of these keys, each with a value from its maker."""
    return {key: make() for key, make in makers.items() if random.random() < chance}


def task(random: Random) -> Config:
    """Return settings of a task of any family."""
    pick, p = random.choice, random.choice([5, 7, 11, 13])
    formula = f"{pick(['x', '2*x', 'x^3', '-x'])}{pick('+-*')}{pick(['y', '3', 'y^2', '(x-y)'])}"
    named = ["x+y", "x-y", "x*y", "x/y", "x^2+y^2", "x/y if y is odd else x-y", "x^3+x*y", "x ** 2 + x*y + y ** 2"]
    swapped = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    return pick(
        [
            {"operation": pick(named), "modulus": p},
            {"operation": pick(named), "modulus": p},
            {"operation": random.sample(named, 2), "modulus": p},
            {"expression": formula, "modulus": pick([4, 6, p])},
            {"expression": [formula, "x+y if x is even else x*y"], "modulus": p},
            {"operation": pick(["x*y", "x*y*x^-1", "x*y*x"]), "group": pick(["S3", "D3", "C6", "D4", swapped])},
            {
                "operation": "sparse_parity",
                "bits": pick([4, 9]),
                "relevant_bits": pick([1, 3]),
                "examples": pick([16, 60]),
            },
            {"operation": "boolean", "bits": 4, "function": pick(["and", "or", "parity", "majority", "0110" * 4])},
            {"operation": "digits"},
        ]
    )


def split(random: Random) -> Config:
    """Return settings of a split."""
    pick = random.choice
    size = pick([{"train_fraction": pick([0.3, 0.5, 0.65, 0.9])}, {"train_count": pick([5, 10, 12])}])
    makers = {
        "split_by": lambda: pick(["pair", "example"]),
        "split_seed": lambda: pick(["replica", 0, 2_000_000_000]),
        "label_seed": lambda: pick(["replica", 3]),
    }
    noise = pick([{}, {}, {"label_noise": 0.3}, {"label_noise": 1.0, "label_noise_by": pick(["pair", "latin_square"])}])
    return {**size, **some_keys(random, makers, 0.3), **noise}


def network(random: Random) -> Config:
    """Return settings of a small network with any preset."""
    pick = random.choice
    own = {"perturbation": lambda: pick([0.0, 1e-7, 1e-2]), "activation": lambda: pick(["relu", "gelu", "quadratic"])}
    own |= {"n_layers": lambda: pick([1, 1, 2])}
    preset = pick(["power", "nanda", "pre_norm", "quadratic_mlp", "parity_mlp", "mlp"])
    sizes: Config = {"preset": preset, "d_mlp": pick([8, 9, 16, 24])}
    if preset in ("power", "nanda", "pre_norm"):
        sizes |= {"d_model": 8, "n_heads": pick([1, 2, 4])}
        own |= {
            "normalisation": lambda: pick(["none", "pre", "post"]),
            "biases": lambda: pick(["none", "mlp", "blocks", "all"]),
            "positions": lambda: pick(["learned", "sinusoidal"]),
            "initialisation": lambda: pick(["normal", "linear", "multihead"]),
            "arithmetic": lambda: "plain",
        }
    else:
        inputs = pick(["one_hot", "ordinal", "embedding"])
        sizes |= {"inputs": inputs, **({"d_model": 6} if inputs == "embedding" else {})}
        own |= {
            "biases": lambda: pick(["none", "mlp", "all"]),
            "initialisation": lambda: pick(["linear", "mean_field"]),
            "outputs": lambda: pick(["classes", "classes", "sign"]),
        }
    return {**sizes, **some_keys(random, own, 0.3)}


def optimiser(random: Random) -> Config:
    """Return settings of an optimiser, with extreme numbers at times."""
    pick = random.choice
    rule = pick(["adamw", "adamw", "adam", "sgd", "line_search", "lbfgs"])
    searches = rule in ("line_search", "lbfgs")
    makers: dict[str, Callable[[], Any]] = {
        "learning_rate": lambda: pick([1e-300, 1e-10, 1e-3, 1e-2, 0.1, 1.0, 1000.0]),
        "warm_up": lambda: pick([0, 1, 10_000_000]),
        "weight_decay": lambda: pick([0.0, 1e-300, 0.1, 1.0, 1000.0]),
        "decay_on": lambda: pick(["all", ["*"], ["*W*"]]),
        "loss": lambda: pick(["cross_entropy", "mean_squared_error", "hinge", "stablemax"]),
        "loss_precision": lambda: pick(["float32", "float64"]),
    }
    if not searches:
        makers |= {
            "decay": lambda: "decoupled" if rule == "adamw" else pick(["coupled", "decoupled"]),
            "beta1": lambda: pick([0.0, 0.9, 0.999999999]),
            "beta2": lambda: pick([0.0, 0.98, 0.999999999]),
            "epsilon": lambda: pick([1e-300, 1e-8, 1]),
            "gradient_noise": lambda: pick([0.0, 1e-3, 1000.0]),
            "grokfast_alpha": lambda: pick([0.0, 0.98]),
            "grokfast_lambda": lambda: pick([0.0, 2.0, 1000.0]),
        }
    if rule == "sgd":
        makers["momentum"] = lambda: pick([0.0, 0.9, 0.999999])
    return {
        "optimiser": rule,
        "batch_size": "full" if searches else pick(["full", 1, 3, 4]),
        **some_keys(random, makers),
    }


def schedule(random: Random) -> Config:
    """Return a short schedule."""
    pick = random.choice
    makers = {
        "checkpoints": lambda: some_keys(random, {"log": lambda: pick([1, 3]), "every": lambda: pick([1, 4, 10**7])}),
        "metrics": lambda: some_keys(random, {"log": lambda: pick([1, 10_000]), "every": lambda: pick([1, 5, 10**7])}),
        "until": lambda: pick([0.01, 1.5, 1000, "1 generalised", "1000 generalised"]),
    }
    return {"steps": pick([0, 1, 2, 7, 20, 40]), **some_keys(random, makers, 0.4)}


def condition(random: Random) -> Config:
    """Return all settings of one condition."""
    own = {**task(random), **split(random), **network(random), **optimiser(random), **schedule(random)}
    names = ("ablation", "progress", "updates", "answers", "spikes")
    measured = random.choice([None, "all", [], some(random, names, "saliency")])
    return own if measured is None else {**own, "measurements": measured}


def branch(random: Random, parent: str) -> Config:
    """Return a branch of a condition."""
    pick = random.choice
    makers: dict[str, Callable[[], Any]] = {
        "learning_rate": lambda: pick(["x10", "x0.1", "x 2", 1e-3]),
        "weight_decay": lambda: pick(["x2", 0.0, 3]),
        "label_noise": lambda: pick([0.0, 1.0]),
        "steps": lambda: pick(["x2", 5]),
        "kick": lambda: pick([0.0, 0.5, 1000]),
        "mask": lambda: pick([0.0, 0.5, 0.999]),
        "temperature": lambda: pick([1e-300, 0.5, 1e6]),
        "ignore_above": lambda: pick([1e-300, 0.5, 1]),
        "batch_noise": lambda: pick([1, 3]),
        "noise_instead": lambda: pick([0, 0.1, 1000]),
        "noise_examples": lambda: pick([1, 2]),
    }
    made: Config = {"from": parent, "at": pick(EVENTS), "change": some_keys(random, makers, 0.2)}
    if random.random() < 0.6:
        made |= {"for": pick([1, 3, 10]), "then": pick(["back", "anneal", "stop"])}
    measured = pick([{}, {"measurements": "all"}, {"measurements": ["progress", "updates"]}])
    return {"branch": made, **measured}


def measurements(random: Random) -> Config:
    """Return small settings of the measurements."""
    pick = random.choice
    sites = lambda: some(random, ("head_outputs", "heads"), "mlp")  # noqa: E731
    attribution: dict[str, Callable[[], Any]] = {
        "methods": lambda: some(random, METHODS, "activation_gradient"),
        "targets": lambda: some(random, ("right_logit", "margin", "log_probability"), "right_minus_mean"),
        "normalisations": lambda: some(random, ("matched", "per_example"), "raw"),
        "sites": sites,
        "completeness_error": lambda: pick([1e-300, 1e-3, 1]),
    }
    efforts = {"examples": 4, "integration_steps": 2, "most_integration_steps": 4, "permutations": 2}
    ablation: dict[str, Callable[[], Any]] = {
        "sites": sites,
        "deletions": lambda: some(random, ("mean", "resample"), "zero"),
        "rankings": lambda: some(random, ("median", "breadth", "activation_norm", "weight_norm"), "mean_magnitude"),
        "dead_units": lambda: some(random, ("excluded",), "included"),
        "splits": lambda: some(random, ("validation",), "train"),
        "k_points": lambda: pick([2, 5, "all"]),
        "checkpoints": lambda: pick([1, 3, "all"]),
        "examples": lambda: pick([1, 20]),
    }
    few = {"checkpoints": pick([1, 2, "all"])}
    onset = {"before": pick([1, 10**7]), "after": pick([1, 10**7]), "every": pick([1, 10**7])}
    parts: dict[str, Callable[[], Any]] = {
        "progress": lambda: {**few, "examples": pick([0, 2]), "examples_checkpoints": 1},
        "updates": lambda: few,
        "answers": lambda: few,
        "spikes": lambda: {"threshold": pick([1.0000001, 1e6]), "most": pick([1, 3])},
        "specifications": lambda: {**efforts, "methods": ["activation_gradient", "ablation_effect"]},
        "onset": lambda: onset,
    }
    return {
        "saliency": {**efforts, **some_keys(random, attribution), **few, "by_example": pick([0, 0, 1])},
        "ablation": {"random_draws": pick([1, 2]), **some_keys(random, ablation)},
        **some_keys(random, parts),
    }


def duels(random: Random) -> Config:
    """Return tiny duels of both kinds, or none."""
    pick = random.choice
    rule = lambda: {"learning_rate": pick([1e-3, 0.1, 1000]), "weight_decays": pick([[0], [0.01], [0.0, 1000]])}  # noqa: E731
    toy = {
        "pairs": 3,
        "margin": pick([1e-3, 4.0, 50]),
        "coverages": pick([[1], [1, 3]]),
        "batch_sizes": pick([[], [1], [1, 3]]),
        "orders": pick([[], ["sequential"], ["blocked", "shuffled"]]),
        "initial_shares": pick([[], [0.001, 0.5, 0.999]]),
        "frequencies": pick([[], [1, 1000]]),
        "rules": {name: rule() for name in some(random, ("momentum", "adam", "adamw"), "sgd")},
        "steps": pick([1, 15]),
        "block_steps": pick([1, 5, 10**7]),
    }
    planted = {
        "modulus": pick([5, 7]),
        "d_mlp": pick([8, 16]),
        "parts": pick([[1], [1, 4], [4]]),
        "general_steps": pick([1, 5]),
        "memory_steps": pick([1, 5]),
        "general_fraction": pick([0.05, 0.9]),
        "label_noises": pick([[0.0], [0.0, 0.1], [0.0, 0.99]]),
        "batch_sizes": pick([[0], [1, 0], [4]]),
        "margins": pick([[4.0], [0.001, 50]]),
        "initial_shares": pick([[0.5], [0.5, 0.001, 0.999]]),
        "rules": {name: rule() for name in some(random, ("momentum", "adam", "adamw"), "sgd")},
        "settling": pick([{}, {"sgd": 2}]),
        "duel_steps": pick([1, 4]),
        "evaluations": pick([1, 3, 10_000]),
    }
    return some_keys(random, {"toy": lambda: toy, "planted": lambda: planted}, 0.3)


def candidate(random: Random) -> Config:
    """Return a tiny config that is valid as a rule."""
    names = random.sample(
        ["grokking", "random_labels", "abcd_efgh" * 7 + "x", "on", "class", "b2"], random.choice([1, 1, 1, 2])
    )
    conditions = {name: condition(random) for name in names}
    if random.random() < 0.4:
        conditions["fast"] = branch(random, names[0])
    block = random.choice([1, 1, 1, 2])
    keep = {"weights": random.random() < 0.7, "states": random.choice([0, 1, 8])}
    return {
        "study": random.choice(["tiny", "study_of_" * 7]),
        "replicas": block * random.choice([1, 1, 1, 2]),
        "block": block,
        "first_seed": random.choice([0, 1000, 2_000_000_000]),
        "conditions": conditions,
        "measurements": measurements(random),
        "duels": duels(random),
        "keep": keep,
    }


def valid(random: Random) -> Config:
    """Return a tiny config that is valid. Candidates whose settings contradict each other are left out."""
    while True:
        config = candidate(random)
        try:
            load(config)
        except ConfigError:
            continue
        return config


def mutated(random: Random, config: Config) -> str:
    """Return a config's text after one to four mutations of its values, its keys and its letters."""
    changed = copy.deepcopy(config)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        _mutate(random, changed)
    text = yaml.safe_dump(changed, allow_unicode=True, sort_keys=False)
    lines = text.split("\n")
    match random.randint(0, 11):
        case 0:  # a key, or a whole condition, twice
            start = random.randrange(len(lines))
            lines[start:start] = lines[start : start + random.randint(1, 5)]
        case 1:
            lines[random.randrange(len(lines))] += random.choice(
                ["\t", "\0", " #", ": :", " *x", " &x", "'", "[" * 3000]
            )
        case 2:
            lines[0] = random.choice(
                ["%YAML 1.1\n---", "---\n", "...", "on: 1", "1: 2", "a: &x [*x]", "__use_yte__: true"]
            )
        case 3:
            return text[: random.randrange(len(text))]
    return "\n".join(lines)


def _mutate(random: Random, config: Config) -> None:
    """Change one value or key anywhere in a config, in place."""
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [config]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part))
        places += [(part, key) for key in keys]
        waiting += [part[key] for key in keys if isinstance(part[key], (dict, list))]
    part, key = random.choice(places)
    other, other_key = random.choice(places)
    match random.randint(0, 5):
        case 0 if isinstance(part, dict):
            part[random.choice(["on", "1", "steps", "branch", "x" * 300, "a.b", f"{key}s"])] = part.pop(key)
        case 1:
            part[key] = copy.deepcopy(other[other_key])
        case 2 if isinstance(part, dict):
            del part[key]
        case _:
            part[key] = copy.deepcopy(random.choice(ODD))
