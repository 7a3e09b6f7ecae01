"""Activations in, points and cells out: pca, svd, umap, and the grid. Knows no store."""
