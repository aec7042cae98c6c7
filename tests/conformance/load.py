#!/usr/bin/env python3
"""Sixty-four clients at once: no call fails, and what is asked for leaves nothing behind in the server's memory.

usage: load.py <calls>; in the environment of `serve`, whose process id is in SERVED. Prints the calls per second.
"""

import http.client
import json
import os
import sys
import threading
import time

CLIENTS = 64
PORT = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
BUCKET = os.environ["S3_BUCKET"]


def request(service, method, path, body=None, target=None):
    scope = f"AWS4-HMAC-SHA256 Credential=AK/20270101/us-sim-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
    headers = {"Authorization": scope}
    if target:
        headers["X-Amz-Target"] = target
    return method, path, body, headers


def mix(number):
    """One client's calls, again and again; each writes the same few keys."""
    key = {"pk": {"S": f"load{number}"}, "sk": {"S": "1"}}
    step = json.dumps({"TableName": "spot-drill-Ledger", "Item": key})
    item = json.dumps({"TableName": "spot-drill-Ledger", "Key": key})
    return [
        request("fis", "GET", "/experimentTemplates"),
        request("fis", "GET", "/safetyLevers/default"),
        request("s3", "GET", f"/{BUCKET}/script.py"),
        request("s3", "PUT", f"/{BUCKET}/load/{number}", "x" * 100),
        request("s3", "GET", f"/{BUCKET}?list-type=2&prefix=load/"),
        request("dynamodb", "POST", "/", step, "DynamoDB_20120810.PutItem"),
        request("dynamodb", "POST", "/", item, "DynamoDB_20120810.GetItem"),
        request("sts", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15"),
        request("events", "POST", "/", "{}", "AWSEvents.ListRules"),
        request("cloudformation", "POST", "/", "Action=DescribeStacks&Version=2010-05-15"),
    ]


def work(number, calls, failed):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    calls_of_mix = mix(number)
    for position in range(calls):
        method, path, body, headers = calls_of_mix[position % len(calls_of_mix)]
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            failed.append(f"{method} {path} {headers.get('X-Amz-Target', '')} {answer.status}")


def memory_kb():
    with open(f"/proc/{os.environ['SERVED']}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def run(calls):
    failed = []
    begun = time.monotonic()
    threads = [threading.Thread(target=work, args=(number, calls // CLIENTS, failed)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed, calls / (time.monotonic() - begun)


def main():
    calls = int(sys.argv[1])
    # What there is to keep is there after a few calls; nothing more may come.
    run(calls // 10)
    before = memory_kb()
    failed, rate = run(calls)
    grown = memory_kb() - before
    print(f"{calls} calls of {CLIENTS} clients: {rate:.0f} calls a second, {grown} kB more memory")
    print("ok no call fails" if not failed else f"not ok no call fails: {len(failed)}, {failed[0]}")
    small = grown < calls // 20
    print("ok memory does not grow with the calls" if small else f"not ok memory does not grow with the calls: {grown} kB")


main()
