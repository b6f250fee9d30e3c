"""Neurons, their gradients and their updates, checkpoint by checkpoint.

The module `outer` measures every example's gradient in each neuron's weights without a backward pass for each example.
The module `movement` measures how the weights moved between two checkpoints. The module `measure` adds each neuron's
saliency and makes the table.
"""
