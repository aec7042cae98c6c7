"""boto3's requests as the bytes that it would send, recorded without a server.

Apart from what sends them, because both load and malformed requests begin with what a real client says. botocore builds
and signs each request as ever; it is stopped where it would open a connection.
"""

import os
import urllib.parse

import boto3
from botocore.config import Config

CONFIG = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


class Recorded(Exception):
    """Ends a call of boto3 when its request is known."""


class Recorder:
    """A service's client that answers each call with the request."""

    def __init__(self, service, endpoint=None, region=None):
        self.service = service
        self.client = boto3.client(
            service, config=CONFIG, region_name=region or os.environ["AWS_REGION"],
            endpoint_url=endpoint or os.environ["AWS_ENDPOINT_URL"])
        self.names = {name: method for method, name in self.client.meta.method_to_api_mapping.items()}
        self.client.meta.events.register("before-send.*", self.keep)
        self.request = b""

    def keep(self, request, **_):
        self.request = to_bytes(request)
        raise Recorded

    def record(self, operation, **parameters):
        """The bytes of one request."""
        try:
            getattr(self.client, self.names[operation])(**parameters)
        except Recorded:
            return self.request
        raise AssertionError(f"{operation} was not sent")


def to_bytes(request):
    """An HTTP/1.1 request as urllib3 would write it."""
    url = urllib.parse.urlsplit(request.url)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # What waits for a go-ahead cannot be sent in one piece.
    headers = {name: value for name, value in request.headers.items() if name.lower() not in ("expect", "content-length")}
    headers = {"Host": url.netloc, **headers, "Content-Length": str(len(body))}
    lines = [f"{request.method} {path} HTTP/1.1".encode()]
    for name, value in headers.items():
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else str(value).encode()))
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(body)
