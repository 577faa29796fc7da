"""Invariances of the embedding of a face: mirroring, brightness, the other faces of the request."""

import pytest
import torch

import models
from handlers.codecs.face import CONTRAST, FaceCodec
from marina.training import pretrained

CARD = models.find("siamese")


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = CARD.network()
    pretrained.load(network, CARD.recipe.pretrained)
    return network.eval()


@pytest.fixture
def faces():
    """Return faces, (3, 1, S, S) of uint8, dark enough to be brightened without clipping."""
    codec = FaceCodec(**CARD.input)
    generator = torch.Generator().manual_seed(1)
    return torch.randint(20, 120, (3, 1, codec.size, codec.size), generator=generator, dtype=torch.uint8)


def test_a_face_and_its_mirror_image_have_one_embedding(network, faces):
    x = FaceCodec(**CARD.input).normalize(faces)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), network(x.flip(-1)), atol=1e-5, rtol=1e-4)
        assert not torch.allclose(network.encode(x), network.encode(x.flip(-1)), atol=1e-3)  # one view would not do


def test_embeddings_do_not_depend_on_the_number_of_faces(network, faces):
    x = FaceCodec(**CARD.input).normalize(faces)
    with torch.inference_mode():
        alone, together = network(x), network(x.unsqueeze(0))
    torch.testing.assert_close(together[0], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone.norm(dim=1), torch.ones(3))


def test_the_embedding_ignores_brightness(faces):
    codec = FaceCodec(**CARD.input)
    normal, brighter = codec.normalize(faces), codec.normalize(faces * 2 + 10)
    torch.testing.assert_close(brighter, normal, atol=0.02, rtol=0)  # 1 is added to the deviation: not quite alike
    assert normal.std(dim=(1, 2, 3)).tolist() == pytest.approx([CONTRAST] * 3, rel=0.05)
    assert codec.normalize(torch.full((1, 8, 8), 7, dtype=torch.uint8)).abs().max() == 0
