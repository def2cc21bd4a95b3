"""HTTP requests to a guest's ports on loopback."""

from collections.abc import Mapping

from builder.model import Value


class Answer(Value, frozen=True):
    """A finished response: its status code and its body as text."""

    status: int
    text: str


def prepare() -> None:
    """Load the HTTP library (it takes a while) before the first request has to be quick."""
    import requests  # noqa: F401, PLC0415


def ask(
    method: str, url: str, *, limit_s: float, body: str = "", headers: Mapping[str, str] | None = None
) -> Answer | None:
    """The response to one request, or None when there was none within the limit (for connecting and for reading)."""
    import requests  # noqa: PLC0415 - slow to import

    try:
        response = requests.request(method, url, data=body.encode(), headers=dict(headers or {}), timeout=limit_s)
    except requests.RequestException:
        return None
    return Answer(response.status_code, response.text)
