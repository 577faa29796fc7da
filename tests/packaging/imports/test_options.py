"""Options of an import that are missing, or that would download weights."""

from pathlib import Path

import pytest

from marina.errors import ModelImportError
from marina.packaging.imports import classifier
from marina.packaging.imports.imported_model import ImportOptions
from tests.packaging.imports.test_imports import IMAGES, one_line


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arguments": {"weights": "DEFAULT"}}, "--argument weights: nothing is downloaded"),
        ({"network": None}, "--task image_classification needs --network"),
        ({"images": None}, "--task image_classification needs --size, --mean and --std"),
    ],
)
def test_an_image_classifier_needs_its_options(given, message):
    complete = {"network": "torchvision.models:resnet18", "images": IMAGES}
    with pytest.raises(ModelImportError, match=one_line(message)):
        classifier.imported(ImportOptions(Path("w.pth"), **complete | given))
