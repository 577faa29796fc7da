"""Face verification: two faces -> whether they are of one person; one face -> who of the enrolled people it is."""

import base64
import sqlite3
from collections.abc import Mapping
from functools import partial
from hashlib import file_digest
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.base import ResponseLike, TaskHandler
from handlers.codecs.face import FaceCodec
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import Response
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.vision import face_gallery
from handlers.vision.drawing import heatmap
from handlers.vision.face_requests import EXPLANATION_SCHEMA, REQUEST_SCHEMA, RESPONSE_SCHEMA, FaceInput

GALLERY_ERRORS = (sqlite3.Error, OSError)  # a full disk, for example: the rest of the batch must not fail with it


class FaceVerification(TaskHandler[FaceInput]):
    """Outputs are embeddings, (N, K, D), of length 1: their inner product is the similarity, from -1 to 1."""

    request_schema: ClassVar[Mapping[str, Any]] = REQUEST_SCHEMA
    response_schema: ClassVar[Mapping[str, Any]] = RESPONSE_SCHEMA
    explanation_schema: ClassVar[Mapping[str, Any]] = EXPLANATION_SCHEMA

    def setup(self) -> None:
        """Load the codec and open the gallery of these weights."""
        self.codec = codecs.load(FaceCodec, self.folder)
        with (self.folder / "model.safetensors").open("rb") as weights:
            digest = file_digest(weights, "sha256").hexdigest()[:12]  # other weights, other embeddings
        self.gallery = face_gallery.Gallery(face_gallery.folder() / f"{self.card['name']}-{digest}.sqlite")

    def decode(self, request: Request) -> FaceInput:
        """Return the faces and the verb of the request."""
        return FaceInput.from_request(request, self.codec)

    def collate(self, inputs: list[FaceInput]) -> Tensor:
        """Return the normalized faces, (N, K, C, S, S), where K is the largest number of faces in a request."""
        return self.codec.normalize(pad_sequence([decoded.faces for decoded in inputs], batch_first=True))

    def encode(self, output: Tensor, decoded: FaceInput) -> ResponseLike:
        """Return the result of the verb, with the embeddings if the client wants them; output: (K, D)."""
        try:
            content = self._content(output, decoded)
        except BadRequest as exc:
            return Response.bad_request(exc)
        except GALLERY_ERRORS as exc:
            return Response.internal_error(f"the gallery can't be used: {exc}")
        if decoded.embeddings:
            rows = zip(decoded.parts, output.tolist(), strict=False)
            content["embeddings"] = {part: [round(number, 6) for number in row] for part, row in rows}
        return content

    def explain(self, decoded: FaceInput, target: str | None) -> ResponseLike:
        """Return a heatmap of each face: the reasons for its similarity to the other, or to the person `target`."""
        faces = self.codec.normalize(decoded.faces).to(self.device)  # (K, C, S, S)
        with torch.inference_mode():
            embeddings = self.network(faces).cpu()  # (K, D)
        try:
            person, others = self._others(embeddings, decoded, target)
        except GALLERY_ERRORS as exc:
            return Response.internal_error(f"the gallery can't be used: {exc}")
        weights, delta = self._attributions(faces, others.to(self.device))
        if decoded.as_png:
            side_by_side = heatmap(torch.cat([*decoded.faces], dim=2), torch.cat(weights, dim=1))
            return Response(side_by_side, content_type="image/png")
        pictures = map(heatmap, decoded.faces, weights)
        encoded = {part: base64.b64encode(png).decode() for part, png in zip(decoded.parts, pictures, strict=True)}
        threshold = self.codec.gallery_threshold if person else self.codec.threshold
        verdict = self._verdict(float(embeddings[0] @ others[0]), threshold)
        return {**person, **verdict, "convergence_delta": delta, "heatmaps": encoded}

    def _similarity(self, other: Tensor, faces: Tensor) -> Tensor:
        """Return the similarity of each face, (N, C, S, S), to an embedding, (D,): (N,)."""
        similarity: Tensor = self.network(faces) @ other
        return similarity

    @staticmethod
    def _verdict(similarity: float, threshold: float) -> dict[str, Any]:
        return {"same": similarity >= threshold, "similarity": round(similarity, 6), "threshold": threshold}

    def _content(self, output: Tensor, decoded: FaceInput) -> dict[str, Any]:
        match decoded.verb:
            case "compare":
                return self._verdict(float(output[0] @ output[1]), self.codec.threshold)
            case "enrol":
                return {"enrolled": decoded.person, "pictures": self.gallery.enrol(decoded.person, output[0])}
            case "delete":
                return {"deleted": decoded.person, "pictures": self.gallery.delete(decoded.person)}
            case "list":
                people = self.gallery.people().items()
                return {"people": [{"person": person, "pictures": count} for person, count in people]}
        threshold = self.codec.gallery_threshold
        near = [pair for pair in self.gallery.nearest(output[0], decoded.top) if pair[1] >= threshold]
        matches = [{"person": person, "similarity": round(similarity, 6)} for person, similarity in near]
        return {"matches": matches, "threshold": threshold}

    def _others(self, embeddings: Tensor, decoded: FaceInput, target: str | None) -> tuple[dict[str, str], Tensor]:
        """Return the person to explain, and the embedding to which each face is compared: (K, D)."""
        if decoded.verb == "compare":
            if target is not None:
                raise BadRequest("target", "two faces are compared with each other: there is nothing else to choose")
            return {}, embeddings.flip(0)
        if decoded.verb != "identify":
            raise BadRequest(decoded.verb, "changes or lists the gallery: there is no match to explain")
        nearest = self.gallery.nearest(embeddings[0], 1)
        if not nearest:
            raise BadRequest("image", "nobody is enrolled: there is no match to explain")
        person = nearest[0][0] if target is None else target
        pictures = torch.from_numpy(self.gallery.pictures_of(person))  # (M, D)
        if not len(pictures):
            raise BadRequest("target", f"nobody called {person!r} is enrolled")
        return {"person": person}, pictures[(pictures @ embeddings[0]).argmax()].unsqueeze(0)

    def _attributions(self, faces: Tensor, others: Tensor) -> tuple[list[Tensor], float]:
        """Return the attributions of the inner product to the pixels of each face, (S, S), and the largest convergence
        delta. The path starts from a grey face; the other embedding stays as it is.

        faces: (K, C, S, S), as the network takes them; others: (K, D), the embedding to which each is compared.
        """
        weights, deltas = [], []
        for face, other in zip(faces.unsqueeze(1), others, strict=True):
            attributions, delta = integrated_gradients(
                partial(self._similarity, other),
                face,
                torch.zeros_like(face),
                steps=self.card["serving"]["explain_steps"],
                batch_size=self.card["serving"]["batch_size"],
            )
            weights.append(attributions[0].sum(dim=0).detach().cpu())  # (S, S)
            deltas.append(delta)
        return weights, max(deltas, key=abs)
