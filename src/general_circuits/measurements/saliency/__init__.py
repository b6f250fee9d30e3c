"""Saliency: how much each neuron contributed to each answer. One method a file; `measure` has them all."""

LOGITS_PER_PASS = 2**22
"""Most logits that one block of deletions has, unless those of a single neuron are more."""
