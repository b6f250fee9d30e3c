"""Saliency: how much each neuron contributed to each answer. One method a file; `measure` has them all."""
