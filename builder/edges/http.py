"""HTTP requests to a guest's ports on loopback."""

from collections.abc import Mapping

from builder.value import Value


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
    """The response to one request, or None when there was none within the limit (for connecting and for reading).

    It is the guest's own: a redirection is not followed, and nothing of this machine's settings (proxies, passwords
    in ~/.netrc) has a part in it. A body without a declared character set is read as UTF-8.
    """
    import requests  # noqa: PLC0415 - slow to import

    sent = {name: value.encode() for name, value in (headers or {}).items()}
    try:
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(
                method, url, data=body.encode(), headers=sent, timeout=limit_s, allow_redirects=False
            )
    except requests.RequestException:
        return None
    if "charset" not in response.headers.get("content-type", "").lower():
        response.encoding = "utf-8"  # the library's guess is Latin-1 (RFC 2616)
    return Answer(response.status_code, response.text)
