"""The desired state at a start: what was served is served again, what is new takes no traffic."""

import pytest

from marina.errors import MarinaError
from marina.serving.reconciler import model_store, restore
from marina.serving.reconciler.desired_state import DesiredState
from marina.serving.reconciler.model_store import Archive
from marina.serving.reconciler.restore import NamedModels
from tests.serving.archive_files import write_mar


class Store:
    """A store of archives, and the state that is restored from it."""

    def __init__(self, settings) -> None:
        self.settings = settings
        self.desired = DesiredState()

    def pack(self, name: str, *versions: str, workers: int = 1) -> None:
        for version in versions:
            write_mar(self.settings, name, version, **{"model-config__yaml": f"minWorkers: {workers}\n"})

    def archive(self, name: str, version: str) -> Archive:
        return Archive(name, version, self.settings.store / f"{name}-{version}.mar")

    def restore(self, *models: str, refused=(), **versions: str) -> list[str]:
        """Restore as after a stop: from the stored text."""
        self.desired = DesiredState.model_validate_json(self.desired.model_dump_json())
        named = NamedModels((*models, *versions), versions)
        archives = model_store.by_name(self.settings, named.models)
        return restore.restore(self.desired, archives, {self.archive(*each) for each in refused}, named)

    @property
    def served(self) -> dict[str, tuple[str, list[str]]]:
        """Default and versions of each model that is served."""
        return {name: (model.default, list(model.versions)) for name, model in self.desired.models.items()}


@pytest.fixture
def store(settings) -> Store:
    made = Store(settings)
    made.pack("cat", "1.9", "1.10", workers=3)
    made.pack("dog", "1.0")
    assert made.restore() == []
    return made


def test_the_first_start_serves_the_store_with_the_newest_versions_as_defaults(store):
    assert store.served == {"cat": ("1.10", ["1.9", "1.10"]), "dog": ("1.0", ["1.0"])}
    assert [spec.workers for spec in store.desired.models["cat"].versions.values()] == [3, 3]


def test_a_refused_version_is_no_default_at_the_first_start(store):
    store.desired = DesiredState()
    store.restore(refused=[("cat", "1.10"), ("dog", "1.0")])
    assert store.served == {"cat": ("1.9", ["1.9", "1.10"]), "dog": ("1.0", ["1.0"])}
    assert [spec.workers for spec in store.desired.models["cat"].versions.values()] == [3, 1]


def test_defaults_workers_and_versions_are_as_before(store):
    store.desired.set_default("cat", "1.9")
    store.desired.scale("cat", "1.9", 5)
    store.desired.scale("dog", "1.0", 0)
    before = store.desired.model_copy(deep=True)
    assert store.restore() == []
    assert store.desired == before


def test_a_new_version_takes_no_traffic_and_is_named_with_the_command(store):
    store.desired.set_default("cat", "1.9")
    store.pack("cat", "3.0", workers=2)
    assert store.restore() == [
        "cat 3.0 is new: no traffic until `make set-default MODEL=cat VERSION=3.0`; the default is 1.9"
    ]
    assert store.served["cat"] == ("1.9", ["1.9", "1.10", "3.0"])
    assert store.desired.models["cat"].versions["3.0"].workers == 2
    assert store.restore() == [], "it is not new any more"


def test_a_new_model_is_served_with_its_newest_version(store):
    store.pack("bee", "1.0", "2.0")
    store.restore()
    assert store.served["bee"] == ("2.0", ["1.0", "2.0"])


def test_what_was_retired_stays_retired(store):
    store.desired.drop("cat", "1.9")
    store.desired.drop("dog", "1.0")
    assert store.restore() == []
    assert store.served == {"cat": ("1.10", ["1.10"])}
    store.pack("dog", "2.0")
    assert store.restore() == ["dog 2.0 is new, but dog was retired: `make register MODEL=dog VERSION=2.0` serves it"]
    assert set(store.served) == {"cat"}


def test_a_stop_while_a_version_drains_does_not_bring_it_back(store):
    store.desired.set_default("cat", "1.9")
    store.desired.retire("cat", "1.10")
    store.restore()
    assert store.served["cat"] == ("1.9", ["1.9"])
    assert store.desired.retired == {"cat": ["1.10"]}


def test_a_start_after_everything_was_retired_says_so(store):
    for name, version in (("cat", "1.9"), ("cat", "1.10"), ("dog", "1.0")):
        store.desired.drop(name, version)
    with pytest.raises(MarinaError, match="every model was retired: name those to serve"):
        store.restore()


def test_names_serve_these_models_and_the_others_come_back_without_names(store):
    store.desired.set_default("cat", "1.9")
    store.desired.scale("dog", "1.0", 4)
    assert store.restore("dog") == ["cat: not served until the next `make serve` without names"]
    assert store.served == {"dog": ("1.0", ["1.0"])}
    assert store.restore("dog") == []
    assert store.restore("cat") == ["dog: not served until the next `make serve` without names"]
    assert store.served == {"cat": ("1.9", ["1.9", "1.10"])}
    assert store.restore() == []
    assert store.served == {"cat": ("1.9", ["1.9", "1.10"]), "dog": ("1.0", ["1.0"])}
    assert store.desired.models["dog"].versions["1.0"].workers == 4


def test_a_model_that_was_never_named_is_new_later(store):
    store.desired = DesiredState()
    store.restore("dog")
    assert (set(store.served), store.desired.paused) == ({"dog"}, {})
    store.restore()
    assert store.served["cat"] == ("1.10", ["1.9", "1.10"])


def test_a_retired_model_is_served_again_if_it_is_named(store):
    for version in ("1.9", "1.10"):
        store.desired.drop("cat", version)
    store.restore("cat")
    assert store.served == {"cat": ("1.10", ["1.10"])}
    assert store.desired.retired == {"cat": ["1.9"]}
    store.desired.drop("cat", "1.10")
    store.pack("cat", "1.8")
    store.restore("cat")
    assert store.served == {"cat": ("1.8", ["1.8"])}


def test_a_path_serves_that_version_and_keeps_the_default(store):
    store.desired.drop("cat", "1.10")
    store.desired.models["cat"].default = "1.9"
    store.restore(cat="1.10")
    assert store.served == {"cat": ("1.9", ["1.9", "1.10"])}
    assert store.desired.retired == {}


def test_a_path_chooses_the_default_of_a_new_model(store):
    store.pack("bee", "1.0", "2.0")
    store.restore(bee="1.0")
    assert store.served == {"bee": ("1.0", ["1.0", "2.0"])}


def test_an_archive_that_is_gone_stays_in_the_state_and_keeps_the_default(store):
    gone = store.archive("cat", "1.10")
    gone.path.unlink()
    store.restore(refused=[("cat", "1.10")])
    assert store.served["cat"] == ("1.10", ["1.9", "1.10"])
    assert gone in restore.specified(store.desired.models, store.settings.store)
    folder = store.settings.store
    assert restore.unavailable_defaults(store.desired, {gone}, folder) == [
        "cat 1.10 remains the default: /predictions/cat gets 503 until `make set-default MODEL=cat VERSION=1.9`"
    ]
    assert restore.unavailable_defaults(store.desired, {gone, store.archive("cat", "1.9")}, folder) == [
        "cat 1.10 remains the default: /predictions/cat gets 503 until its archive is back"
    ]
    assert restore.unavailable_defaults(store.desired, {store.archive("cat", "1.9")}, folder) == []
