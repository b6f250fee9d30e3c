"""Names and shapes of a network's weights, worked out from its settings alone.

The config and the memory estimates use them, so this module does not import torch. A test compares them with networks.
"""

from __future__ import annotations

from general_circuits.models.settings import Model
from general_circuits.tasks.vocabulary import Vocabulary

Shapes = dict[str, tuple[int, ...]]


def weight_shapes(model: Model, vocabulary: Vocabulary) -> Shapes:
    """Map each name of `Network.named_parameters()` to its shape, in no particular order."""
    return (_of_mlp if model.architecture == "mlp" else _of_transformer)(model, vocabulary)


def _of_transformer(model: Model, vocabulary: Vocabulary) -> Shapes:
    d, m, heads, n_classes = model.d_model, model.d_mlp, model.n_heads, vocabulary.n_classes
    block: Shapes = {f"attn.W_{x}": (heads, d, d // heads) for x in "QKV"}
    block |= {"attn.W_O": (heads, d // heads, d), "mlp.W_in": (d, m), "mlp.W_out": (m, d)}
    outside: Shapes = {"embed.W_E": (vocabulary.n_symbols + 1, d), "unembed.W_U": (d, n_classes)}
    if model.biases != "none":
        block |= {"mlp.b_in": (m,), "mlp.b_out": (d,)}
    if model.biases in ("blocks", "all"):
        block |= {f"attn.b_{x}": (heads, d // heads) for x in "QKV"} | {"attn.b_O": (d,)}
    if model.biases == "all":
        outside["unembed.b_U"] = (n_classes,)
    if model.normalisation != "none":
        block |= dict.fromkeys(("ln1.w", "ln1.b", "ln2.w", "ln2.b"), (d,))
    if model.normalisation == "pre":
        outside |= dict.fromkeys(("ln_final.w", "ln_final.b"), (d,))
    if model.positions == "learned":
        outside["pos_embed.W_pos"] = (vocabulary.n_inputs + 1, d)
    return outside | {f"blocks.{i}.{name}": shape for i in range(model.n_layers) for name, shape in block.items()}


def _of_mlp(model: Model, vocabulary: Vocabulary) -> Shapes:
    m, outputs = model.d_mlp, 1 if model.outputs == "sign" else vocabulary.n_classes
    shapes: Shapes = {"unembed.W_U": (m, outputs)}
    if model.inputs == "embedding":
        shapes["embed.W_E"] = (vocabulary.n_symbols, model.d_model)
    if model.biases == "all":
        shapes["unembed.b_U"] = (outputs,)
    for i, width in enumerate([model.input_width(vocabulary)] + [m] * (model.n_layers - 1)):
        shapes[f"blocks.{i}.mlp.W_in"] = (width, m)
        if model.biases != "none":
            shapes[f"blocks.{i}.mlp.b_in"] = (m,)
    return shapes
