"""Headers of the HTML pages."""

import base64
import hashlib
import re

from tests.api.client import call


def test_the_page_of_the_api_runs_its_own_script_alone(application):
    response = call(application, "GET", "/docs")
    policy = response.headers["content-security-policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "frame-ancestors 'none'" in policy
    assert policy.startswith("default-src 'none';")
    assert response.headers["referrer-policy"] == "no-referrer"
    assert int(response.headers["content-length"]) == len(response.content)
    sources = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    assert sources
    assert all(source.startswith("/docs/static/") for source in sources), "the policy allows no other"


def test_other_responses_have_no_policy(application):
    for path in ("/ready", "/openapi.json", "/docs/static/swagger-ui.css"):
        response = call(application, "GET", path)
        assert response.status_code == 200
        assert "content-security-policy" not in response.headers
