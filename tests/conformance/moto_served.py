"""moto, served on loopback, with a record of every call and of what was answered.

Apart from the judge, since here is what moto is helped with: three things that it lacks, and without which it could
judge little. Each is named when it is first used, and nothing else of moto is touched. An answer can also be lost on
purpose.
"""

import collections
import io
import json
import logging
import re
import threading
import traceback
import urllib.parse

import botocore.session
from moto.ec2 import utils as ec2_utils
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

Call = collections.namedtuple("Call", "by service operation status code")

LEVER = {
    "safetyLever": {
        "id": "default",
        "arn": "arn:aws:fis:us-east-1:123456789012:safety-lever/default",
        "state": {"status": "disengaged", "reason": ""},
    }
}
BY_BOTO3 = "boto3"
BY_FUNCTIONS = "functions"
LOST = "lost on purpose"
LACKING = "not implemented"


class Moto:
    """A moto server, to be used in `with`."""

    # Codes of refusals that say nothing of who is refused.
    EXCUSES = (LOST, LACKING)

    def __init__(self, port):
        self.calls = []
        self.to_lose = []
        self.lacking = {}
        self.application = DomainDispatcherApplication(create_backend_app)
        self.application.debug = True
        session = botocore.session.get_session()
        self.fis = session.get_service_model("fis")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        # moto names instances' lifecycle in its answers and does not filter by it.
        ec2_utils.filter_dict_attribute_mapping["instance-lifecycle"] = "lifecycle"
        self.server = make_server("127.0.0.1", port, self, threaded=True, request_handler=MotoRequestHandler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def lacks(self, what, instead):
        """Names what moto lacks, once."""
        if what not in self.lacking:
            self.lacking[what] = instead
            print(f"moto lacks {what}: {instead}", flush=True)

    def lose_answer(self, operation):
        """The next answer to this operation is lost, after moto has done what it asks for."""
        self.to_lose.append(operation)

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        service, operation = self.named(environ, body)
        if operation == "GetSafetyLever":
            self.lacks("fis GetSafetyLever", "answered here, that the lever is not engaged")
            start_response("200 OK", [("content-type", "application/json")])
            return [json.dumps(LEVER).encode()]
        if operation == "GET /ping":
            self.lacks("what AWS's endpoints answer a load balancer, GET /ping", "answered here, that all is well")
            start_response("200 OK", [("content-type", "text/plain")])
            return [b"healthy"]
        status, headers, answer = self.answered(environ, body, service, operation)
        if operation in self.to_lose and status < 300:
            self.to_lose.remove(operation)
            status, headers, answer = 500, [], json.dumps({"__type": LOST}).encode()
            print(f"the answer to {service} {operation} is lost on purpose", flush=True)
        if service:
            by = BY_BOTO3 if "Boto3" in environ.get("HTTP_USER_AGENT", "") else BY_FUNCTIONS
            self.calls.append(Call(by, service, operation, status, code(status, answer)))
        start_response(f"{status} {'OK' if status < 300 else 'Refused'}", headers)
        return [answer]

    def answered(self, environ, body, service, operation):
        """Status, headers and body, as moto has them."""
        if b"instance-lifecycle" in body and operation == "DescribeInstances":
            self.lacks("ec2 DescribeInstances filter instance-lifecycle", "moto is taught which attribute that is")
        begun = {}

        def begin(status, headers, exc_info=None):
            begun["status"], begun["headers"] = int(status.split()[0]), headers

        try:
            answer = b"".join(self.application(environ, begin))
        except NotImplementedError as error:
            self.lacks(f"{service} {operation}", f"NotImplementedError: {str(error)[:120]}")
            return 501, [], json.dumps({"__type": LACKING}).encode()
        except Exception:
            return 500, [], traceback.format_exc().encode()
        return begun["status"], begun["headers"], answer

    def named(self, environ, body):
        """Which service and operation a request is for, as its signature and its protocol say."""
        signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        service = signed.group(1) if signed else None
        if environ.get("HTTP_X_AMZ_TARGET"):
            return service, environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2]
        query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        method = environ["REQUEST_METHOD"]
        if service == "fis":
            return service, self.rest(method, environ["PATH_INFO"])
        if service == "s3":
            marks = {"list-type": "ListObjectsV2", "delete": "DeleteObjects"}
            named = [name for mark, name in marks.items() if mark in query]
            return service, query.get("x-id", named or [f"{method} {environ['PATH_INFO']}"])[0]
        form = urllib.parse.parse_qs(body.decode(errors="replace")) if method == "POST" else {}
        return service, form.get("Action", [f"{method} {environ['PATH_INFO']}"])[0]

    def rest(self, method, path):
        """FIS's operation of this path, after botocore's model."""
        for name in self.fis.operation_names:
            http = self.fis.operation_model(name).http
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", http["requestUri"])
            if http["method"] == method and re.fullmatch(pattern, path):
                return name
        return f"{method} {path}"


def code(status, answer):
    """The error's code, of JSON, XML, or whatever stands there."""
    if status < 300:
        return ""
    text = answer.decode(errors="replace")
    found = re.search(r"<Code>([^<]+)</Code>|\"__type\": ?\"(?:[^\"]*#)?([^\"]+)\"", text)
    if found:
        return next(filter(None, found.groups()))
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""
