"""A small Lambda Runtime API, for judging a function's own binary: hands over one event at a time, keeps the answer.

Apart from the judges, since it knows nothing of what a function does. After
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, without freezing between invocations, retries, or a
limit of memory.
"""

import http.server
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid

VERSION = "/2018-06-01/runtime"
STOP_SECONDS_MAX = 10


class Server(http.server.ThreadingHTTPServer):
    """Without a word where a function is ended while it asks for the next event."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Function:
    """A function's binary, running with these environment variables and no others; to be used in `with`."""

    def __init__(self, binary, variables, timeout_seconds, wait_seconds=90):
        """`timeout_seconds` is what the function is told that it has, `wait_seconds` what it really gets."""
        self.binary = binary
        self.variables = variables
        self.timeout_seconds = timeout_seconds
        self.wait_seconds = wait_seconds
        self.events = queue.Queue()
        self.answers = queue.Queue()
        self.server = Server(("127.0.0.1", 0), handler(self))
        self.process = None

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        port = self.server.server_address[1]
        lambdas = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": os.path.basename(self.binary),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "group",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        }
        with open("functions.log", "ab") as log:
            self.process = subprocess.Popen([self.binary], env={**self.variables, **lambdas}, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(STOP_SECONDS_MAX)
        self.server.shutdown()
        self.server.server_close()

    def invoke(self, event, request_id=None):
        """Hands over an event; answers `("response" or "error", body)`, and fails if there is none in time."""
        request_id = request_id or str(uuid.uuid4())
        limit = time.time() + self.wait_seconds
        deadline_ms = int((time.time() + self.timeout_seconds) * 1000)
        self.events.put((request_id, deadline_ms, json.dumps(event).encode()))
        while time.time() < limit:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.binary} ended with status {self.process.returncode}")
            try:
                kind, of, body = self.answers.get(timeout=0.2)
            except queue.Empty:
                continue
            if of not in (request_id, "init"):
                raise RuntimeError(f"{self.binary} answered {of}, asked was {request_id}")
            return kind, body
        raise TimeoutError(f"{self.binary} has not answered in {self.wait_seconds} s")

    def answer(self, event, request_id=None):
        """Hands over an event; answers the body, of an error too: whoever looks for an outcome finds none there."""
        return self.invoke(event, request_id)[1]


def handler(function):
    """The request handler of one function's Runtime API."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path != f"{VERSION}/invocation/next":
                return self.reply(404, b"{}")
            request_id, deadline_ms, event = function.events.get()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:judged",
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
            }
            self.reply(200, event, headers)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            path = self.path.removeprefix(VERSION).strip("/").split("/")
            if path == ["init", "error"]:
                answer = ("error", "init", json.loads(body))
            elif len(path) == 3 and path[0] == "invocation" and path[2] in ("response", "error"):
                answer = (path[2], path[1], json.loads(body))
            else:
                return self.reply(404, b"{}")
            self.reply(202, b"{}")
            # Only now: whoever waits for it may end the function.
            function.answers.put(answer)

        def reply(self, status, body, headers=None):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
