"""Ablation: delete neurons in some order, and see what the network can still do."""
