# SPDX-License-Identifier: Apache-2.0
"""Goes through placementd's HTTP operations; see rest.sh."""
import argparse
import base64
import copy
import hashlib
import hmac
import http.client
import http.server
import json
import queue
import random
import re
import socket
import ssl
import sys
import threading
import time
import uuid
from urllib.parse import quote, urlencode

import jsonschema
import yaml

LIMIT_S = 120  # for whatever is waited for
FUZZ_EACH = 25  # requests that make no sense, an operation

parser = argparse.ArgumentParser()
for option in ("url", "ca", "read", "operate", "expired", "document", "table", "proto", "hook-secret"):
    parser.add_argument("--" + option, required=True)
parser.add_argument("--hook-port", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
args = parser.parse_args()
rng = random.Random(args.seed)
tls = ssl.create_default_context(cafile=args.ca)
host, port = re.fullmatch(r"https://(.*):(\d+)", args.url).groups()
with open(args.document, encoding="utf-8") as file:
    document = yaml.safe_load(file)
walked = set()
SERVICES, SUBSCRIPTIONS = "/amsi/v1/app_mobility_services", "/amsi/v1/subscriptions"
CELL_CHANGE = "/amsi/v1/notifications/mec012/cellChange"
TERMINATION = "/amsi/v1/notifications/mec011/appTermination"
CALLBACK = f"http://127.0.0.1:{args.hook_port}/callback"


def fail(text):
    sys.exit("rest.py: " + text)


def expect(condition, text):
    if not condition:
        fail(text)


# ---- The document ----------------------------------------------------------------


def resolve(node):
    while isinstance(node, dict) and "$ref" in node:
        target = document
        for part in node["$ref"][2:].split("/"):
            target = target[part]
        node = target
    return node


def operations():
    """(method, path, operation with the path's parameters)."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            merged = dict(operation)
            merged["parameters"] = [
                resolve(p) for p in item.get("parameters", []) + operation.get("parameters", [])
            ]
            yield method.upper(), path, merged


OPERATIONS = {(method, path): operation for method, path, operation in operations()}


def validate(value, schema):
    jsonschema.Draft202012Validator(
        {"allOf": [schema], "components": document["components"]}
    ).validate(value)


def body_schema(operation):
    body = resolve(operation.get("requestBody"))
    return resolve(body["content"]["application/json"]["schema"]) if body else None


def compare_with_table():
    with open(args.table, encoding="utf-8") as source:
        rows = set(re.findall(r'\{ "([A-Z]+)", "(/[^"]*)",', source.read()))
    expect(len(rows) > 20, f"found only {len(rows)} rows in the table")
    expect(rows == set(OPERATIONS), f"not in both: {sorted(rows ^ set(OPERATIONS))}")
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    expect(len(names) == len(set(names)), "an operationId is there twice")


def compare_choices():
    """The choices of the document are those of the messages: "give-up" is CONVERGE_GIVE_UP."""
    with open(args.proto, encoding="utf-8") as source:
        enums = dict(re.findall(r"enum (\w+) \{(.*?)\}", source.read(), re.DOTALL))
    schemas = document["components"]["schemas"]
    limits = schemas["MoveOrder"]["properties"]["limits"]["properties"]
    resolve_body = body_schema(OPERATIONS["POST", "/v1/moves/{move}/resolve"])
    # "lost" is a state to who reads, and a flag between the daemons.
    states = [name for name in schemas["Move"]["properties"]["state"]["enum"] if name != "lost"]
    for enum, prefix, schema in (
        ("IfNotConverging", "CONVERGE_", limits["if_not_converging"]),
        ("MovePriority", "PRIORITY_", schemas["Priority"]),
        ("MoveState", "MOVE_", {"enum": states}),
        ("VmState", "VM_", schemas["Vm"]["properties"]["state"]),
        ("Verdict", "", resolve_body["properties"]["verdict"]),
    ):
        names = re.findall(rf"{prefix}(\w+) = \d+;", enums[enum])
        wanted = {name.lower().replace("_", " ") for name in names}
        found = {choice.replace("-", " ") for choice in schema["enum"]}
        expect(names and found == wanted, f"{enum}: not in both: {sorted(found ^ wanted)}")


# ---- Requests --------------------------------------------------------------------


def connect():
    return http.client.HTTPSConnection(host, int(port), context=tls, timeout=LIMIT_S)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        self.type = (response.headers.get("Content-Type") or "").split(";")[0]
        self.json = json.loads(self.text) if self.type.endswith("json") and self.text else None


connection = connect()


def raw(method, path, body=None, headers=None, token=args.operate):
    """One request on the connection that is kept open."""
    global connection
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = "Bearer " + token
    for attempt in (1, 2):
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        except (http.client.HTTPException, OSError) as error:
            connection.close()  # it was kept for too long, or ended because of the body
            connection = connect()
            if attempt == 2 or isinstance(error, TimeoutError):
                raise
    return None


def check_answer(method, path, answer):
    """The answer of the operation is one that the document has."""
    operation = OPERATIONS[method, path]
    where = f"{method} {path}: {answer.status} {answer.text[:300]}"
    response = operation["responses"].get(str(answer.status))
    if response is None:
        expect(answer.status >= 400, f"{where}: an answer that is not in the document")
        response = operation["responses"]["default"]
    response = resolve(response)
    content = response.get("content")
    if not content:
        expect(not answer.text, f"{where}: there is to be no body")
        return
    expect(answer.type in content, f"{where}: of type {answer.type}")
    if answer.json is not None:
        try:
            validate(answer.json, content[answer.type]["schema"])
        except jsonschema.ValidationError as error:
            fail(f"{where}: {error.message} at {list(error.absolute_path)}")
        if answer.type == "application/problem+json":
            expect(answer.json["status"] == answer.status, f"{where}: another status inside")


def call(method, path, body=None, query=None, headers=None, token=args.operate, **values):
    headers = dict(headers or {})
    filled = re.sub(r"\{(\w+)\}", lambda m: quote(str(values[m.group(1)]), safe=""), path)
    if query:
        filled += "?" + urlencode(query)
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    answer = raw(method, filled, body, headers, token)
    check_answer(method, path, answer)
    if answer.status < 300:
        walked.add((method, path))
    return answer


def good(method, path, status=200, **more):
    answer = call(method, path, **more)
    expect(answer.status == status, f"{method} {path}: {answer.status}, not {status}: {answer.text}")
    return answer


def wait_for(what, condition):
    end = time.monotonic() + LIMIT_S
    while True:
        value = condition()
        if value:
            return value
        expect(time.monotonic() < end, f"not within {LIMIT_S} s: {what}")
        time.sleep(0.2)


# ---- Events and webhooks ------------------------------------------------------------


class Events(threading.Thread):
    """Listens until it is closed; `seen` has (id, type, data)."""

    def __init__(self, last_id=None, query=""):
        super().__init__(daemon=True)
        self.seen, self.alive = [], 0
        self.connection = connect()
        self.connection.connect()
        self.sock = self.connection.sock
        headers = {"Authorization": "Bearer " + args.read}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", "/v1/events" + query, headers=headers)
        self.response = self.connection.getresponse()
        expect(self.response.status == 200, f"events: {self.response.status}")
        expect(self.response.headers["Content-Type"] == "text/event-stream", "events: their type")
        walked.add(("GET", "/v1/events"))
        self.start()

    def run(self):
        event = {}
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line.startswith(":"):
                    self.alive += 1
                elif line:
                    name, value = line.split(": ", 1)
                    event[name] = value
                elif "data" in event:
                    self.seen.append((event.get("id"), event["event"], json.loads(event["data"])))
                    event = {}
                else:
                    event = {}
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def states(self, move):
        return [data["state"] for _, kind, data in self.seen if kind == "move" and data["move"] == move]

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.join(LIMIT_S)


received = queue.Queue()
refusals = [2]  # the receiver fails so often first


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if refusals[0] > 0:
            refusals[0] -= 1
            self.send_response(500)
        else:
            received.put((self.headers, body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def check_webhooks(move):
    with open(args.hook_secret, "rb") as secret_file:
        secret = secret_file.readline().rstrip(b"\n")
    states, ids = [], set()
    while "done" not in states:
        headers, body = received.get(timeout=LIMIT_S)
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        expect(headers["webhook-signature"] == "v1," + wanted, "a webhook's signature is wrong")
        ids.add(headers["webhook-id"])
        event = json.loads(body)
        validate(event["data"], document["components"]["schemas"]["Move"])
        expect(event["type"] == "move." + event["data"]["state"], f"a webhook's type: {event['type']}")
        if event["data"]["move"] == move:
            states.append(event["data"]["state"])
    expect(states[0] == "queued" and len(ids) >= len(states), f"webhooks told {states}")
    expect(refusals[0] == 0, "the receiver was not asked again")


# ---- All operations -------------------------------------------------------------------

PHONE = "3f2a1199-5c00-4001-8002-000000000000"
SPARE = "71c0a0de-5c00-4001-8002-000000000000"
SPEC = {"name": "web", "memory_bytes": 64 << 20, "vcpus": 1, "machine": "pc-q35-7.2", "cpu": "qemu64",
        "accelerator": "tcg"}  # firmware that finds nothing to boot


def walk_questions():
    answer = raw("GET", "/v1/openapi.json", token=None)
    check_answer("GET", "/v1/openapi.json", answer)
    walked.add(("GET", "/v1/openapi.json"))
    expect(answer.json == document, "the document that is served is another one")
    wait_for("both nodes are up", lambda: good("GET", "/v1/summary").json["nodes"]["migrator_up"] == 2)
    expect(good("GET", "/v1/nodes/{node}", node="a").json["name"] == "a", "node a")
    expect(call("GET", "/v1/nodes/{node}", node="c").status == 404, "node c is there")
    controllers = good("GET", "/v1/controllers", token=args.read).json["controllers"]
    expect(controllers[0]["state"] == "leads", f"controllers: {controllers}")


DRY = {"dry_run": True}


def node(name):
    return good("GET", "/v1/nodes/{node}", node=name).json


def walk_nodes():
    """To and fro, each first without doing it."""
    for there, state, back, status in (("drain", "drained", "undrain", 200), ("evacuate", "evacuated", "undrain", 200),
                                       ("quarantine", "quarantine", "release", 204)):
        good("POST", f"/v1/nodes/{{node}}/{there}", status, body=DRY, node="b")
        expect(node("b")["accepts"] == "yes", f"{there}: a dry run did it")
        good("POST", f"/v1/nodes/{{node}}/{there}", status, node="b")
        expect(node("b")["accepts"] == state, f"{there}: {node('b')}")
        expect(call("POST", "/v1/moves", body={"vm": "web", "target": "b"}).status == 409, f"an order to b: {there}")
        good("POST", f"/v1/nodes/{{node}}/{back}", status, body=DRY, node="b")
        expect(node("b")["accepts"] == state, f"{back}: a dry run did it")
        good("POST", f"/v1/nodes/{{node}}/{back}", status, node="b")
        expect(node("b")["accepts"] == "yes", f"{back}: {node('b')}")
    plan = good("POST", "/v1/nodes/{node}/evacuate", body=DRY, node="a").json
    expect(plan["steps"] == [{"vm": "web", "target": "b"}], f"the plan: {plan}")
    start = time.time_ns() + 7 * 86400 * 10**9
    window = {"start_utc_ns": start, "end_utc_ns": start + 3600 * 10**9}
    path = "/v1/nodes/{node}/maintain"
    backwards = {"start_utc_ns": window["end_utc_ns"], "end_utc_ns": start}
    expect(call("POST", path, body={"window": backwards}, node="b").status == 400, "a window that ends first")
    good("POST", path, 204, body={"window": window, **DRY}, node="b")
    expect(node("b")["windows"] == [], "maintain: a dry run did it")
    good("POST", path, 204, body={"window": window}, node="b")
    good("POST", path, 204, body={"window": window}, node="b")
    good("POST", "/v1/nodes/{node}/unmaintain", 204, body=DRY, node="b")
    expect(node("b")["windows"] == [window], f"windows: {node('b')}")
    good("POST", "/v1/nodes/{node}/unmaintain", 204, node="b")
    expect(node("b")["windows"] == [], "unmaintain")


def groups():
    return good("GET", "/v1/affinities").json["groups"]


def walk_affinities():
    path, names = "/v1/affinities/{group}/{vm}", {"group": "spread", "vm": "web"}
    good("PUT", path, 204, body={"apart": True, **DRY}, **names)
    expect(groups() == [], "affinity: a dry run did it")
    good("PUT", path, 204, body={"apart": True}, **names)
    expect(call("PUT", path, **names).status == 409, "a group is of two kinds")
    good("DELETE", path, 204, query={"dry_run": "true"}, **names)
    expect(groups() == [{"group": "spread", "kept": "apart", "vms": ["web"]}], f"groups: {groups()}")
    good("DELETE", path, 204, **names)
    good("PUT", path, 204, **names)
    expect(groups()[0]["kept"] == "together", f"groups: {groups()}")
    good("DELETE", path, 204, **names)
    expect(call("DELETE", path, **names).status == 404 and groups() == [], f"still there: {groups()}")


def walk_vms():
    good("POST", "/v1/vms", 204, body={"spec": SPEC, "node": "a", **DRY})
    expect(good("GET", "/v1/vms").json["vms"] == [], "a VM: a dry run started it")
    good("POST", "/v1/vms", 204, body={"spec": SPEC, "node": "a"})
    wait_for("web runs", lambda: any(vm["state"] == "running" for vm in good("GET", "/v1/vms").json["vms"]))
    expect(call("POST", "/v1/vms", body={"spec": SPEC}).status == 409, "web is started twice")
    expect(call("POST", "/v1/vms", body={"spec": SPEC, **DRY}).status == 409, "a dry run would start it twice")
    good("DELETE", "/v1/vms/{vm}", 204, vm="web", query={"dry_run": "true"})
    expect(good("GET", "/v1/vms/{vm}", vm="web").json["state"] == "running", "a dry run stopped it")
    good("POST", "/v1/vms/{vm}/freeze", 204, body=DRY, vm="web")
    expect(not good("GET", "/v1/vms/{vm}", vm="web").json.get("frozen"), "freeze: a dry run did it")
    good("POST", "/v1/vms/{vm}/freeze", 204, vm="web")
    good("POST", "/v1/vms/{vm}/thaw", 204, body=DRY, vm="web")
    expect(good("GET", "/v1/vms/{vm}", vm="web").json["frozen"], "it is not frozen")
    plan = good("POST", "/v1/nodes/{node}/drain", body=DRY, node="a").json
    expect(plan["steps"][0]["problem"] == "it is frozen", f"the plan: {plan}")
    good("POST", "/v1/vms/{vm}/thaw", 204, vm="web")


def walk_pairs():
    names = {"device": "phone", "vm": "web"}
    good("PUT", "/v1/pairs/{device}/{vm}", 204, body={"device_id": PHONE, **DRY}, **names)
    expect(good("GET", "/v1/pairs").json["pairs"] == [], "a pair: a dry run did it")
    good("PUT", "/v1/pairs/{device}/{vm}", 204, body={"device_id": PHONE, "foreground": False}, **names)
    good("POST", "/v1/pairs/{device}/{vm}/front", 204, body=DRY, **names)
    expect(not good("GET", "/v1/pairs").json["pairs"][0]["foreground"], "front: a dry run did it")
    good("POST", "/v1/pairs/{device}/{vm}/front", 204, **names)
    expect(good("GET", "/v1/pairs").json["pairs"][0]["foreground"], "it is not in front")
    good("POST", "/v1/devices/{device}/replace", 204, body={"device_id": SPARE, **DRY}, device="phone")
    expect(good("GET", "/v1/devices/{device}", device="phone").json["device_id"] == PHONE, "a dry run replaced it")
    good("POST", "/v1/devices/{device}/replace", 204, body={"device_id": SPARE}, device="phone")
    expect(good("GET", "/v1/devices/{device}", device="phone").json["device_id"] == SPARE, "not replaced")
    good("DELETE", "/v1/pairs/{device}/{vm}", 204, query={"dry_run": "true"}, **names)
    expect(len(good("GET", "/v1/devices").json["devices"]) == 1, "one device")
    good("DELETE", "/v1/pairs/{device}/{vm}", 204, **names)
    expect(call("DELETE", "/v1/pairs/{device}/{vm}", device="phone", vm="web").status == 404, "still a pair")


def order(target, key=None, **more):
    headers = {"Idempotency-Key": key} if key else None
    return call("POST", "/v1/moves", body={"vm": "web", "target": target, **more}, headers=headers)


def walk_mobility():
    """The resources alone; mec021.sh has moves, and deaths."""
    phone = {"type": "UE_IPv4_ADDRESS", "value": "10.0.0.7"}
    body = {"serviceConsumerId": {"appInstanceId": "web"}, "deviceInformation": [{"associateId": phone}]}
    added = good("POST", SERVICES, 201, body=body)
    name = {"appMobilityServiceId": added.json["appMobilityServiceId"]}
    expect(added.headers["Location"] == f"{SERVICES}/{name['appMobilityServiceId']}", "where it is")
    one = SERVICES + "/{appMobilityServiceId}"
    expect(good("GET", SERVICES).json == [added.json], "all of them")
    good("GET", "/amsi/v1/queries/adjacent_app_instances")
    tag = good("GET", one, **name).headers["ETag"]
    changed = good("PUT", one, body=added.json, headers={"If-Match": tag}, **name)
    expect(call("PUT", one, body=added.json, headers={"If-Match": tag}, **name).status == 412, "an old version")
    expect(changed.headers["ETag"] != tag, "another version")
    good("POST", one + "/deregister_task", 204, **name)
    expect(call("DELETE", one, **name).status == 404, "deregistered twice")
    good("DELETE", one, 204, appMobilityServiceId=good("POST", SERVICES, 201, body=body).json["appMobilityServiceId"])
    body = {"subscriptionType": "MobilityProcedureSubscription", "callbackReference": CALLBACK,
            "filterCriteria": {"associateId": [phone]}}
    added = good("POST", SUBSCRIPTIONS, 201, body=body)
    expect(added.json["filterCriteria"]["mobilityStatus"] == ["INTERHOST_MOVEOUT_TRIGGERED"], "the default")
    name = {"subscriptionId": added.json["_links"]["self"]["href"].split("/")[-1]}
    one = SUBSCRIPTIONS + "/{subscriptionId}"
    expect(good("GET", one, **name).json == added.json, "the subscription")
    links = good("GET", SUBSCRIPTIONS, query={"subscriptionType": "mobility_proc"}).json["_links"]["subscription"]
    expect([link["href"] for link in links] == [added.json["_links"]["self"]["href"]], f"links: {links}")
    good("PUT", one, body=added.json, **name)
    good("POST", TERMINATION, 204, body={
        "notificationType": "AppTerminationNotification", "operationAction": "TERMINATING", "maxGracefulTimeout": 10,
        "_links": {"subscription": {"href": "http://p/mec_app_support/v1/applications/x/subscriptions/1"}}})
    good("DELETE", one, 204, **name)
    ecgi = {"plmn": {"mcc": "001", "mnc": "01"}, "cellId": "A"}
    good("POST", CELL_CHANGE, 204, body={"notificationType": "CellChangeNotification", "hoStatus": 3,
                                         "srcEcgi": ecgi, "trgEcgi": [ecgi]})


def move_state(move):
    return good("GET", "/v1/moves/{move}", move=move).json["state"]


def walk_moves():
    events = Events(query="?type=move")
    limits = {"blackout_ns": 10**9, "blackout_max_ns": 20 * 10**9, "if_not_converging": "longer"}
    forecast = good("POST", "/v1/moves", body={"vm": "web", "target": "b", "dry_run": True}).json
    expect("left_ns" in forecast, f"a dry run predicts nothing: {forecast}")
    first = order("b", "one", limits=limits)
    expect(first.status == 201, f"an order: {first.status} {first.text}")
    move = first.json["move"]
    expect(first.headers["Location"] == "/v1/moves/" + move, "its location")
    again = order("b", "one", limits=limits)
    expect(again.status == 200 and again.json["move"] == move, f"repeated: {again.status} {again.text}")
    expect(order("a", "one").status == 422, "a key for another move")
    wait_for("it is done", lambda: move_state(move) == "done")
    expect(order("b", "one").json["move"] == move, "repeated after its end")
    wait_for("the event of its end", lambda: "done" in events.states(move))
    states = events.states(move)
    expect(states[0] == "queued" and states[-1] == "done", f"events: {states}")
    for _, _, data in events.seen:
        validate(data, document["components"]["schemas"]["Move"])
    good("GET", "/v1/moves/{move}/why", move=move)
    check_webhooks(move)
    wait_for("a sign of life", lambda: events.alive)
    events.close()
    check_resumption(events, move)
    return move


def check_resumption(events, move):
    ids = [event_id for event_id, _, _ in events.seen]
    later = Events(last_id=ids[0])
    wait_for("what was missed", lambda: len(later.seen) >= len(ids) - 1)
    expect([event_id for event_id, _, _ in later.seen] == ids[1:], "not the same events")
    later.close()
    stranger = Events(last_id="0000000000000001-7")
    wait_for("a reset", lambda: stranger.seen)
    expect(stranger.seen[0][1] == "reset", f"no reset, but {stranger.seen[0]}")
    stranger.close()
    expect("done" in events.states(move), "its end")


def walk_dry(move):
    """Nothing of it is done to a move that is copying."""
    body = {"paused": True, "priority": "low", **DRY}
    # The node takes the order at once, but may not have the move when the word about it comes.
    wait_for("it could be paused", lambda: call("PATCH", "/v1/moves/{move}", body=body, move=move).status == 204)
    good("POST", "/v1/moves/{move}/cancel", 204, body=DRY, move=move)
    in_doubt = {"verdict": "run-here", "node": "b", **DRY}
    expect(call("POST", "/v1/moves/{move}/resolve", body=in_doubt, move=move).status == 409, "it is not in doubt")
    time.sleep(0.5)  # the node tells of a change sooner
    now = good("GET", "/v1/moves/{move}", move=move).json
    expect(now["state"] != "aborted" and now.get("priority") != "low" and not now.get("paused"), f"dry runs: {now}")


def walk_cancel():
    # a keeps an image of it: at any other speed it would be there at once.
    move = order("a", limits={"bandwidth_bps": 2000}).json["move"]
    walk_dry(move)
    for body in ({"paused": True}, {"paused": False, "priority": "high"}):
        wait_for(f"adjusted: {body}", lambda: call("PATCH", "/v1/moves/{move}", body=body, move=move).status == 204)
    good("POST", "/v1/moves/{move}/cancel", 204, move=move)
    wait_for("it is called off", lambda: move_state(move) == "aborted")
    expect(call("POST", "/v1/moves/{move}/cancel", move=move).status == 404, "cancelled twice")
    nothing = call("POST", "/v1/moves/{move}/resolve", body={"verdict": "discard", "node": "b"}, move=str(uuid.uuid4()))
    expect(nothing.status in (204, 404, 422), f"resolved: {nothing.status} {nothing.text}")
    walked.add(("POST", "/v1/moves/{move}/resolve"))  # a move in doubt takes a host that is gone: resolve.sh


def walk_pages(move):
    expect(move in [m["move"] for m in good("GET", "/v1/moves").json["moves"]], "the list lacks it")
    seen, after = [], {}
    while after is not None:
        page = good("GET", "/v1/moves", query={"limit": 1, **after}).json
        seen += [m["move"] for m in page["moves"]]
        after = {"after": page["next"]} if "next" in page else None
    expect(len(seen) >= 2 and len(seen) == len(set(seen)), f"pages: {seen}")
    gone = call("GET", "/v1/moves", query={"after": str(uuid.uuid4())})
    expect(gone.status == 404, f"after a stranger: {gone.status}")


def walk_outcomes():
    rows = good("GET", "/v1/outcomes").json["rows"]
    expect([(row["code"], row["done"]) for row in rows] == [("operator", 1)], f"outcomes: {rows}")
    since = time.time_ns()
    expect(good("GET", "/v1/outcomes", query={"since_utc_ns": since}).json == {"since_utc_ns": since, "rows": []},
           "outcomes of what is to come")


def check_metrics():
    text = good("GET", "/metrics").text
    for line in ("tagalong_placement_leader 1", 'tagalong_placement_nodes_up{program="migratord"} 2',
                 'tagalong_placement_moves_total{outcome="done",reason="operator"} 1',
                 "tagalong_placement_move_blackout_seconds_count 1",
                 "tagalong_vmi_migrations_in_running_phase 0",
                 'tagalong_placement_webhooks_total{result="lost"} 0'):
        expect(line in text.split("\n"), f"metrics lack '{line}':\n{text}")
    txns = re.search(r'tagalong_placement_store_seconds_count\{operation="txn"\} (\d+)', text)
    expect(txns and int(txns.group(1)) > 5, "no time of the store")
    for line in text.rstrip("\n").split("\n"):
        expect(re.fullmatch(r'# (HELP|TYPE) .*|[a-z_:]+(\{[^}]*\})? [-+.eE0-9]+', line), f"metrics: '{line}'")


# ---- What is refused --------------------------------------------------------------------


def check_tokens():
    for token, status in ((None, 401), ("nonsense", 401), (args.expired, 401), (args.read, 200)):
        answer = raw("GET", "/v1/nodes", token=token)
        expect(answer.status == status, f"with token {token}: {answer.status}")
    expect("expired" in raw("GET", "/v1/nodes", token=args.expired).json["detail"], "expired")
    for (method, path), operation in OPERATIONS.items():
        if method == "GET" or operation.get("security") == []:
            continue
        values = dict.fromkeys(("node", "device", "vm", "group", "appMobilityServiceId", "subscriptionId"), "x")
        values["move"] = PHONE
        answer = call(method, path, token=args.read, **values)
        expect(answer.status == 403, f"{method} {path} with a token that may read: {answer.status}")


def check_refusals():
    as_json = {"Content-Type": "application/json"}
    for method, path, body, headers, status in (
        ("GET", "/v1/nothing", None, {}, 404),
        ("GET", "/", None, {}, 404),
        ("DELETE", "/v1/nodes", None, {}, 405),
        ("OPTIONS", "/v1/nodes", None, {}, 405),
        ("POST", "/v1/moves", "{", as_json, 400),
        ("POST", "/v1/moves", "[]", as_json, 400),
        ("POST", "/v1/moves", "{}", as_json, 400),
        ("POST", "/v1/moves", '{"vm": "web", "vm": "web", "target": "a"}', as_json, 400),
        ("POST", "/v1/moves", '{"vm": "web", "target": "a", "now": true}', as_json, 400),
        ("POST", "/v1/moves", '{"vm": "we\\u0000b", "target": "a"}', as_json, 400),
        ("POST", "/v1/moves", '{"vm": "web\\u0001", "target": "a"}', as_json, 400),
        ("POST", "/v1/moves", '{"vm": "web", "target": "a", "force": 1}', as_json, 400),
        ("POST", "/v1/moves", '{"vm": "web", "target": "a"}', {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/moves", '{"vm": "web", "target": "a"}', as_json | {"Idempotency-Key": "k" * 300}, 400),
        ("POST", "/v1/moves", "[" * 9000, as_json, 400),
        ("POST", "/v1/moves", None, as_json | {"Content-Length": "17000"}, 413),
        ("GET", "/v1/moves?limit=1001", None, {}, 400),
        ("GET", "/v1/moves?limit=1&limit=2", None, {}, 400),
        ("GET", "/v1/moves?colour=red", None, {}, 400),
        ("GET", "/v1/moves/none", None, {}, 400),
        ("GET", "/v1/events?type=colour", None, {}, 400),
        ("DELETE", "/v1/pairs/phone/web", "{}", as_json, 400),
        ("GET", "/v1/nodes", None, {"Accept": "text/html"}, 406),
        ("GET", SERVICES, None, {"Accept": "application/xml;q=0.9, image/*"}, 406),
        ("GET", SERVICES + "?filter=(eq,x,y)", None, {}, 400),
        ("GET", SERVICES + "/none", None, {}, 404),
        ("PATCH", SERVICES + "/none", None, {}, 405),
        ("POST", SERVICES, "{}", {"Content-Type": "text/plain"}, 415),
        ("POST", SERVICES, '{"serviceConsumerId": {"appInstanceId": 7}}', as_json, 400),
        ("POST", SERVICES + "/none/deregister_task", None, {}, 404),
        ("GET", SUBSCRIPTIONS, None, {}, 400),
        ("GET", SUBSCRIPTIONS + "/none", None, {}, 404),
        ("DELETE", SUBSCRIPTIONS + "/none", None, {}, 404),
        ("POST", SUBSCRIPTIONS, '{"subscriptionType": "MobilityProcedureSubscription"}', as_json, 400),
        ("POST", CELL_CHANGE, '{"notificationType": "CellChangeNotification"}', as_json, 400),
        ("POST", "/v1/vms/web/thaw", '{"dry_run": 1}', as_json, 400),
        ("POST", "/v1/nodes/b/maintain", '{"window": {"start_utc_ns": 1}}', as_json, 400),
    ):
        answer = raw(method, path, body, headers)
        expect(answer.status == status, f"{method} {path} {str(body)[:60]}: {answer.status}, not {status}")
        expect(answer.type == "application/problem+json", f"{method} {path}: {answer.type}")
        validate(answer.json, document["components"]["schemas"]["Problem"])


def check_slow_client():
    """Who dawdles holds up nobody, and in the end is cut off."""
    slow = tls.wrap_socket(socket.create_connection((host, int(port)), timeout=LIMIT_S), server_hostname=host)
    slow.sendall(b"POST /v1/moves HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{")
    good("GET", "/v1/nodes")
    end = time.monotonic() + LIMIT_S
    try:
        while slow.recv(4096):
            expect(time.monotonic() < end, "a slow client is never cut off")
    except OSError as error:
        expect(not isinstance(error, TimeoutError), "a slow client is never cut off")


# ---- What makes no sense -------------------------------------------------------------------

ODD = [None, True, False, 0, 1, -1, 2**31, 2**53, 2**63 - 1, 2**63, 10**40, 1.5, "", "a", "web", "phone", "b", PHONE,
       "x" * 300, "\u0000", "\n", "ü€", "../..", "%00", "'", '"', [], {}, [[]], [None], {"a": 1}, ["web"] * 300]


def sample(schema, depth=0):
    """A value that fits, mostly."""
    schema = resolve(schema)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", [])
        return {name: sample(inner, depth + 1) for name, inner in schema.get("properties", {}).items()
                if name in required or rng.random() < 0.5}
    if kind == "array":
        return [sample(schema["items"], depth + 1) for _ in range(rng.randrange(3))]
    if kind == "integer":
        return rng.choice([schema.get("minimum", 0), schema.get("maximum", 10**6), rng.randrange(10**6)])
    if kind == "boolean":
        return rng.random() < 0.5
    if schema.get("format") == "uri":
        return rng.choice([CALLBACK, CALLBACK, "https://127.0.0.1:1/", "ftp://x/"])
    if schema.get("format") == "uuid":
        return rng.choice([PHONE, SPARE, str(uuid.UUID(int=rng.getrandbits(128)))])
    return rng.choice(["nobody", "web", "phone", "a", "c", "x" * 60])


def mutate(value):
    """One part of it becomes another."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        choice = rng.randrange(4)
        if choice == 0:
            del value[key]
        elif choice == 1:
            value[rng.choice(["x", "vm", "node", "é", "$ref"])] = rng.choice(ODD)
        else:
            value[key] = mutate(value[key])
        return value
    if isinstance(value, list) and value and rng.random() < 0.7:
        value[rng.randrange(len(value))] = mutate(value[rng.randrange(len(value))])
        return value
    return copy.deepcopy(rng.choice(ODD))


def fuzz_text(body):
    text = json.dumps(body).encode()
    if rng.random() < 0.15 and text:
        at = rng.randrange(len(text))
        text = text[:at] + bytes([rng.randrange(256)]) * rng.randrange(4) + text[at + rng.randrange(3):]
    return text


def fuzz(method, path, operation):
    schema = body_schema(operation)
    for _ in range(FUZZ_EACH):
        values, query, headers = {}, {}, {"Content-Type": "application/json"}
        for parameter in operation["parameters"]:
            value = sample(parameter["schema"]) if rng.random() < 0.6 else rng.choice(ODD)
            if parameter["in"] == "path":
                values[parameter["name"]] = value if value not in ("", None) else "x"
            elif parameter["in"] == "query" and rng.random() < 0.7:
                query[parameter["name"]] = str(value).lower() if isinstance(value, bool) else value
            elif parameter["in"] == "header" and isinstance(value, str) and value.isascii() and value.isprintable():
                headers[parameter["name"]] = value
        body = None
        if schema and rng.random() < 0.95:
            body = sample(schema)
            for _ in range(rng.randrange(3)):
                body = mutate(body)
            if path == "/v1/vms" and isinstance(body, dict):
                body["node"] = "nobody"  # or many a QEMU would be started
            body = fuzz_text(body)
        filled = re.sub(r"\{(\w+)\}", lambda m: quote(str(values[m.group(1)]).replace("/", "_"), safe=""), path)
        if query:
            filled += "?" + urlencode(query)
        answer = raw(method, filled, body, headers)
        expect(answer.status < 500, f"{method} {filled} {body!r}: {answer.status} {answer.text}")
        if answer.status != 404 or answer.type == "application/problem+json":
            check_answer(method, path, answer)


def fuzz_all():
    for (method, path), operation in OPERATIONS.items():
        if path not in ("/v1/events", "/v1/openapi.json", "/metrics"):
            fuzz(method, path, operation)


def main():
    compare_with_table()
    compare_choices()
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", args.hook_port), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    walk_questions()
    check_tokens()
    check_refusals()
    walk_vms()
    walk_nodes()
    walk_affinities()
    walk_pairs()
    walk_mobility()
    move = walk_moves()
    check_metrics()
    walk_outcomes()
    walk_cancel()
    walk_pages(move)
    good("GET", "/v1/status")
    good("GET", "/v1/nodes")
    check_slow_client()
    good("DELETE", "/v1/vms/{vm}", 204, vm="web", query={"force": "true"})
    missed = set(OPERATIONS) - walked
    expect(not missed, f"never answered with success: {sorted(missed)}")
    fuzz_all()
    good("GET", "/v1/summary")
    print(f"rest.py: {len(walked)} operations")


main()
