"""Measurements of a network at its checkpoints: saliency, ablation, progress, updates, answers."""
