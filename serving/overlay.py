"""What may come before the models' own routes: experiments are made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.clusters import Upstream
from serving.envoy import Json
from serving.views import Models


@dataclass(frozen=True)
class Overlay:
    """`matchers` are tried first (envoy.type.matcher: FieldMatcher); `inner` are the routes of the inner listener, to
    which `upstreams` with a backup, and `mirrors`, send requests to be rewritten for another version."""

    matchers: Sequence[Json] = ()
    upstreams: Sequence[Upstream] = ()
    mirrors: Sequence[str] = ()
    inner: Sequence[Json] = ()


NONE = Overlay()
Overlaying = Callable[[Models], Overlay]
