"""FCN, and what it is taught by."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from marina.training.tasks.semantic_segmentation.masks import MaskAugment, iou_metrics, letterboxed_mask, pixel_loss
from models.fcn import FCN, doubling
from tests.support.samples import picture, png
from tests.support.voc_samples import BORDER


def test_one_network_answers_at_three_strides():
    torch.manual_seed(0)
    fine = FCN(num_classes=4).eval()
    images = torch.randn(2, 3, 64, 96)[..., :64]
    for stride in (32, 16, 8):
        network = FCN(num_classes=4, stride=stride).eval()
        network.load_state_dict(fine.state_dict())
        with torch.inference_mode():
            scores = network.scores(images)
            assert {one: found.shape[2] for one, found in scores.items()} == {
                one: 64 // one for one in (32, 16, 8) if one >= stride
            }
            assert torch.equal(scores[stride], fine.scores(images)[stride])
            assert network(images).shape == (2, 4, 64, 64)
    with pytest.raises(ValueError, match="no FCN-4s; there are: 32s, 16s, 8s"):
        FCN(stride=4)


def test_a_transposed_convolution_begins_as_bilinear_interpolation():
    maps = torch.rand(1, 3, 5, 7)
    with torch.inference_mode():
        doubled = doubling(3)(maps)
    wanted = interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])
    assert doubled.shape == wanted.shape


def test_masks_move_with_the_pixels_and_what_comes_in_is_border():
    images = torch.zeros(8, 3, 96, 96, dtype=torch.uint8)
    images[:, :, 30:60, 20:70] = 255
    masks = (images[:, 0] > 0).to(torch.uint8) * 5
    torch.manual_seed(0)
    pixels, moved = MaskAugment(("shift",), (0.5, 0.5, 0.5))(images, masks, few=2)
    assert len({tuple(np.argwhere(one.numpy() == 5)[0]) for one in moved}) == 4
    for image, mask in zip(pixels, moved, strict=True):
        known = mask != BORDER
        assert set(mask.unique().tolist()) <= {0, 5, BORDER}
        agreement = ((image[0] > 127) == (mask == 5))[known].float().mean()
        assert agreement > 0.98
    assert (moved == BORDER).any()
    with pytest.raises(ValueError, match=r"there are: .*shift"):
        MaskAugment(("erase",), (0.0, 0.0, 0.0))


def test_the_mask_of_a_square_has_borders_beside_the_image(worker):
    image = worker("fcn").handler.codec.letterbox(picture(size=(40, 20)))
    mask = torch.arange(800).view(20, 40).remainder(7).to(torch.uint8)
    square = letterboxed_mask(mask, image)
    assert square.shape == (256, 256)
    assert (square == BORDER).sum() == 256 * 128
    assert image.content(square)[2::5, 2].tolist()[:10] == [
        int(mask[int((5 * n + 2.5) * 20 / 128), 0]) for n in range(10)
    ]
    with pytest.raises(ValueError, match=r"a mask of \(40, 20\) for an image of \(20, 40\)"):
        letterboxed_mask(mask.T, image)


def test_overlap_is_counted_over_all_pixels_and_borders_are_left_out():
    def file(rows) -> bytes:
        return png(Image.fromarray(np.array(rows, dtype=np.uint8)))

    truths = [file([[0, 0, 1, 1], [0, 0, 255, 255]]), file([[2]])]
    found = [torch.tensor([[0, 1, 1, 1], [0, 0, 0, 2]]), torch.tensor([[2]])]
    got = iou_metrics(truths, found, ["background", "a", "b", "nowhere"])
    assert got["iou"].tolist() == pytest.approx([3 / 4, 2 / 3, 1, 0])
    assert float(got["miou"]) == pytest.approx((3 / 4 + 2 / 3 + 1) / 3)
    assert float(got["pixel_accuracy"]) == pytest.approx(6 / 7)


def test_the_loss_is_0_for_what_is_right_and_borders_do_not_matter():
    masks = torch.tensor([[[0, 1], [2, BORDER]]])
    right = torch.nn.functional.one_hot(masks.clamp(max=2), 3).permute(0, 3, 1, 2) * 40.0
    assert float(pixel_loss(right, masks)) == pytest.approx(0, abs=1e-4)
    other = right.clone()
    other[..., 1, 1] = torch.tensor([40.0, 0, 0])
    assert float(pixel_loss(other, masks)) == pytest.approx(0, abs=1e-4)
    assert float(pixel_loss(right.roll(1, dims=1), masks)) > 40
    logits = torch.randn(1, 3, 2, 2)
    entropy = torch.nn.functional.cross_entropy(logits, masks, ignore_index=BORDER)
    assert 0 < float(pixel_loss(logits, masks) - entropy) < 1
