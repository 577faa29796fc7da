"""Photos and textures, out of scikit-image and scikit-learn."""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

ORIGIN = "textures (brick, grass, gravel) and photos of scikit-image, photos (china, flower) of scikit-learn"
LICENCE = "CC0 and public domain (scikit-image); CC BY 2.0 (china by danielbuechele, flower by vultilion)"
SIDE = 256  # pixels of the longer side
STYLES = ("brick", "grass", "gravel")
PHOTOS = ("astronaut", "chelsea", "coffee")


def write(folder: Path) -> None:
    """Write style/*.png and content/*.png."""
    pictures = {f"style/{name}": getattr(data, name)() for name in STYLES}
    pictures |= {f"content/{name}": getattr(data, name)() for name in PHOTOS}
    pictures |= {f"content/{name}": load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    for name, pixels in pictures.items():
        image = Image.fromarray(np.asarray(pixels)).convert("RGB")
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        file = folder / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        image.save(file)
