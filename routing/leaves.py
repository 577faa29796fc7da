"""The leaves of the tree: routes to a variant, to the control in its stead, and to a mirror."""

from urllib.parse import quote

from routing.experiments import Experiment, Variant
from serving.clusters import cluster_name
from serving.envoy import Json, adding, header, typed
from serving.routes import GRACE_SECONDS, VERBS, forward, held, other_host, refuse, retries, version_headers
from serving.views import Models, VersionView, version_of

KEEP, OVERWRITE = "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD"
VERSION_OF_PATH = f"^/({'|'.join(VERBS)})/[^?]*"
FAILED = "5xx,reset,connect-failure,refused-stream"


def upstream_name(experiment: Experiment, variant: Variant) -> str:
    return f"{experiment.name}/{variant.name}"


def mirror_cluster(experiment: Experiment) -> str:
    return f"mirror/{experiment.name}"


def explicit(variant: Variant, models: Models) -> Json:
    """Asked for by X-Variant: no split, no fallback, no part in the experiment."""
    view = version_of(models, variant.model, variant.version)
    said = {"response_headers_to_add": adding(version_headers(variant.model, variant.version, "header"), OVERWRITE)}
    if view.refusal:
        return refuse({"prefix": "/"}, *view.refusal) | said
    return _to(variant, cluster_name(variant.model, variant.version), view) | said


def chosen(experiment: Experiment, variant: Variant, models: Models) -> Json:
    """Chosen by the split. What fails at a variant is answered by the control, by way of the inner listener."""
    view = version_of(models, variant.model, variant.version)
    marks = {
        "x-marina-experiment": experiment.name,
        "x-marina-variant": variant.name,
        "x-marina-key": f"%REQ({experiment.key_header})%",
    }
    said = {
        "request_headers_to_add": adding(marks, OVERWRITE),
        # The inner listener may have said already that it was the control.
        "response_headers_to_add": adding(version_headers(variant.model, variant.version, "split"), KEEP),
    }
    if variant.name == experiment.control and view.refusal:
        return refuse({"prefix": "/"}, *view.refusal) | said
    route = _to(variant, upstream_name(experiment, variant), view)
    route["route"] |= _mirroring(experiment, variant)
    if variant.name != experiment.control:
        route["route"]["retry_policy"] = _retries(view)
        whole, each = ("idle_timeout", "per_try_idle_timeout") if view.streams else ("timeout", "per_try_timeout")
        control = experiment.variant(experiment.control)
        longest = version_of(models, control.model, control.version).deadline + GRACE_SECONDS
        route["route"] |= {whole: f"{view.deadline + GRACE_SECONDS + longest:g}s"}
        route["route"]["retry_policy"][each] = f"{max(view.deadline + GRACE_SECONDS, longest):g}s"
    return route | said | held(view)


def _to(variant: Variant, cluster: str, view: VersionView) -> Json:
    more = {"retry_policy": retries(view), **_rewritten(variant)}
    return forward({"prefix": "/"}, cluster, view.deadline + GRACE_SECONDS, view.streams, **more)


def _rewritten(variant: Variant) -> Json:
    """The version is explicit upstream, whatever the path said."""
    path = rf"/\1/{quote(variant.model)}/{quote(variant.version)}"
    return {"regex_rewrite": {"pattern": {"regex": VERSION_OF_PATH}, "substitution": path}}


def _retries(view: VersionView) -> Json:
    """Of a variant with a backup: another node first, where there is one, and then the backup."""
    nodes = 2 if view.several else 1
    kind = "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    previous = typed(kind, update_frequency=nodes)
    priority = {"name": "envoy.retry_priorities.previous_priorities", "typed_config": previous}
    return {"retry_on": FAILED, "num_retries": nodes, "retry_priority": priority, **other_host()}


def _mirroring(experiment: Experiment, variant: Variant) -> Json:
    mirror = experiment.mirror
    if mirror is None or mirror.to == variant.name:
        return {}
    share = {"default_value": {"numerator": round(mirror.percent * 10_000), "denominator": "MILLION"}}
    marked = [{"append": mark} for mark in adding({"x-marina-mirror": mirror.to}, OVERWRITE)]
    policy = {
        "cluster": mirror_cluster(experiment),
        "runtime_fraction": share,
        "request_headers_mutations": marked,
    }
    return {"request_mirror_policies": [policy]}


def inner_routes(experiment: Experiment, models: Models) -> list[Json]:
    """Copies go to the mirror's version, everything else of this experiment has failed and goes to the control's."""
    mine = header("x-marina-experiment", experiment.name)
    control = experiment.variant(experiment.control)
    routes = []
    if experiment.mirror:
        model, _, version = experiment.mirror.to.rpartition("@")
        copy = Variant(model=model, version=version, weight=0)
        match = {"prefix": "/", "headers": [mine, header("x-marina-mirror", copy.name)]}
        routes.append(_inner(match, copy, version_of(models, model, version), "mirror"))
    view = version_of(models, control.model, control.version)
    return [*routes, _inner({"prefix": "/", "headers": [mine]}, control, view, "fallback")]


def _inner(match: Json, variant: Variant, view: VersionView, source: str) -> Json:
    said = {"response_headers_to_add": adding(version_headers(variant.model, variant.version, source), OVERWRITE)}
    if view.refusal:
        return refuse(match, *view.refusal) | said
    return _to(variant, cluster_name(variant.model, variant.version), view) | {"match": match} | said
