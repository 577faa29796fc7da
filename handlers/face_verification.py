"""Faces -> whether two are of one person, or who of the enrolled people it is."""

import sqlite3
from collections.abc import Mapping
from hashlib import file_digest
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs, gallery
from handlers.base import Reply, TaskHandler
from handlers.codecs.face import FaceCodec
from handlers.errors import BadRequest
from handlers.faces import EXPLANATION, REPLY, REQUEST, Question
from handlers.replies import Answer
from handlers.row import Row
from handlers.similarity import heatmaps

GALLERY_FAULTS = (sqlite3.Error, OSError)  # a full disk, say: the neighbours in the batch must not pay for it


class FaceVerification(TaskHandler[Question]):
    """Outputs are embeddings, (N, K, D), of length 1: their inner product is the similarity, from -1 to 1."""

    REQUEST: ClassVar[Mapping[str, Any]] = REQUEST
    REPLY: ClassVar[Mapping[str, Any]] = REPLY
    EXPLANATION: ClassVar[Mapping[str, Any]] = EXPLANATION

    def setup(self) -> None:
        self.codec = codecs.load(FaceCodec, self.folder)
        with (self.folder / "model.safetensors").open("rb") as weights:
            mark = file_digest(weights, "sha256").hexdigest()[:12]  # other weights, other embeddings
        self.gallery = gallery.Gallery(gallery.folder() / f"{self.card['name']}-{mark}.sqlite")

    def decode(self, row: Row) -> Question:
        return Question.of(row, self.codec)

    def collate(self, items: list[Question]) -> Tensor:
        faces = pad_sequence([item.faces for item in items], batch_first=True)
        return self.codec.normalize(faces)  # (N, K, C, S, S), K the most faces of a row

    def encode(self, output: Tensor, item: Question) -> Reply:
        try:
            reply = self._reply(output, item)
        except BadRequest as fault:
            return Answer.refusal(fault)
        except GALLERY_FAULTS as fault:
            return Answer.failure(f"the gallery can't be used: {fault}")
        if item.embeddings:
            rows = zip(item.parts, output.tolist(), strict=False)
            reply["embeddings"] = {part: [round(number, 6) for number in row] for part, row in rows}
        return reply

    def explain(self, item: Question, target: str | None) -> Reply:
        faces = self.codec.normalize(item.faces).to(self.device)  # (K, C, S, S)
        with torch.inference_mode():
            embeddings = self.network(faces).cpu()  # (K, D)
        try:
            person, others = self._others(embeddings, item, target)
        except GALLERY_FAULTS as fault:
            return Answer.failure(f"the gallery can't be used: {fault}")
        pictures, delta = heatmaps(self.network, item, faces, others.to(self.device), self.card["serving"])
        if isinstance(pictures, bytes):
            return Answer(pictures, content_type="image/png")
        threshold = self.codec.gallery_threshold if person else self.codec.threshold
        verdict = self._verdict(float(embeddings[0] @ others[0]), threshold)
        return {**person, **verdict, "convergence_delta": delta, "heatmaps": pictures}

    @staticmethod
    def _verdict(similarity: float, threshold: float) -> dict[str, Any]:
        return {"same": similarity >= threshold, "similarity": round(similarity, 6), "threshold": threshold}

    def _reply(self, output: Tensor, item: Question) -> dict[str, Any]:
        match item.verb:
            case "compare":
                return self._verdict(float(output[0] @ output[1]), self.codec.threshold)
            case "enrol":
                return {"enrolled": item.person, "pictures": self.gallery.enrol(item.person, output[0])}
            case "delete":
                return {"deleted": item.person, "pictures": self.gallery.delete(item.person)}
            case "list":
                people = self.gallery.people().items()
                return {"people": [{"person": person, "pictures": count} for person, count in people]}
        threshold = self.codec.gallery_threshold
        near = [pair for pair in self.gallery.nearest(output[0], item.top) if pair[1] >= threshold]
        matches = [{"person": person, "similarity": round(similarity, 6)} for person, similarity in near]
        return {"matches": matches, "threshold": threshold}

    def _others(self, embeddings: Tensor, item: Question, target: str | None) -> tuple[dict[str, str], Tensor]:
        """The person that the explanation is about, and the embedding to which each face is compared: (K, D)."""
        if item.verb == "compare":
            if target is not None:
                raise BadRequest("target", "two faces are compared with each other: there is nothing else to choose")
            return {}, embeddings.flip(0)
        if item.verb != "identify":
            raise BadRequest(item.verb, "changes or lists the gallery: there is no match to explain")
        nearest = self.gallery.nearest(embeddings[0], 1)
        if not nearest:
            raise BadRequest("image", "nobody is enrolled: there is no match to explain")
        person = nearest[0][0] if target is None else target
        pictures = torch.from_numpy(self.gallery.pictures_of(person))  # (M, D)
        if not len(pictures):
            raise BadRequest("target", f"nobody called {person!r} is enrolled")
        return {"person": person}, pictures[(pictures @ embeddings[0]).argmax()].unsqueeze(0)
