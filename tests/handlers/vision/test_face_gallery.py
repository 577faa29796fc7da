"""The gallery of faces: changed by requests, shared by workers, and kept across restarts."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonschema import validate

from handlers.errors import BadRequest
from handlers.vision import face_gallery
from handlers.vision.face_gallery import Gallery, normalized_name
from marina.settings import Settings
from tests.support.samples import picture
from tests.support.worker import JSON, SampleRequest, Worker, untrained

FACE = picture(size=(46, 56))
OTHER = picture("L", size=(64, 64))
EXPLAIN = {"explain": "True"}


@pytest.fixture
def workers(tmp_path, monkeypatch):
    """Two workers of one model, as TorchServe would start them, with their own gallery."""
    monkeypatch.setenv(face_gallery.FOLDER, str(tmp_path / "gallery"))
    folder = untrained("siamese", tmp_path / "artifacts")
    return Worker(folder), Worker(folder)


def unit(*numbers: float) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(numbers, dtype=torch.float32), dim=0)


def request(worker, **fields):
    (got,) = worker.send(SampleRequest(fields))
    if got.status == 200:
        validate(got.json, worker.handler.response_schema)
    return got


def test_enrolled_people_are_found_listed_and_deleted_by_every_worker(workers, tmp_path):
    one, other = workers
    assert request(one, image=FACE).json["matches"] == []
    assert request(one, image=FACE, enrol="李 雷".encode()).json["pictures"] == 1
    (match,) = request(other, image=FACE).json["matches"]
    assert match == {"person": "李 雷", "similarity": pytest.approx(1, abs=1e-4)}
    assert request(other, image=OTHER, enrol=" 李 雷 ".encode()).json == {
        "model": "siamese",
        "version": "1.0",
        "enrolled": "李 雷",
        "pictures": 2,
    }
    (listed,) = one.send(SampleRequest({"body": {"list": True}}, JSON))
    assert listed.json["people"] == [{"person": "李 雷", "pictures": 2}]
    again = Worker(tmp_path / "artifacts")  # a restart
    assert request(again, image=OTHER).json["matches"][0]["similarity"] == pytest.approx(1, abs=1e-4)
    (gone,) = again.send(SampleRequest({"body": b""}, {"x-request-query": "delete=%E6%9D%8E+%E9%9B%B7"}))
    assert (gone.json["deleted"], gone.json["pictures"]) == ("李 雷", 2)
    assert request(one, image=FACE).json["matches"] == []
    assert request(one, delete="李 雷".encode()).json["field"] == "delete"


def test_one_batch_may_hold_every_kind_of_request(workers):
    one, _ = workers
    requests = [
        SampleRequest({"image": FACE, "enrol": b"anna"}),
        SampleRequest({"a": FACE, "b": FACE}),
        SampleRequest({"delete": b"nobody"}),
        SampleRequest({"image": FACE}),
        SampleRequest({"body": {"list": True}}, JSON),
        SampleRequest({"image": FACE}, EXPLAIN),
    ]
    enrolled, same, refused, found, listed, reason = one.send(*requests)
    assert [got.status for got in (enrolled, same, refused, found, listed, reason)] == [200, 200, 400, 200, 200, 200]
    assert same.json["similarity"] == pytest.approx(1, abs=1e-4)
    assert same.json["same"] is True
    assert [match["person"] for match in found.json["matches"]] == ["anna"]
    assert listed.json["people"] == [{"person": "anna", "pictures": 1}]
    assert reason.json["person"] == "anna"


def test_the_requested_match_is_explained(workers):
    one, _ = workers
    (nobody,) = one.send(SampleRequest({"image": FACE}, EXPLAIN))
    assert (nobody.status, nobody.json["field"]) == (400, "image")
    request(one, image=FACE, enrol=b"anna")
    request(one, image=OTHER, enrol=b"berta")
    requests = [SampleRequest({"image": FACE, "target": target}, EXPLAIN) for target in (b"berta", b"nobody")]
    berta, unknown = one.send(*requests)
    validate(berta.json, one.handler.explanation_schema)
    assert (berta.json["person"], list(berta.json["heatmaps"])) == ("berta", ["image"])
    assert abs(berta.json["convergence_delta"]) < 0.1
    assert (unknown.status, unknown.json["field"]) == (400, "target")
    (change,) = one.send(SampleRequest({"delete": b"anna"}, EXPLAIN))
    assert (change.status, change.json["field"]) == (400, "delete")
    assert set(one.handler.gallery.people()) == {"anna", "berta"}
    two = {"a": FACE, "b": OTHER}
    pair, both = one.send(SampleRequest(two, EXPLAIN), SampleRequest(two, {**EXPLAIN, "accept": "image/png"}))
    assert list(pair.json["heatmaps"]) == ["a", "b"]
    assert both.content_type == "image/png"


def test_embeddings_are_those_that_are_compared(workers):
    one, _ = workers
    (got,) = one.send(SampleRequest({"a": FACE, "b": OTHER, "embeddings": b"true"}))
    a, b = (torch.tensor(got.json["embeddings"][part]) for part in ("a", "b"))
    assert float(a @ b) == pytest.approx(got.json["similarity"], abs=1e-4)


@pytest.mark.parametrize("faiss", [face_gallery.faiss, None], ids=["faiss", "torch"])
def test_the_index_finds_the_nearest_exactly(monkeypatch, faiss):
    monkeypatch.setattr(face_gallery, "faiss", faiss)
    random = np.random.default_rng(0)
    matrix, query = random.normal(size=(500, 32)).astype(np.float32), random.normal(size=32).astype(np.float32)
    found = face_gallery.build_index(matrix)(query, 7)
    products = matrix @ query
    assert [place for place, _ in found] == np.argsort(-products)[:7].tolist()
    assert [product for _, product in found] == pytest.approx(sorted(products)[:-8:-1], abs=1e-4)
    assert len(face_gallery.build_index(matrix[:3])(query, 7)) == 3


def test_each_person_counts_once_with_the_best_picture(tmp_path):
    mine = Gallery(tmp_path / "g.sqlite")
    for person, place in (("anna", (1, 0)), ("anna", (1, 0.1)), ("berta", (0, 1)), ("carl", (1, 1))):
        mine.enrol(person, unit(*place))
    found = mine.nearest(unit(1, 0.1), 2)
    assert [person for person, _ in found] == ["anna", "carl"]
    assert found[0][1] == pytest.approx(1)


def test_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(face_gallery, "MAX_PEOPLE", 2)
    monkeypatch.setattr(face_gallery, "MAX_PICTURES", 2)
    mine = Gallery(tmp_path / "g.sqlite")
    for person in ("anna", "anna", "berta"):
        mine.enrol(person, unit(1, 0))
    full = (("anna", "anna has 2 pictures, and 2 is the limit"), ("carl", "2 people are enrolled, and 2 is the limit"))
    for person, message in full:
        with pytest.raises(BadRequest) as caught:
            mine.enrol(person, unit(1, 0))
        assert (caught.value.field, caught.value.reason) == ("enrol", message)
    # An enrolled person may have more pictures, though the gallery is full.
    assert mine.enrol("berta", unit(1, 0)) == 2
    with pytest.raises(BadRequest) as caught:
        mine.delete("carl")
    assert (caught.value.field, caught.value.reason) == ("delete", "nobody called 'carl' is enrolled")
    assert mine.people() == {"anna": 2, "berta": 2}
    assert mine.delete("anna") == 2


def test_many_writers_lose_nothing(tmp_path):
    def enrol(number: int) -> None:
        Gallery(tmp_path / "g.sqlite").enrol(f"person {number % 4}", unit(1, number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enrol, range(40)))
    assert Gallery(tmp_path / "g.sqlite").people() == {f"person {number}": 10 for number in range(4)}


def test_the_file_is_read_again_only_after_a_change(tmp_path, monkeypatch):
    built = []
    index = face_gallery.build_index
    monkeypatch.setattr(face_gallery, "build_index", lambda matrix: built.append(len(matrix)) or index(matrix))
    mine, other = Gallery(tmp_path / "g.sqlite"), Gallery(tmp_path / "g.sqlite")
    mine.enrol("anna", unit(1, 0))
    for _ in range(3):
        mine.nearest(unit(1, 0), 1)
    other.enrol("berta", unit(0, 1))
    assert mine.nearest(unit(0, 1), 1)[0][0] == "berta"
    assert built == [1, 2]


def test_deleted_embeddings_leave_the_disk_and_the_file_is_private(tmp_path):
    mine = Gallery(tmp_path / "private" / "g.sqlite")
    mine.enrol("a name to find", unit(*range(1, 33)))
    mark = unit(*range(1, 33)).numpy().tobytes()
    assert mark in mine.file.read_bytes()
    mine.delete("a name to find")
    content = b"".join(file.read_bytes() for file in mine.file.parent.iterdir())
    assert mark not in content
    assert b"a name to find" not in content
    assert stat.S_IMODE(mine.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(mine.file.parent.stat().st_mode) == 0o700


def test_a_gallery_that_cannot_be_opened_fails_its_own_requests(workers, tmp_path):
    one, _ = workers
    (tmp_path / "gallery").write_text("a file where the folder should be")
    bad, good = one.send(SampleRequest({"image": FACE}), SampleRequest({"a": FACE, "b": FACE}))
    assert (bad.status, good.status) == (500, 200)
    assert "gallery" in bad.json["message"]


@pytest.mark.parametrize("name", ["anna", "Anne-Marie O'Neil", "李雷", "s1", "J. R. R."])
def test_names_of_any_script(name):
    assert normalized_name(f" {name} ", "enrol") == name
    assert normalized_name("Zoe\u0308", "enrol") == "Zo\u00eb"  # one name, one spelling


@pytest.mark.parametrize("name", ["", " ", ".", "../x", "a/b", "a\0b", "a\nb", "<b>", "x" * 65, "-rf"])
def test_invalid_names(name):
    with pytest.raises(BadRequest, match=r"^a name has 1 to 64 letters, digits, spaces, points, hyphens") as caught:
        normalized_name(name, "enrol")
    assert caught.value.field == "enrol"


def test_the_gallery_is_in_the_var_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(face_gallery.FOLDER)
    assert Settings(var=tmp_path).environment()[face_gallery.FOLDER] == str(tmp_path / "gallery")


def test_a_gallery_is_found_by_the_environment_or_among_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(face_gallery.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv(face_gallery.FOLDER, "/var/galleries")
    assert face_gallery.folder() == Path("/var/galleries")
    for unset in ("", None):
        monkeypatch.delenv(face_gallery.FOLDER) if unset is None else monkeypatch.setenv(face_gallery.FOLDER, unset)
        assert face_gallery.folder() == tmp_path / "marina-gallery"


def test_pictures_are_stored_exactly_and_in_order(tmp_path):
    mine = Gallery(tmp_path / "g.sqlite")
    assert (len(mine.pictures_of("anna")), mine.nearest(unit(1, 0), 3)) == (0, [])
    for person, place in (("anna", (1, 0)), ("berta", (0, 1)), ("anna", (1, 2))):
        mine.enrol(person, unit(*place).double())
    pictures = Gallery(tmp_path / "g.sqlite").pictures_of("anna")
    assert pictures.dtype == np.float32
    assert pictures == pytest.approx(torch.stack([unit(1, 0), unit(1, 2)]).numpy())
    assert mine.pictures_of("carl").shape == (0, 2)


def test_the_best_people_are_found_though_one_has_many_pictures(tmp_path):
    mine = Gallery(tmp_path / "g.sqlite")
    for _ in range(face_gallery.MAX_PICTURES):
        mine.enrol("anna", unit(1, 0))
    mine.enrol("berta", unit(1, 1))
    mine.enrol("carl", unit(0, 1))
    for count in (1, 2):
        assert [person for person, _ in mine.nearest(unit(1, 0.1), count)] == ["anna", "berta"][:count]


def test_a_failed_change_is_rolled_back(tmp_path, monkeypatch):
    mine = Gallery(tmp_path / "deep" / "er" / "g.sqlite")
    mine.enrol("anna", unit(1, 0))
    (changing := mine._transaction()).__enter__().execute("DELETE FROM pictures")
    with pytest.raises(RuntimeError):
        changing.gen.throw(RuntimeError())
    assert mine.people() == {"anna": 1}
