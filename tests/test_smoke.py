from llm_mri_store import Store


def test_tiny_store_is_there(tiny_store):
    reduction = Store(tiny_store).reduction()
    assert sum(reduction.heatmap(3, "a")["n"]) == 8
