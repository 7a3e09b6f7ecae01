from pathlib import Path

import pytest
import torch

from tests.models import SAVE_TINY


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> dict[str, Path]:
    """Folder of a tiny random model of each family."""
    root = tmp_path_factory.mktemp("families")
    return {family: save(root / family) for family, save in SAVE_TINY.items()}


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny models gain nothing from a second thread, and lose much to it on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)
