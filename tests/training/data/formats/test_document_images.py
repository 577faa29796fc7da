"""Text lines, text pages and invoices in their public formats, and malformed ones."""

import json

import pytest

from marina.training import data, tasks
from marina.training.data.formats.document_images import boxes, read_text_lines, unknown_characters
from tests.support.samples import picture

ICDAR_2013 = ('38, 43, 920, 215, "Tiredness"\n275, 264, 665, 450, "kills, they say"\n', '158 128 411 181 "Foot path"\n')
ICDAR_2015 = "\ufeff377,117,463,115,465,130,378,131,Genaxis Theatre, 2\r\n493,115,519,115,519,131,493,131,###\r\n"
TRUTH = {"fields": {"total": "1.00", "items": []}, "lines": [{"box": [1, 2, 30, 12], "text": "￥1.00"}]}


def write_images(folder, prefix, count=10):
    """Images <prefix>_<number>.png of different sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{prefix}_{number}.png").write_bytes(picture(size=(20 + number, 30)))


def write_lines(root, name, lines, bom=""):
    for split in ("train", "test"):
        write_images(root / split, "word")
        (root / split / name).write_text(bom + "\n".join(lines) + "\n", encoding="utf-8")


def write_pages(root, content, apart):
    """Pages with gt files, in separate folders if `apart`."""
    for split in ("train", "test"):
        images, truths = (root / split / name if apart else root / split for name in ("images", "gt"))
        write_images(images, "img")
        truths.mkdir(exist_ok=True)
        for number in range(10):
            (truths / f"gt_img_{number}.txt").write_text(content, encoding="utf-8")


def write_invoices(root, truth=TRUTH):
    for split in ("train", "test"):
        write_images(root / split, "page")
        for image in (root / split).glob("*.png"):
            image.with_suffix(".json").write_text(json.dumps(truth), encoding="utf-8")


def test_transcripts_with_tabs_as_the_tools_for_mjsynth_write_them(elsewhere):
    write_lines(
        elsewhere / "mine", "labels.txt", [f"word_{n}.png\tTotal, {n}" for n in range(9)] + ["word_9.png\t发票"]
    )
    dataset = data.find("./mine").load()
    assert dataset.sizes == {"train": 9, "validation": 1, "test": 10}
    assert dataset.test.targets[0] == "Total, 0"
    assert dataset.test.targets[9] == "发票"
    assert dataset.test.inputs[9] == (elsewhere / "mine" / "test" / "word_9.png").read_bytes()


def test_transcripts_in_quotes_as_icdar_writes_them(elsewhere):
    lines = [f'word_{n}.png, "a{n}"' for n in range(8)] + [r'word_8.png, "say \"no\", or"', 'word_9.png, "é"']
    write_lines(elsewhere / "icdar", "gt.txt", lines, bom="\ufeff")
    dataset = data.find("./icdar").load()
    assert list(dataset.test.targets[6:]) == ["a6", "a7", 'say "no", or', "é"]


def test_a_transcript_of_a_missing_image_is_refused(elsewhere):
    write_lines(elsewhere / "mine", "gt.txt", ["word_0.png\ta", "word_99.png\tb"])
    with pytest.raises(ValueError, match=r"1 images that do not exist, such as word_99\.png"):
        data.find("./mine").load()


@pytest.mark.parametrize("apart", [True, False])
def test_both_years_of_icdar_are_read_from_one_folder_or_two(elsewhere, apart):
    write_pages(elsewhere / "y2013", ICDAR_2013[0], apart)
    write_pages(elsewhere / "y2015", ICDAR_2015, apart)
    first, second = data.find("./y2013").load(), data.find("./y2015").load()
    assert first.sizes == second.sizes == {"train": 9, "validation": 1, "test": 10}
    assert first.test.targets[0] == [[38, 43, 920, 215], [275, 264, 665, 450]]
    assert second.test.targets[0] == [[377, 115, 465, 131]]  # upright, without the illegible one


def test_spaces_between_coordinates_as_in_icdar_2013_for_training(tmp_path):
    (tmp_path / "gt_100.txt").write_text(ICDAR_2013[1])
    assert boxes(tmp_path / "gt_100.txt") == [[158, 128, 411, 181]]


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d,text", "1,2,3,x,text"])
def test_malformed_boxes_are_refused(tmp_path, line):
    (tmp_path / "gt_1.txt").write_text(line)
    with pytest.raises(ValueError, match="neither 4 nor 8 coordinates"):
        boxes(tmp_path / "gt_1.txt")


def test_an_image_without_a_gt_file_is_refused(elsewhere):
    write_pages(elsewhere / "mine", ICDAR_2015, apart=False)
    (elsewhere / "mine" / "test" / "gt_img_3.txt").unlink()
    with pytest.raises(ValueError, match=r"1 images without a gt file, such as img_3\.png"):
        data.find("./mine").load()


def test_invoices_are_read_with_fields_lines_and_note(elsewhere):
    write_invoices(elsewhere / "mine")
    (elsewhere / "mine" / "NOTE.txt").write_text("mine")
    dataset = data.find("./mine").load()
    assert dataset.sizes == {"train": 9, "validation": 1, "test": 10}
    assert dataset.test.targets[3] == TRUTH
    assert dataset.test.inputs[3] == (elsewhere / "mine" / "test" / "page_3.png").read_bytes()
    assert dataset.note == "mine"


@pytest.mark.parametrize(
    "truth",
    [
        {"fields": {}},
        {"fields": [], "lines": []},
        {"fields": {}, "lines": [{"box": [1, 2, 3], "text": "x"}]},
        {"fields": {}, "lines": [{"box": "1234"}]},
        7,
    ],
)
def test_malformed_invoices_are_refused(elsewhere, truth):
    write_invoices(elsewhere / "mine", truth)
    with pytest.raises(ValueError, match=r"page_0\.json"):
        data.find("./mine").load()


def test_an_invoice_without_a_json_file_is_refused(elsewhere):
    write_invoices(elsewhere / "mine")
    (elsewhere / "mine" / "train" / "page_4.json").unlink()
    with pytest.raises(ValueError, match=r"page_4\.json"):
        data.find("./mine").load()


def test_lines_of_one_script_need_no_splits(elsewhere):
    write_images(elsewhere / "mine", "line", 20)
    rows = [f"line_{n}.png\tΣτοά {n}" for n in range(20)]
    (elsewhere / "mine" / "gt.txt").write_text("\n".join(rows), encoding="utf-8")
    found = data.find("./mine")
    assert found.format.name == "text_lines"
    dataset = found.load("text_recognition")
    assert dataset.sizes == {"train": 14, "validation": 2, "test": 4}
    assert dataset.splits["test"] == "held out"
    assert "different characters, " in found.summary(dataset)
    assert "14 + 2 + 4 examples" in found.summary(dataset)
    texts = list(dataset.test.targets)
    metrics = tasks.find("text_recognition").score(texts, [{"text": text} for text in texts])
    assert metrics == {"character_error_rate": 0.0, "accuracy": 1.0}, "there is one script"


def test_characters_that_are_never_trained_on_are_counted_and_named(elsewhere):
    for split, texts in (("train", ["abc"] * 9), ("val", ["cab"] * 2), ("test", ["abc", "dä", "d"])):
        write_images(elsewhere / "mine" / split, "word", len(texts))
        rows = [f"word_{place}.png\t{text}" for place, text in enumerate(texts)]
        (elsewhere / "mine" / split / "gt.txt").write_text("\n".join(rows), encoding="utf-8")
    dataset = data.find("./mine").load("text_recognition")
    expected = "3 different characters, 3 of 6 test characters are not among them and can't be read: dä"
    assert dataset.contents == expected
    assert unknown_characters(["abc"], dataset.test.targets) == {"characters": "dä", "count": 3, "of": 6}
    assert unknown_characters(["abc"], ["cab"]) == {}


def test_transcripts_that_are_all_empty_are_refused(elsewhere):
    write_images(elsewhere / "mine", "line", 10)
    (elsewhere / "mine" / "gt.txt").write_text("".join(f"line_{n}.png\t\n" for n in range(10)))
    with pytest.raises(ValueError, match=r"gt\.txt: all transcripts are empty"):
        read_text_lines(elsewhere / "mine")


def test_lines_with_validation_are_used_as_given(elsewhere):
    write_lines(elsewhere / "mine", "gt.txt", [f"word_{n}.png\ta{n}" for n in range(10)])
    write_images(elsewhere / "mine" / "valid", "word", 3)
    (elsewhere / "mine" / "valid" / "gt.txt").write_text("".join(f"word_{n}.png\ta{n}\n" for n in range(3)))
    assert data.find("./mine").load().sizes == {"train": 10, "validation": 3, "test": 10}
