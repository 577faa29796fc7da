"""Archives of the store: what they say of themselves, and which are chosen."""

import os
from pathlib import Path

import pytest

from marina.errors import MarinaError
from marina.packaging.verify import PUBLIC, NotVerifiedError, signature_of
from marina.serving.reconciler import model_store
from marina.serving.reconciler.model_store import Archive, archives, version_key
from tests.serving.archive_files import write_mar


def archive(settings, **members) -> Archive:
    return Archive("cat", "1.0", write_mar(settings, "cat", **members))


def test_card_configuration_and_example(settings):
    found = archive(settings)
    assert found.card["task"] == "counting"
    assert found.config == {"minWorkers": 1, "maxBatchDelay": 1}
    assert found.example() == (b'{"canary": true}', "application/json")
    assert found.read("nothing") is None
    found.verify(settings.keys)


def test_a_foreign_archive_has_no_card(settings):
    found = archive(settings, card__json=None)
    assert (found.card, found.example(), found.workers) == (None, None, 1)


@pytest.mark.parametrize(
    "card", ["{}", '{"example": {"file": "gone", "content_type": "x"}}', '{"example": {"file": "example.json"}}']
)
def test_without_a_whole_example_there_is_none(settings, card):
    assert archive(settings, card__json=card).example() is None


@pytest.mark.parametrize(
    ("member", "text", "why"),
    [
        ("card__json", "{", "cat-1.0.mar: card.json can't be read ("),
        ("card__json", "[]", "cat-1.0.mar: card.json is not a mapping"),
        ("model-config__yaml", "a: [", "cat-1.0.mar: model-config.yaml can't be read ("),
        ("model-config__yaml", "1", "cat-1.0.mar: model-config.yaml is not a mapping"),
    ],
)
def test_a_signed_archive_that_cannot_be_read_is_refused(settings, member, text, why):
    with pytest.raises(NotVerifiedError) as refused:
        archive(settings, **{member: text}).verify(settings.keys)
    assert str(refused.value).startswith(why)


def test_what_is_no_archive_is_refused_by_name(settings):
    for content in (b"no zip", None):
        path = settings.store / "cat-1.0.mar"
        path.unlink(missing_ok=True)
        if content:
            path.write_bytes(content)
        with pytest.raises(NotVerifiedError, match=r"^cat-1\.0\.mar: not a TorchServe archive \("):
            Archive("cat", "1.0", path).read("card.json")


@pytest.mark.parametrize(
    ("config", "workers"), [("minWorkers: 3", 3), ("minWorkers: 0", 1), ("a: 1", 1), (None, 1), ("minWorkers: '2'", 2)]
)
def test_the_archive_says_how_many_workers_it_wants(settings, config, workers):
    assert archive(settings, **{"model-config__yaml": config}).workers == workers


def test_a_card_may_want_a_worker_for_each_core(settings, monkeypatch):
    found = archive(settings, card__json='{"serving": {"workers": "cores"}}')
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 4, 5} if pid == 0 else set(), raising=False)
    assert found.workers == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert found.workers == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert found.workers == 1


def test_the_last_write_is_that_of_archive_signature_or_key(settings, tmp_path):
    found = archive(settings)
    files = (found.path, signature_of(found.path), settings.keys / PUBLIC, settings.keys)
    for newest in files:
        for file in files:
            os.utime(file, (5, 20 if file is newest else 10))
        assert found.written_at(settings.keys) == 20
    assert found.written_at(tmp_path / "none") == 10
    assert Archive("x", "1", Path("/nothing/x-1.mar")).written_at(tmp_path / "none") == 0


def test_models_are_chosen_with_all_their_versions_in_order(settings):
    for name, version in (("cat", "1.10"), ("dog", "1.0"), ("cat", "1.9"), ("bee", "1.0")):
        write_mar(settings, name, version, signed=False)

    def names(*models: str) -> list[tuple[str, str]]:
        found = model_store.by_name(settings, models).values()
        return [(each.name, each.version) for versions in found for each in versions]

    cats = [("cat", "1.9"), ("cat", "1.10")]
    assert names("dog", "cat", "dog") == [("dog", "1.0"), *cats]
    assert names() == [("bee", "1.0"), *cats, ("dog", "1.0")]
    assert model_store.find(settings, "cat", None).version == "1.10"
    assert model_store.find(settings, "cat", "1.9").path == settings.store / "cat-1.9.mar"
    with pytest.raises(MarinaError) as missing:
        names("cow", "cat", "owl")
    assert str(missing.value) == f"no archive of cow, owl in {settings.store}: `make archive` first"


def test_an_empty_store_is_named(settings):
    with pytest.raises(MarinaError) as empty:
        model_store.by_name(settings)
    assert str(empty.value) == f"no archive of any model in {settings.store}: `make archive` first"
    for version, name in (("2.0", "cat-2.0.mar"), (None, "cat-<version>.mar")):
        with pytest.raises(MarinaError) as missing:
            model_store.find(settings, "cat", version)
        assert str(missing.value) == f"no archive {name} in {settings.store}"


@pytest.mark.parametrize(
    "versions", [["1.9", "1.10"], ["x2-blue", "x10-blue"], ["blue", "1.0"], ["1.0rc1", "1.0"], ["a1", "b1"]]
)
def test_versions_have_an_order(versions):
    older, newer = map(model_store.version_key, versions)
    assert older < newer
    assert not newer < older


def test_versions_are_ordered_as_versions():
    versions = ["2", "1.10", "1.9", "1.0", "1.0rc1", "blue-10", "blue-2"]
    assert sorted(versions, key=version_key) == ["blue-2", "blue-10", "1.0rc1", "1.0", "1.9", "1.10", "2"]


def test_foreign_files_in_the_store_are_left_alone(tmp_path):
    for name in ("m-1.0.mar", "m-1.0.mar.sig", "noversion.mar", "notes.txt", ".m-1.0.mar.d"):
        (tmp_path / name).touch()
    assert {name: [each.version for each in found] for name, found in archives(tmp_path).items()} == {"m": ["1.0"]}
