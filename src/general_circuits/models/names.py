"""What a network's weights are called, from its settings alone: a config is checked without torch."""

from __future__ import annotations

from general_circuits.conditions import Model


def weight_names(model: Model) -> list[str]:
    """The names of `Network.named_parameters()`, in no particular order."""
    if model.architecture == "mlp":
        names = ["embed.W_E"] if model.inputs == "embedding" else []
        block = ["mlp.W_in"] + ["mlp.b_in"] * (model.biases != "none")
    else:
        names = ["embed.W_E"] + ["pos_embed.W_pos"] * (model.positions == "learned")
        block = [*(f"attn.W_{x}" for x in "QKVO"), "mlp.W_in", "mlp.W_out"]
        block += ["mlp.b_in", "mlp.b_out"] * (model.biases != "none")
        block += [f"attn.b_{x}" for x in "QKVO"] * (model.biases in ("blocks", "all"))
        block += ["ln1.w", "ln1.b", "ln2.w", "ln2.b"] * (model.normalisation != "none")
        names += ["ln_final.w", "ln_final.b"] * (model.normalisation == "pre")
    names += [f"blocks.{layer}.{name}" for layer in range(model.n_layers) for name in block]
    return names + ["unembed.W_U"] + ["unembed.b_U"] * (model.biases == "all")
