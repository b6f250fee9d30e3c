"""Updates: what neurons are, what the loss asks of their weights, and what training makes of them.

`outer` has every example's gradient in each neuron's weights without a backward pass for each; `movement` what became
of the weights between two checkpoints; `measure` all that is written of a checkpoint.
"""
