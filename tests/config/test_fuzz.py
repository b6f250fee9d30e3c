"""Random configs: each is refused by its keys, or planned, within seconds and without a traceback.

`FUZZED` is the number of configs; `make fuzz` tries 5,000.
"""

from __future__ import annotations

import os
import time
from random import Random

import pytest
from config_space import mutated, valid

from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load
from general_circuits.config.read import parsed
from general_circuits.pipeline.dag import Dag

FUZZED, CHUNKS = int(os.environ.get("FUZZED", "150")), 10


def planned(text: str) -> str:
    """Return the message that refuses a config; after all questions of the rules are answered, an empty text."""
    try:
        dag = Dag(load(parsed(text, "fuzzed.yaml")))
    except ConfigError as error:
        return str(error)
    dag.whole_tables(dag.tables_of_blocks)
    assert dag.example_saliency() is not None
    assert dag.conditions_option
    for claim in dag.measured_claims:
        dag.claim_tables(claim)
        dag.specified_tables(claim)
    for drawing in dag.drawings:
        dag.figure_tables(drawing)
    for name in dag.conditions:
        dag.settings_option(name)
        for rule in ("train_block", "extract_saliency", "ablate_neurons", "measure_progress", "watch_spikes"):
            dag.mb(rule, name)
    return ""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_random_config_is_refused_by_its_keys_or_planned(chunk: int) -> None:
    refused = 0
    for number in range(FUZZED // CHUNKS):
        random = Random(f"{chunk} {number} {os.environ.get('SEED', '')}")
        text = mutated(random, valid(random))
        start = time.monotonic()
        message = planned(text)
        assert time.monotonic() - start < 10, text
        if message:
            refused += 1
            assert "fuzzed.yaml" in message or message.startswith("the config cannot run:\n  "), message
            assert max(map(len, message.splitlines())) < 1000, message
    print(f"chunk {chunk}: {refused} of {FUZZED // CHUNKS} refused, the others planned")
