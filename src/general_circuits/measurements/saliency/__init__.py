"""Saliency: the contribution of each neuron to each answer. One method per file. `measure` runs them all."""

LOGITS_PER_PASS = 2**22
"""Most logits that one block of deletions holds. A block has at least one neuron, whatever its number of logits."""
