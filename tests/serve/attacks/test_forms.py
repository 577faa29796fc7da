"""Forms (CVE-2024-29025): TorchServe's parser, which has no limits, never sees one that its owner did not ask for."""

import json
import time

import httpx
import psutil
import pytest

from tests.serve.support.bundle import Bundle, eventually
from tests.serve.support.echo import logged, pack_echo
from tests.support.samples import picture

pytestmark = pytest.mark.serve

UNPARSED = "application/octet-stream"
URLENCODED = "application/x-www-form-urlencoded"
KINDS = [
    URLENCODED,
    URLENCODED.upper(),
    f"{URLENCODED} ; charset=utf-8",
    f"{URLENCODED};",
    "multipart/form-data; boundary=x",
    "Multipart/FORM-Data;boundary=x; a=b",
    "multipart/form-data",
]
FORM = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
ATTACK = b"a=&" * 4_000_000  # 12 MB, which ended a JVM of 1 GB


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    instance.settings.make_folders()
    pack_echo(instance, "own")
    pack_echo(instance, "failing", fails=True)
    pack_echo(instance, "foreign", card=False)
    pack_echo(instance, "accepting", card=False, forms=True)
    instance.do("serve")
    for name, control in (("to-own", "own"), ("to-foreign", "foreign")):
        weights = {control: 0, "failing": 100}
        variants = [{"model": model, "version": "1.0", "weight": weight} for model, weight in weights.items()]
        experiment = {"name": name, "variants": variants, "control": f"{control}@1.0"}
        if name == "to-own":
            experiment["mirror"] = {"to": "foreign@1.0", "percent": 100}
        response = instance.experiments("POST", experiment=experiment)
        assert response.status_code == 201, response.text
    return instance


def send(bundle: Bundle, path: str, body: bytes, *kinds: str, **headers: str) -> httpx.Response:
    """Send a body with these content types, each in a header of its own."""
    sent = [("content-type", kind) for kind in kinds] + list(headers.items())
    return bundle.http.post(path, content=body, headers=sent)


@pytest.mark.parametrize(
    "path", [f"/{verb}/own{version}" for verb in ("predictions", "explanations") for version in ("", "/1.0")]
)
def test_torchserve_never_learns_that_a_body_is_a_form(bundle: Bundle, path):
    for kinds in [[kind] for kind in KINDS] + [["application/json", URLENCODED], [URLENCODED, "application/json"]]:
        got = send(bundle, path, b"a=1&b=2", *kinds).json()
        assert got["fields"] == {"body": "bytes"}
        assert got["content_type"] == UNPARSED
        assert got["sent"] == ",".join(kind.strip() for kind in kinds)


def test_a_client_cannot_forge_the_header_that_carries_the_content_type(bundle: Bundle):
    forged = {"x-marina-content-type": "image/png"}
    assert send(bundle, "/predictions/own", b"1", "text/plain", **forged).json()["sent"] == "text/plain"
    assert send(bundle, "/predictions/own", b"1", **forged).json()["sent"] in (None, "")


def test_without_a_content_type_there_is_none(bundle: Bundle):
    assert send(bundle, "/predictions/own", b"1").json() == {
        "fields": {"body": "bytes"},
        "content_type": UNPARSED,
        "sent": None,
    }


PATHS = ["/predictions/foreign", "/predictions/foreign/1.0", "/explanations/foreign", "/explanations/foreign/1.0"]
PATHS += ["/predictions/%6Fwn/9.9", "/predictions/none"]
PATHS += ["/wfpredict/own", "/wfpredict/none", "/ping"]


@pytest.mark.parametrize("path", PATHS)
def test_every_other_path_to_torchserve_refuses_forms(bundle: Bundle, path):
    for kinds in [[kind] for kind in KINDS] + [["application/json", URLENCODED]]:
        response = send(bundle, path, b"a=1", *kinds)
        if "own" in path and response.status_code == 200:  # Envoy has made it the same as a path of ours
            assert response.json()["content_type"] == UNPARSED
            continue
        assert response.status_code == 415, (path, kinds, response.text)
        assert (response.json()["code"], response.json()["type"]) == (415, "UnsupportedMediaTypeException")


@pytest.mark.parametrize("path", ["/predictions/foreign/", "/predictions/own/", "/predictions/own/1.0/"])
def test_a_path_with_a_slash_at_its_end_leads_nowhere(bundle: Bundle, path):
    for kind in KINDS:
        response = send(bundle, path, b"a=1", kind)
        assert (response.status_code, response.json()["type"]) == (404, "ResourceNotFoundException"), response.text


def test_a_foreign_archive_gets_everything_else_as_sent(bundle: Bundle):
    got = send(bundle, "/predictions/foreign", b'{"a": 1}', "application/json").json()
    assert got == {"fields": {"body": "dict"}, "content_type": "application/json", "sent": None}


def test_a_foreign_archive_whose_owner_accepts_forms_gets_small_ones(bundle: Bundle):
    assert send(bundle, "/predictions/accepting", b"a=1", URLENCODED).json()["fields"] == {"a": "bytes"}
    assert send(bundle, "/predictions/accepting/1.0", FORM, "multipart/form-data; boundary=x").json()["fields"] == {
        "a": "bytes"
    }
    for body, kind in ((b"a=&" * 6_000, URLENCODED), (b"x" * 1_100_000, "multipart/form-data; boundary=x")):
        response = send(bundle, "/predictions/accepting", body, kind)
        assert response.status_code == 415
        assert "content-length of at most" in response.json()["message"]
    # Without a content-length, unless Envoy has buffered it.
    chunks = iter([b"a=&" * 6_000])
    chunked = bundle.http.post("/predictions/accepting", content=chunks, headers={"content-type": URLENCODED})
    assert chunked.status_code == 415


def test_a_form_that_falls_back_to_another_version_stays_hidden(bundle: Bundle):
    """The treatment fails, and its requests go on through the inner listener."""
    seen = len(logged(bundle.settings.gallery / "foreign.jsonl"))
    for kind in (URLENCODED, "multipart/form-data; boundary=x"):
        response = send(bundle, "/predictions/to-own", b"a=1", kind)
        assert response.status_code == 200, response.text
        assert response.json() == {"fields": {"body": "bytes"}, "content_type": UNPARSED, "sent": kind}
        assert send(bundle, "/predictions/to-foreign", b"a=1", kind).status_code == 415
    kept = send(bundle, "/predictions/to-foreign", b'{"a": 1}', "application/json")
    assert kept.json()["fields"] == {"body": "dict"}
    assert kept.json()["content_type"] == "application/json"
    send(bundle, "/predictions/to-own", b'{"a": 1}', "application/json")
    log = bundle.settings.gallery / "foreign.jsonl"
    eventually(lambda: len(logged(log)) >= seen + 2, "the mirror gets a copy of the JSON")
    assert {json.dumps(one["fields"]) for one in logged(log)} == {'{"body": "dict"}'}  # no form ever


GOOD_FORM = b"a=1"
REFUSED = {
    "a percent sign": (b"a=%", URLENCODED, "a"),
    "no boundary": (FORM, "multipart/form-data; boundary=", "content-type"),
    "no name": (FORM.replace(b' name="a"', b""), "multipart/form-data; boundary=x", "body"),
    "too many": (b"a=&" * 100, URLENCODED, "body"),
    "12 MB": (ATTACK, URLENCODED, "body"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_form_is_a_400_with_the_field(starters: Bundle, case):
    body, kind, field = REFUSED[case]
    for path in ("/predictions/lenet", "/predictions/housing_mlp/1.0", "/explanations/text_lstm"):
        response = send(starters, path, body, kind)
        assert response.status_code == 400, response.text
        assert response.json()["field"] == field


def test_forms_and_what_curl_declares_to_be_one_work(starters: Bundle):
    image = picture()
    raw = starters.http.put("/predictions/lenet", content=image).json()
    for sent in (
        {"files": {"image": image}},
        {"files": {"data": image}},
        {"content": image, "headers": {"content-type": URLENCODED}},  # curl --data-binary @image.png
    ):
        assert starters.http.post("/predictions/lenet", **sent).json() == raw
    one = starters.http.post("/predictions/lenet", files={"image": image}, data={"top": "1"}).json()
    assert one["predictions"] == raw["predictions"][:1]
    text = starters.http.post("/predictions/text_lstm", json={"text": "很好"}).json()
    assert starters.http.post("/predictions/text_lstm", data={"text": "很好"}).json() == text
    curl = {"content-type": URLENCODED}
    assert (
        starters.http.post("/predictions/text_lstm", content='{"text": "很好"}'.encode(), headers=curl).json() == text
    )


def jvm(bundle: Bundle) -> psutil.Process:
    (found,) = [one for one in bundle.processes() if "org.pytorch.serve.ModelServer" in " ".join(one.cmdline())]
    return found


@pytest.mark.long
def test_minutes_of_forms_leave_the_memory_of_the_jvm_as_it_was(bundle: Bundle):
    memory, end = jvm(bundle).memory_info, time.monotonic() + 180
    paths = [
        "/predictions/own",
        "/predictions/own/1.0",
        "/explanations/own",
        "/predictions/foreign",
        "/predictions/accepting",
    ]
    for path in paths:  # as much memory as bodies of 12 MB take, whatever is in them
        for _ in range(10):
            send(bundle, path, ATTACK, UNPARSED)
    before, seconds, sent = memory().rss, [], 0
    while time.monotonic() < end:
        for path in paths:
            send(bundle, path, ATTACK, URLENCODED)
            sent += 1
        start = time.perf_counter()
        assert send(bundle, "/predictions/own", b"1").status_code == 200
        seconds.append(time.perf_counter() - start)
    after = memory().rss
    print(f"{sent} forms of 12 MB: {before / 1e6:.0f} -> {after / 1e6:.0f} MB; innocents at most {max(seconds):.3f} s")
    assert after <= 1.1 * before
