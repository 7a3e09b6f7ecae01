"""Texts and a model in, pooled activations out: sources, models, batching, pooling. Knows no store."""
