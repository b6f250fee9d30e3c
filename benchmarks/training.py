"""Cost of a training step in plain and in reduced arithmetic, early and late in a run; cost of a job beside its steps.

`make bench` runs this. It prints one table, writes it as Parquet under results/, and puts it into the README between
its marks. Plain and reduced steps take turns on one thread, so their ratio holds on a machine whose speed drifts. Times
are medians.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from types import FunctionType
from typing import Any

import pandas as pd
import torch

from general_circuits import devices, formatting
from general_circuits.config.load import load
from general_circuits.documentation.readme import between
from general_circuits.pipeline.timings import generated_replica, generated_splits
from general_circuits.storage import checkpoints
from general_circuits.storage.training_states import States
from general_circuits.tasks import registry
from general_circuits.training import loop
from general_circuits.training.reduced import EXAMPLES_PER_SLICE
from general_circuits.training.reduced.network import Reduced
from general_circuits.training.replica import Replica
from general_circuits.training.settings import Condition

ROOT = Path(__file__).parents[1]
TABLE, README = ROOT / "results" / "benchmarks.parquet", ROOT / "README.md"
ROUNDS = 15
"""Number of turns. One turn is one plain step and four reduced ones."""

P113 = {"modulus": 113, "train_fraction": 0.3, "split_by": "example"}
POST = {"normalisation": "post", "biases": "none", "positions": "sinusoidal"}
PRE = {"normalisation": "pre", "activation": "gelu", "biases": "all"}
CASES: dict[str, dict[str, Any]] = {
    "1 layer, p = 113, full batch": {**P113, "batch_size": "full"},
    "1 layer, p = 113": {**P113, "batch_size": 512},
    "1 layer, p = 59": {"modulus": 59, "train_fraction": 0.7, "batch_size": 256},
    "2 layers, p = 113": {**P113, "batch_size": 512, "n_layers": 2},
    "2 layers, post-norm, p = 97": {"modulus": 97, "train_fraction": 0.5, "batch_size": 512, "n_layers": 2, **POST},
    "2 layers, pre-norm, p = 113": {**P113, "batch_size": 512, "n_layers": 2, **PRE},
}
SMALL = {
    "modulus": 59,
    "train_fraction": 0.65,
    "d_model": 64,
    "d_mlp": 256,
    "batch_size": "full",
    "learning_rate": 4e-3,
}
LONG: dict[str, dict[str, Any]] = {
    "with weight decay": {**SMALL, "weight_decay": 1.0},
    "without": {**SMALL, "weight_decay": 0.0},
}
"""Conditions of the workstation study whose steps are timed along a run."""
MOMENTS = (50, 500, 1000, 2000)
"""Steps around which they are timed."""
TIMED = 30
"""Number of updates that are timed at each of these steps."""
KINDS = ("products", "rows", "elementwise")
"""Kinds of calls in a reduced step: matrix products, sums of table rows, elementwise ones."""
PRODUCTS = {"mm", "addmm", "bmm", "addmm_", "baddbmm_"}
"""Names of torch's matrix products that reduced steps call."""


def main() -> None:
    """Measure, print the table, write it as Parquet, and refresh the README."""
    devices.set_up("cpu")
    table = pd.DataFrame([_steps(name, settings) for name, settings in CASES.items()])
    overhead = _overhead()
    later = pd.DataFrame([_along(name, settings) for name, settings in LONG.items()])
    TABLE.parent.mkdir(exist_ok=True)
    table.assign(**overhead).to_parquet(TABLE)
    text = _markdown(table, overhead) + "\n" + _markdown_along(later)
    print(text)
    README.write_text(between(README.read_text(encoding="utf-8"), "bench", text), encoding="utf-8")


def _condition(settings: dict[str, Any]) -> Condition:
    study = load({"study": "bench", "conditions": {"case": settings}})
    return study.conditions["case"].resolve()


def _replica(settings: dict[str, Any], arithmetic: str) -> Replica:
    return generated_replica(_condition({**settings, "arithmetic": arithmetic}), seed=1000)


def _steps(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return one row: the times of both steps, and the parts of the reduced step."""
    plain, reduced = _replica(settings, "plain"), _replica(settings, "reduced")
    times: dict[str, list[float]] = {kind: [] for kind in ("plain", "reduced", "alone", *KINDS)}
    network = reduced.network
    assert isinstance(network, Reduced)
    reduced.update(is_observed=False)
    calls = _calls(network, reduced.batches.size)
    # The products are also timed by themselves: the rate that the machine reaches on them at best.
    products = [call for call in calls if _is_product(call)]
    for _ in range(ROUNDS):
        times["plain"].append(_time(lambda: plain.update(is_observed=False), 1))
        times["reduced"].append(_time(lambda: reduced.update(is_observed=False), 4))
        times["alone"].append(sum(_time(call, 8, warm=2) for call in products))
        for kind, seconds in _time_by_kind(calls).items():
            times[kind].append(seconds)
    medians = {kind: median(of) for kind, of in times.items()}
    operations = sum(_operations(call) for call in products)
    return {
        "case": name,
        "batch": reduced.batches.size,
        "plain_ms": medians["plain"] * 1e3,
        "reduced_ms": medians["reduced"] * 1e3,
        "ratio": medians["plain"] / medians["reduced"],
        "gflop": operations / 1e9,
        "machine_gflops": operations / medians["alone"] / 1e9,
        "share_of_machine": medians["alone"] / medians["reduced"],
        **{f"{kind}_share": medians[kind] / medians["reduced"] for kind in KINDS},
    }


def _calls(network: Reduced, batch: int) -> list[Callable[[], Any]]:
    """Return every call of a step, with the calls of a slice once for each slice of the batch."""
    calls = [*network.tokens.tape.forward]
    for part in torch.empty(batch).split(EXAMPLES_PER_SLICE):
        tape = network.slices[len(part)].tape
        calls += [*tape.forward, *tape.backward]
    return calls + network.tokens.tape.backward


def _is_product(call: Callable[[], Any]) -> bool:
    return isinstance(call, partial) and call.func.__name__ in PRODUCTS


def _operations(call: partial[Any]) -> int:
    """Return the number of multiplications and additions of a matrix product."""
    left, right = [part for part in call.args if part.dim() > 1][-2:]
    return 2 * left.numel() * right.shape[-1]


def _time(work: Callable[[], Any], repeats: int, warm: int = 1) -> float:
    """Return the mean seconds of one call, after some calls that are not timed."""
    for _ in range(warm):
        work()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def _time_by_kind(calls: list[Callable[[], Any]]) -> dict[str, float]:
    """Return the seconds that the calls of a step take within the step, by kind."""
    times = dict.fromkeys(KINDS, 0.0)
    for call in calls:
        start = time.perf_counter()
        call()
        is_ours = isinstance(call, partial) and isinstance(call.func, FunctionType)
        kind = "products" if _is_product(call) else "rows" if is_ours else "elementwise"
        times[kind] += time.perf_counter() - start
    return times


def _overhead() -> dict[str, float]:
    """Return the cost of a job of the workstation study beside its steps: seconds to start, shares of time to write."""
    start_up = median(
        _time(lambda: subprocess.run([sys.executable, "-c", START_UP], check=True), 1, warm=0) for _ in range(5)
    )
    condition = _condition({"modulus": 59, "train_fraction": 0.7, "batch_size": 256, "steps": 1500})
    every_hundred = dataclasses.replace(condition.schedule.checkpoints, log=8, every=100)
    condition = dataclasses.replace(
        condition, schedule=dataclasses.replace(condition.schedule, checkpoints=every_hundred)
    )
    spent: list[float] = []

    class Timed(States):
        def keep(self, *arguments: Any) -> None:
            start = time.perf_counter()
            super().keep(*arguments)
            spent.append(time.perf_counter() - start)

    task = registry.generate(condition.task)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        splits = generated_splits(condition, seed=1000)
        run = loop.train(condition, splits, task.vocabulary, 1000, states=Timed(Path(folder) / "states"))
        trained = time.perf_counter() - start
        writing = _time(
            lambda: checkpoints.write(Path(folder) / "weights", 1000, run.weights, run.steps, run.model), 1, warm=0
        )
    return {
        "start_up_s": start_up,
        "checkpoint_writing_s": writing,
        "checkpoint_writing_share": writing / trained,
        "state_writing_share": sum(spent) / trained,
    }


def _along(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return one row: the time of a step at each of `MOMENTS`; at the last one also with subnormal numbers kept."""
    replica = generated_replica(_condition({**settings, "steps": MOMENTS[-1] + 4 * TIMED}), seed=1000)
    row: dict[str, Any] = {"case": name}
    for moment in MOMENTS:
        while replica.step < moment:
            replica.update(is_observed=False)
        row[f"{moment}"] = _time(lambda: replica.update(is_observed=False), TIMED) * 1e3
    torch.set_flush_denormal(False)
    row["kept"] = _time(lambda: replica.update(is_observed=False), TIMED) * 1e3
    torch.set_flush_denormal(True)
    return row


HEADER = (
    *("network", "batch", "plain, ms", "reduced, ms", "times as fast", "of the machine's matrix rate"),
    " · ".join([*KINDS, "rest"]),
)
START_UP = "import general_circuits.stages.train_block as stage; stage.devices.set_up('cpu')"


def _markdown(table: pd.DataFrame, overhead: dict[str, float]) -> str:
    rows = []
    for row in table.itertuples():
        shares = [getattr(row, f"{kind}_share") for kind in KINDS]
        spent = " · ".join(f"{share:.0%}" for share in [*shares, 1 - sum(shares)])
        times = (f"{row.plain_ms:.1f}", f"{row.reduced_ms:.1f}", f"{row.ratio:.1f}")
        rate = f"{row.share_of_machine:.0%} of {row.machine_gflops:.0f} GFLOP/s"
        rows.append((row.case, f"{row.batch:,}", *times, rate, spent))
    checkpoint_share, state_share = overhead["checkpoint_writing_share"], overhead["state_writing_share"]
    return (
        f"{formatting.markdown_table(HEADER, rows)}\n"
        f"A training job takes {overhead['start_up_s']:.1f} s to start; writing its checkpoints takes"
        f" {checkpoint_share:.1%} of its time, and its states {state_share:.1%}.\n"
    )


def _markdown_along(table: pd.DataFrame) -> str:
    header = [
        "the default study's network",
        *(f"step {moment:,}, ms" for moment in MOMENTS),
        f"step {MOMENTS[-1]:,}, subnormal numbers kept",
    ]
    rows = [
        [str(row["case"]), *(f"{row[f'{moment}']:.1f}" for moment in MOMENTS), f"{row['kept']:.1f}"]
        for row in table.to_dict("records")
    ]
    return formatting.markdown_table(header, rows)


if __name__ == "__main__":
    main()
