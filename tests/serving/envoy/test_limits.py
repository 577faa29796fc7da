"""Limits of the public port that depend on the machine or on the settings."""

import resource

import pytest

from marina.serving.envoy import limits


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(resource.RLIM_INFINITY, 10_000), (1_048_576, 10_000), (20_000, 10_000), (4096, 2048)],
)
def test_connections_leave_file_descriptors_for_requests(monkeypatch, descriptors, connections):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, descriptors))
    assert limits.max_connections() == connections


def test_the_largest_bodies_are_in_the_highest_class_of_memory(settings):
    """Envoy resets requests from the highest of eight classes downwards."""
    for longest in (32 << 20, 6_553_500):
        manager = limits.overload_manager(settings, longest)
        smallest = 1 << manager["buffer_factory_config"]["minimum_account_to_track_power_of_two"]
        assert smallest << (limits.ACCOUNT_CLASSES - 1) < longest < smallest << (limits.ACCOUNT_CLASSES + 1)


def test_every_group_of_clients_has_its_chain_and_limit(settings):
    made = limits.client_chains(settings.model_copy(update={"client_connections": 7}), {"filters": [{"name": "http"}]})
    assert len({chain["name"] for chain in made["filter_chains"]}) == limits.CLIENT_GROUPS
    assert {chain["filters"][0]["typed_config"]["max_connections"] for chain in made["filter_chains"]} == {7}
    matchers = made["filter_chain_matcher"]["matcher_list"]["matchers"]
    thresholds = [
        each["predicate"]["single_predicate"]["custom_match"]["typed_config"]["threshold"] for each in matchers
    ]
    assert thresholds == list(range(limits.CLIENT_GROUPS - 1, 0, -1))  # the first match counts


def test_times_are_those_of_the_settings(settings):
    options = limits.http_options(settings.model_copy(update={"request_timeout": 1.5, "idle_timeout": 7}))
    assert options["request_timeout"] == "1.5s"
    assert options["common_http_protocol_options"]["idle_timeout"] == "7s"
