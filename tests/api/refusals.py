"""How refusals are tested: an API with low limits, and what every refusal must look like."""

import httpx

ROUTES = ("/v1/audio/transcriptions", "/v1/jobs")
MAX_BYTES = 2_000_000
MAX_AUDIO_S = 60
LIMITS = {"max_upload_bytes": MAX_BYTES, "max_audio_s": MAX_AUDIO_S}


def require_error(answer: httpx.Response, status: int, code: str, param: str | None = None) -> None:
    """The answer is this error, in OpenAI's envelope and with its headers."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert error["message"] and "Traceback" not in error["message"]
    if param is not None:
        assert error["param"] == param
    assert answer.headers["x-request-id"]
    assert answer.headers["x-should-retry"] in ("true", "false")


def send(
    client: httpx.Client, route: str, body: bytes, name: str = "a.wav", **fields: object
) -> httpx.Response:
    return client.post(route, data=fields, files={"file": (name, body, "audio/wav")})
