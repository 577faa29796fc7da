"""Sample Pascal VOC folders: images of rectangles, annotated and segmented as in the published data set."""

import io
from pathlib import Path

from PIL import Image, ImageDraw

Box = tuple[int, int, int, int]  # as in VOC: counted from 1, the last pixel inside
OBJECT = """
	<object>
		<name>{name}</name>
		<pose>Left</pose>
		<truncated>1</truncated>
		<difficult>{difficult}</difficult>
		<bndbox>
			<xmin>{box[0]}</xmin>
			<ymin>{box[1]}</ymin>
			<xmax>{box[2]}</xmax>
			<ymax>{box[3]}</ymax>
		</bndbox>
		<part>
			<name>head</name>
			<bndbox>
				<xmin>2</xmin>
				<ymin>2</ymin>
				<xmax>4</xmax>
				<ymax>4</ymax>
			</bndbox>
		</part>
	</object>"""
ANNOTATION = """<annotation>
	<folder>VOC2007</folder>
	<filename>{stem}.jpg</filename>
	<source>
		<database>The VOC2007 Database</database>
	</source>
	<size>
		<width>{size[0]}</width>
		<height>{size[1]}</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>{objects}
</annotation>
"""
COLOURS = {"cat": "orange", "dog": "navy"}
CLASSES = {"cat": 1, "dog": 2}  # in masks
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * (252 * 3), 224, 224, 192]  # of VOC's: entries 0, 1, 2 and 255
BORDER = 255

Objects = list[tuple[str, Box, int]]


def annotated(root: Path, stem: str, objects: Objects, size: tuple[int, int] = (50, 30)) -> None:
    """Write one image and its annotation; objects are (label, box, difficult)."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, "white")
    for label, (x1, y1, x2, y2), _ in objects:
        ImageDraw.Draw(image).rectangle((x1 - 1, y1 - 1, x2 - 1, y2 - 1), fill=COLOURS[label])
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    (root / "JPEGImages" / f"{stem}.jpg").write_bytes(buffer.getvalue())
    nodes = "".join(OBJECT.format(name=label, box=box, difficult=flag) for label, box, flag in objects)
    (root / "Annotations" / f"{stem}.xml").write_text(ANNOTATION.format(stem=stem, size=size, objects=nodes))


def segmented(root: Path, stem: str, objects: Objects, size: tuple[int, int] = (50, 30)) -> None:
    """Write the mask of one image: objects with a border of one pixel inside their boxes."""
    (root / "SegmentationClass").mkdir(exist_ok=True)
    mask = Image.new("P", size, 0)
    mask.putpalette(PALETTE)
    for label, (x1, y1, x2, y2), _ in objects:
        ImageDraw.Draw(mask).rectangle((x1 - 1, y1 - 1, x2 - 1, y2 - 1), fill=CLASSES[label], outline=BORDER)
    mask.save(root / "SegmentationClass" / f"{stem}.png")


def listed(root: Path, kind: str = "Main", **splits: list[str]) -> None:
    """Write ImageSets/<kind> with the stems of each split."""
    (root / "ImageSets" / kind).mkdir(exist_ok=True)
    for name, stems in splits.items():
        (root / "ImageSets" / kind / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in stems))


def devkit(folder: Path, masks: bool = False) -> Path:
    """Write a VOCdevkit with 12 train, 4 validation and 4 test images of three sizes.

    With `masks`, 8, 3 and 3 of them have masks.
    """
    root = folder / "VOCdevkit" / "VOC2007"
    stems = [f"{number:06}" for number in range(1, 21)]
    for number, stem in enumerate(stems):
        width, height = ((50, 30), (40, 64), (300, 200))[number % 3]
        box = (1 + number % 5, 2, width // 2 + number % 7, height - 3)
        other = [("dog", (width // 2 + 8, 5, width, height // 2), int(number % 6 == 0))] if number % 2 else []
        annotated(root, stem, [("cat", box, 0), *other], (width, height))
        if masks and number % 4:
            segmented(root, stem, [("cat", box, 0), *other], (width, height))
    listed(root, train=stems[:12], val=stems[12:16], trainval=stems[:16], test=stems[16:])
    if masks:
        some = [stem for number, stem in enumerate(stems) if number % 4]
        listed(root, "Segmentation", train=some[:8], val=some[9:12], trainval=some[:12], test=some[12:])
    return folder / "VOCdevkit"
