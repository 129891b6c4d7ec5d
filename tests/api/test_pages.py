"""The page's files: served from their own folder only, under a strict policy."""

import re

import httpx
import pytest

from services.api.pages import PAGE


def test_the_page_loads_only_its_own_files(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == answer.text.count("<script>")
    assert answer.headers["x-content-type-options"] == "nosniff"
    for address in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        if not address.startswith(("#", "data:", "https://", "http://")):
            assert client.get(address.split("#")[0]).status_code == 200, address


@pytest.mark.parametrize("path", sorted(p.name for p in PAGE.iterdir() if p.is_file()))
def test_every_file_has_the_policy(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/page/{path}")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd"]
)
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    request = client.build_request("GET", "/x")
    request.url = request.url.copy_with(raw_path=path.encode())
    answer = client.send(request)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
