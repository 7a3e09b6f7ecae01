"""What these tests share: a ClassLabel dataset as LLM-MRI asks for, and areas processed once."""

import pytest
from datasets import ClassLabel, Dataset

from llm_mri_store import Store
from llm_mri_store.activation_areas import PCA, ActivationAreas
from tests.conftest import make_records

NAMES = ["a", "b", "c"]


def class_label_dataset(records: list[dict]) -> Dataset:
    columns = {
        "text": [record["text"] for record in records],
        "label": [NAMES.index(record["label"]) for record in records],
    }
    dataset = Dataset.from_dict(columns)
    features = dataset.features.copy()
    features["label"] = ClassLabel(names=NAMES)
    return Dataset.from_dict(columns, features=features)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """30 texts of the labels a, b and c, whose words are their own."""
    return class_label_dataset(make_records(30))


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Store:
    """A store that tests add to and remove nothing from."""
    return Store(tmp_path_factory.mktemp("areas") / "store")


@pytest.fixture(scope="session")
def areas(store, tiny_bert, dataset) -> ActivationAreas:
    """PCA to 2 components on a 10 x 10 grid, mean pooling, so that every layer varies. Read only."""
    areas = ActivationAreas(str(tiny_bert), dataset, PCA(2, 42, 10), store=store, pooling="mean")
    areas.process_activation_areas()
    return areas


@pytest.fixture(scope="session")
def component_areas(store, tiny_bert, dataset) -> ActivationAreas:
    """The same scan, PCA to 4 components. Read only."""
    areas = ActivationAreas(str(tiny_bert), dataset, PCA(4, 42), store=store, pooling="mean")
    areas.process_activation_areas()
    return areas
