"""Splits and domains of the stand-ins made of digits."""

from PIL import Image

from marina.training.data.standins import digits


def test_no_photograph_of_mnist_m_is_in_both_splits():
    assert not set(digits.TRAIN_PHOTOS) & set(digits.TEST_PHOTOS)


def test_no_digit_of_digits_ab_is_in_both_domains(tmp_path, monkeypatch):
    """B is |patch - digit|, which hides its digits: they are recorded when they are blended."""
    seen = []
    blend = digits.blend
    monkeypatch.setattr(digits, "blend", lambda images, *rest: (seen.append(images), blend(images, *rest))[1])
    digits.write_digits_ab(tmp_path)
    in_b = {image.tobytes() for images in seen for image in images}
    in_a = {Image.open(file).crop((2, 2, 30, 30)).tobytes() for file in tmp_path.glob("*A/*.png")}
    assert (len(in_a), len(in_b)) == (2500, 2500)
    assert not in_a & in_b
