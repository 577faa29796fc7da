"""Spec of an experiment: accepted values, and the messages for others."""

import pytest

from marina.errors import ExperimentError
from marina.experiments.spec import Bandit, Experiment, Guard, Mirror, Ramp, StrictModel, load, parse
from tests.experiments.routing.envoy_instance import A, B, experiment

VARIANTS = [{"model": "a", "version": 1.0, "weight": 90}, {"model": "b", "version": 2, "weight": 10}]
SPEC = {"name": "digits", "variants": VARIANTS, "control": A}


def refused(**fields) -> str:
    with pytest.raises(ExperimentError) as caught:
        parse(Experiment, {**SPEC, **fields}, "here")
    return str(caught.value)


def variants(*weights: float) -> list[dict]:
    names = [("a", "1.0"), ("b", "2.0"), ("c", "3")]
    return [
        {"model": model, "version": version, "weight": weight}
        for (model, version), weight in zip(names, weights, strict=False)
    ]


def test_the_defaults_are_the_documented_ones():
    result = parse(Experiment, SPEC, "here")
    assert result.model_dump(exclude={"variants"}) == {
        "name": "digits",
        "control": A,
        "seed": 0,
        "key_header": "X-User-Id",
        "mirror": None,
        "guard": None,
        "ramp": None,
        "bandit": None,
        "reward": {"low": 0.0, "high": 1.0},
    }
    assert result.weights == {A: 90, "b@2": 10}
    assert Guard().model_dump() == {"errors": 0.01, "latency": 1.25}
    assert Ramp().model_dump() == {"steps": (1, 5, 25, 50, 100), "seconds": 300, "requests": 100}
    assert Bandit().model_dump() == {"least": 5, "most": 95, "seconds": 300}


@pytest.mark.parametrize("weights", [(90, 10), (0, 100), (33.33, 33.33, 33.34), (99.996, 0), (50.002, 50.002)])
def test_weights_that_add_up_to_100_are_accepted_but_for_rounding(weights):
    assert tuple(experiment(variants=variants(*weights)).weights.values()) == weights


@pytest.mark.parametrize(
    ("weights", "total"), [((90, 9), "99"), ((90, 11), "101"), ((99.99, 0), "99.99"), ((50, 50.01), "100.01")]
)
def test_weights_that_do_not_add_up_to_100_are_refused(weights, total):
    assert refused(variants=variants(*weights)) == f"here: variants: the weights add up to {total}, not to 100"


@pytest.mark.parametrize("name", ["d", "7", "digits", "Digits-2.0_b", "a" * 64])
def test_a_name_may_be_used_in_a_path(name):
    assert experiment(name).name == name


@pytest.mark.parametrize(
    "name", ["", "a/b", "a?b", "a b", ".a", "-a", "_a", "a\n", "ä", "a%2F", "a#b", "a@1.0", "../a"]
)
def test_a_name_that_is_no_path_segment_is_refused(name):
    assert refused(name=name) == f"here: name: {name!r} must be letters, digits, '_', '-' and '.'"


@pytest.mark.parametrize("header", ["", "X User", "X_User", "X:User", "X-User\n", "x-ü"])
def test_a_key_header_must_be_the_name_of_a_header(header):
    assert refused(key_header=header) == f"here: key_header: {header!r} is no header's name"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variants": [*VARIANTS, {**VARIANTS[1], "weight": 0}]}, "variants: b@2 is there twice"),
        ({"control": "c@1"}, "control: c@1 is none of the variants a@1.0, b@2"),
        ({"ramp": {}}, "ramp: it goes on while the guard is content, so it needs a guard"),
        ({"guard": {}, "ramp": {}, "bandit": {}}, "ramp, bandit: only one of them can move the weights"),
        ({"guard": {}, "ramp": {"steps": []}}, "ramp.steps: the steps must go up"),
        ({"guard": {}, "ramp": {"steps": [5, 1]}}, "ramp.steps: the steps must go up"),
        ({"guard": {}, "ramp": {"steps": [5, 5]}}, "ramp.steps: the steps must go up"),
        ({"bandit": {"least": 50, "most": 50}}, "bandit: least must be below most"),
        ({"bandit": {"least": 60, "most": 50}}, "bandit: least must be below most"),
    ],
)
def test_a_contradiction_is_refused_by_its_field(fields, message):
    assert refused(**fields) == f"here: {message}"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"variants": VARIANTS[:1]}, "variants"),
        ({"variants": [{**VARIANTS[0], "model": ""}, VARIANTS[1]]}, "variants.0.model"),
        ({"variants": [VARIANTS[0], {**VARIANTS[1], "version": ""}]}, "variants.1.version"),
        ({"variants": [VARIANTS[0], {**VARIANTS[1], "version": None}]}, "variants.1.version"),
        ({"variants": variants(-1, 101)}, "variants.0.weight"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"sead": 1}, "sead"),
        ({"mirror": {"to": B, "percent": 100.1}}, "mirror.percent"),
        ({"guard": {"errors": -0.01}}, "guard.errors"),
        ({"guard": {"errors": 1}}, "guard.errors"),
        ({"guard": {"latency": 1}}, "guard.latency"),
        ({"guard": {}, "ramp": {"seconds": 0}}, "ramp.seconds"),
        ({"guard": {}, "ramp": {"requests": 0}}, "ramp.requests"),
        ({"guard": {}, "ramp": {"steps": [101]}}, "ramp.steps.0"),
        ({"bandit": {"seconds": 0}}, "bandit.seconds"),
        ({"bandit": {"least": -1}}, "bandit.least"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_field(fields, field):
    assert refused(**fields).startswith(f"here: {field}: ")


def test_each_error_has_a_line():
    lines = refused(seed=-1, control=7).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["control", "seed"]
    with pytest.raises(ExperimentError, match=r"^here: \S+ should be"):
        parse(Mirror, 7, "here")


def test_a_spec_is_frozen():
    assert StrictModel.model_config == {"extra": "forbid", "frozen": True}
    with pytest.raises(ValueError, match="frozen"):
        experiment().seed = 1


def test_new_weights_are_0_for_variants_not_named():
    result = experiment(guard={"errors": 0.02}).with_weights({B: 100})
    assert result.weights == {A: 0, B: 100}
    assert (result.seed, result.guard) == (7, Guard(errors=0.02))
    with pytest.raises(ExperimentError, match=r"^digits: variants: the weights add up to 60, not to 100$"):
        experiment().with_weights({B: 60})
    with pytest.raises(ExperimentError, match=f"^digits: c@1 is none of its variants: {A}, {B}$"):
        experiment().with_weights({"c@1": 100})


def test_a_variant_is_found_by_its_name():
    assert [experiment().variant(name).model for name in (A, B)] == ["a", "b"]


def test_a_file_holds_experiments_by_name(tmp_path):
    file = tmp_path / "experiments.yaml"
    file.write_text(
        "7: &it\n  variants:\n  - {model: é, version: 1.0, weight: 90}\n  - {model: b, version: 2, weight: 10}\n"
        "  control: é@1.0\nother:\n  <<: *it\n  name: another\n",
        encoding="utf-8",
    )
    result = load(file)
    assert {name: it.name for name, it in result.items()} == {"7": "7", "other": "another"}
    assert result["7"].weights == {"é@1.0": 90, "b@2": 10}
    file.write_text("")
    assert load(file) == {}


@pytest.mark.parametrize("content", ["[7]", "a: 7", "a:", "- a: {}", "7"])
def test_a_file_of_another_shape_is_refused(tmp_path, content):
    file = tmp_path / "experiments.yaml"
    file.write_text(content)
    with pytest.raises(ExperimentError) as caught:
        load(file)
    assert str(caught.value) == f"{file}: it must be a mapping from names to experiments"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "experiments.yaml"
    with pytest.raises(ExperimentError, match=f"^{file}: .*No such file"):
        load(file)
    file.write_text("a: [")
    with pytest.raises(ExperimentError, match=f"^{file}: while parsing"):
        load(file)


def test_each_invalid_experiment_of_a_file_has_a_line(tmp_path):
    file = tmp_path / "experiments.yaml"
    file.write_text("a: {control: x, variants: 7}\nb: {control: x, variants: 7}\n")
    with pytest.raises(ExperimentError) as caught:
        load(file)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["a", "b"]
    assert str(caught.value).startswith("a: variants: ")
