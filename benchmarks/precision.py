"""What 16 bits cost: the demo corpus read in each precision, against float32.

Error is the root mean square difference over the spread between texts (standard deviations pooled over
features). Cells are those of a reduction fitted to each precision's own activations, up to the sign of an
axis; in brackets those of the float32 reduction applied to the other's activations, where a feature that
hardly varies weighs as much as any other and its shift moves every text.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from timing import machine

from llm_mri_store import Store
from llm_mri_store.api.demo import offline_model
from llm_mri_store.extraction.sources import DEMO_CORPUS

DTYPES = ("bfloat16-autocast", "bfloat16", "float16")


def main() -> None:
    print(f"{machine()}; MiniLM, 300 texts")
    with tempfile.TemporaryDirectory() as out:
        store = Store(Path(out) / "store")
        for pooling in ("first", "mean"):
            exact = store.scan(offline_model(), DEMO_CORPUS, name=f"exact-{pooling}", pooling=pooling)
            cells = exact.reduce("pca", name="p")
            for dtype in DTYPES:
                name = f"{dtype}-{pooling}"
                other = store.scan(offline_model(), DEMO_CORPUS, name=name, pooling=pooling, dtype=dtype)
                fitted = other.reduce("pca", name="own")
                applied = other.reduce(like=f"{exact.name}/p", name="applied")
                errors, moved, shifted = [], [], []
                for layer in exact.layers:
                    one, two = exact.activations(layer), other.activations(layer)
                    spread = np.sqrt(one.var(axis=0).mean())
                    error = np.sqrt(((one - two) ** 2).mean())
                    errors.append(error / spread if spread else np.nan)
                    here, own, same = (
                        of.cells(of.points(layer), layer=layer) for of in (cells, fitted, applied)
                    )
                    mirrored = [np.where([x, y], 9 - own, own) for x in (False, True) for y in (False, True)]
                    moved.append(min((here != one).any(axis=1).mean() for one in mirrored))
                    shifted.append((here != same).any(axis=1).mean())
                shown = ", ".join(
                    f"{layer}: {error:.3f} {own:.1%} [{same:.1%}]"
                    for layer, error, own, same in zip(exact.layers, errors, moved, shifted, strict=True)
                )
                print(f"  {pooling}, {dtype}; layer: error, cells that move [by the other's reduction]")
                print(f"    {shown}", flush=True)


if __name__ == "__main__":
    main()
