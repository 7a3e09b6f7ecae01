"""LLM-MRI's own names on this library: a user of that package changes one import.

Each method is a call of ``llm_mri_store.api``. What LLM-MRI computes rightly comes out as there; where it
errs, the right number comes out (docs/from-llm-mri.md lists both). Charts are Altair's instead of
matplotlib's, and everything computed is kept in a store.

>>> from llm_mri_store.activation_areas import PCA, ActivationAreas
>>> reducer = PCA(n_components=2, random_state=42, gridsize=10)
"""

from llm_mri_store.activation_areas.areas import LLM_MRI, ActivationAreas
from llm_mri_store.activation_areas.evaluation import Evaluation
from llm_mri_store.activation_areas.methods import PCA, SVD, UMAP, ReductionMethod
from llm_mri_store.activation_areas.metrics import Metrics

__all__ = ["LLM_MRI", "PCA", "SVD", "UMAP", "ActivationAreas", "Evaluation", "Metrics", "ReductionMethod"]
