"""Base of the R-CNNs: a region proposal network, and heads that classify each proposal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from models.parts.conv import Trunk
from models.parts.detection import MOST, OVERLAP, Detector, Target
from models.parts.efficientnet import Maps

Sizes = list[tuple[int, int]]


class TwoStage(Detector):
    """torchvision's parts on a pretrained backbone, each of which a subclass may replace through `__init__`:

    trunk: (N, 3, S, S) -> a list of maps of strides 4, 8, 16, 32, with `widths` channels;
    neck:  a dict of such maps by name -> the same with CHANNELS each (a feature pyramid);
    head:  the output of RoI align, (proposals, CHANNELS, POOL, POOL) -> (proposals, FEATURES).
    """

    CHANNELS, POOL, FEATURES = 48, 7, 128
    PROPOSALS = 48  # per image, into the second stage
    CANONICAL = 0.5  # of S: boxes of this side are pooled from the map of stride 16, those of half of it from stride 8
    SCALES = (0.15, 0.28, 0.5)  # of S: sides of the anchors on the maps of strides 8, 16 and 32
    RATIOS = (0.5, 1.0, 2.0, 4.0)  # height to width

    def __init__(
        self,
        num_classes: int = 20,
        size: int = 128,
        trunk: Maps | Trunk | None = None,
        neck: nn.Module | None = None,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        self.classes = 1 + num_classes  # background first
        self.features = trunk or Maps()
        self.neck = neck or FeaturePyramidNetwork(list(self.features.widths), self.CHANNELS)
        anchors = AnchorGenerator(tuple((round(size * scale),) for scale in self.SCALES), (self.RATIOS,) * 3)
        self.rpn = RegionProposalNetwork(
            anchors,
            RPNHead(self.CHANNELS, len(self.RATIOS)),
            fg_iou_thresh=0.6,
            bg_iou_thresh=0.3,
            batch_size_per_image=64,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 200, "testing": 200},
            post_nms_top_n={"training": 100, "testing": self.PROPOSALS},
            nms_thresh=0.7,
        )
        self.roi_heads = RoIHeads(
            self.align(self.POOL, self.CANONICAL),
            head or TwoMLPHead(self.CHANNELS * self.POOL**2, self.FEATURES),
            FastRCNNPredictor(self.FEATURES, self.classes),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=32,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=0.0,
            nms_thresh=OVERLAP,
            detections_per_img=MOST,
        )

    def align(self, cells: int, canonical: float) -> MultiScaleRoIAlign:
        """Return the RoI align that pools boxes from the maps, larger ones from coarser maps."""
        return MultiScaleRoIAlign(["0", "1", "2", "3"], cells, 1, canonical_scale=round(self.size * canonical))

    def losses(self, images: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        sizes, features = self._features(images)
        counted = [{**target, "labels": target["labels"] + 1} for target in targets]
        with self.learning(True):
            proposals, first = self.rpn(ImageList(images, sizes), _but_first(features), counted)
            _, second = self.roi_heads(features, proposals, sizes, counted)
        return {name.removeprefix("loss_"): part for name, part in {**first, **second}.items()}

    def proposed(self, images: Tensor) -> tuple[Sizes, dict[str, Tensor], list[Tensor]]:
        """Sizes of the images, maps by name, and at most PROPOSALS boxes (M, 4) for each image."""
        sizes, features = self._features(images)
        with self.learning(False):
            proposals, _ = self.rpn(ImageList(images, sizes), _but_first(features))
        return sizes, features, proposals

    def _features(self, images: Tensor) -> tuple[Sizes, dict[str, Tensor]]:
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        maps: dict[str, Tensor] = self.neck({str(place): one for place, one in enumerate(self.features(images))})
        return sizes, maps

    @contextmanager
    def learning(self, on: bool) -> Iterator[None]:
        """Switch torchvision's stages, which return losses or detections by their mode; validation needs both."""
        stages: list[Any] = [self.rpn, self.roi_heads]
        before = [stage.training for stage in stages]
        try:
            for stage in stages:
                stage.train(on)
            yield
        finally:
            for stage, mode in zip(stages, before, strict=True):
                stage.train(mode)


def _but_first(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the finest map: it has most of the positions, and few objects are as small."""
    return {name: one for name, one in features.items() if name != "0"}
