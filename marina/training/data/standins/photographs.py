"""Stand-in for ImageNet's validation set: photographs that packages ship, in its format, with ReaL labels."""

import json
import shutil
from pathlib import Path

from PIL import Image

from marina.files import package_folder
from marina.training.data.formats.imagenet_real import LABELS_FILE, categories
from marina.training.data.standins import StandIn

SKIMAGE, SKLEARN = ("skimage", "data"), ("sklearn", "datasets/images")
MATPLOTLIB = ("matplotlib", "mpl-data/sample_data")
QUALITY = 95  # of the JPEG files made from PNG

# Every photograph of something that ImageNet has a class for, and the classes that are right for it. Left out: people
# without an object, textures, drawings, microscopy, the sky, coins, pages, and a dahlia, which has no class.
PHOTOGRAPHS = {
    (*SKIMAGE, "chelsea.png"): ("tabby", "tiger cat", "Egyptian cat"),
    (*SKIMAGE, "coffee.png"): ("espresso", "cup", "coffee mug"),
    (*SKIMAGE, "camera.png"): ("tripod", "reflex camera"),
    (*SKIMAGE, "rocket.jpg"): ("missile", "projectile"),
    (*SKIMAGE, "motorcycle_left.png"): ("moped", "motor scooter"),
    (*SKIMAGE, "clock_motion.png"): ("analog clock", "wall clock"),  # too blurred for most people, too
    (*SKLEARN, "china.jpg"): ("palace", "stupa", "monastery"),
    (*MATPLOTLIB, "grace_hopper.jpg"): ("military uniform",),
}


def write_photographs(folder: Path) -> None:
    """Write ILSVRC2012_val_00000001.JPEG and so on, and real.json; JPEG files are copied."""
    for number, (package, inner, name) in enumerate(PHOTOGRAPHS, start=1):
        source, target = package_folder(package) / inner / name, folder / f"ILSVRC2012_val_{number:08}.JPEG"
        if source.suffix == ".jpg":
            shutil.copyfile(source, target)
        else:
            Image.open(source).convert("RGB").save(target, "JPEG", quality=QUALITY)
    numbers = [[categories().index(label) for label in labels] for labels in PHOTOGRAPHS.values()]
    (folder / LABELS_FILE).write_text(json.dumps(numbers), encoding="utf-8")


STAND_INS = {
    "photographs": StandIn(
        "eight photographs of scikit-image, scikit-learn and matplotlib, with the classes of ImageNet that are right",
        "CC0 and public domain (scikit-image, matplotlib), Middlebury 2014 (motorcycle); CC BY 2.0 (china by "
        "danielbuechele)",
        write_photographs,
    ),
}
