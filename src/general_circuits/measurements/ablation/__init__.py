"""Ablation: delete neurons in some order, and measure how well the network still answers."""
