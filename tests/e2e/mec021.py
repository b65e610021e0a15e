# SPDX-License-Identifier: Apache-2.0
"""An application that uses placementd's application mobility service; see mec021.sh."""
import argparse
import http.client
import http.server
import json
import queue
import re
import subprocess
import sys
import threading
import time

import jsonschema
import yaml

LIMIT_S = 120  # for whatever is waited for
SERVICES, SUBSCRIPTIONS = "/amsi/v1/app_mobility_services", "/amsi/v1/subscriptions"
PHONE_ID = "3f2a1199-5c00-4001-8002-0000000000ff"
PHONE = {"type": "GTP_TEID", "value": "phone"}
TRIGGERED, COMPLETED, FAILED = (f"INTERHOST_MOVEOUT_{end}" for end in ("TRIGGERED", "COMPLETED", "FAILED"))

parser = argparse.ArgumentParser()
for option in ("url", "token", "document", "placementd", "config", "log"):
    parser.add_argument("--" + option, required=True)
parser.add_argument("--hook-port", type=int, required=True)
args = parser.parse_args()
host, port = re.fullmatch(r"http://(.*):(\d+)", args.url).groups()
with open(args.document, encoding="utf-8") as file:
    document = yaml.safe_load(file)
controller = None


def expect(condition, text):
    if not condition:
        sys.exit("mec021.py: " + text)


def wait_for(what, condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        expect(time.monotonic() < end, f"not within {LIMIT_S} s: {what}")
        time.sleep(0.1)


# ---- The controller, which may die -------------------------------------------------------


def start():
    global controller
    with open(args.log, "ab") as log:
        controller = subprocess.Popen([args.placementd, "--config", args.config], stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log)
    wait_for("it answers", lambda: call("GET", "/v1/nodes", wait=True) is not None)


def kill():
    controller.kill()
    controller.wait()


def both_nodes_are_up():
    wait_for("both nodes are up", lambda: sum(node["migrator_up"] for node in
                                              call("GET", "/v1/nodes").json["nodes"]) == 2)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()
        self.json = json.loads(self.text) if self.text else None


def call(method, path, body=None, headers=None, wait=False):
    """None: there is nobody, which may be with `wait`."""
    connection = http.client.HTTPConnection(host, int(port), timeout=LIMIT_S)
    headers = {"Authorization": "Bearer " + args.token, **(headers or {})}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body)
    try:
        connection.request(method, path, body, headers)
        return Answer(connection.getresponse())
    except OSError:
        expect(wait, f"{method} {path}: nobody answers")
        return None
    finally:
        connection.close()


def good(method, path, status=200, **more):
    answer = call(method, path, **more)
    expect(answer.status == status, f"{method} {path}: {answer.status}, not {status}: {answer.text}")
    return answer


# ---- The receiver ------------------------------------------------------------------------


received = queue.Queue()
refuses = threading.Event()
attempts = []


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        attempts.append(body)
        if refuses.is_set():
            self.send_response(503)
        else:
            received.put((self.path, body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def take(path, kind, subscription):
    """The next notification, which goes there and is of this kind. After a restart the last may come again."""
    seen = getattr(take, "last", None)
    while True:
        try:
            to, body = received.get(timeout=LIMIT_S)
        except queue.Empty:
            expect(False, f"no {kind} comes to {path}")
        if (to, body) != seen:
            break
    take.last = (to, body)
    schema = {"allOf": [{"$ref": "#/components/schemas/MobilityNotification"}], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)
    expect(to == path and body["notificationType"] == kind, f"not a {kind} to {path}: {to} {body}")
    expect(body["_links"]["subscription"]["href"] == subscription, f"of another subscription: {body}")
    return body


def take_status(subscription, status):
    body = take("/procedure", "MobilityProcedureNotification", subscription)
    expect(body["mobilityStatus"] == status, f"not {status}: {body}")
    expect(body["associateId"] == [PHONE] and body["targetAppInfo"]["appInstanceId"] == "web", f"whose: {body}")


# ---- The walk ----------------------------------------------------------------------------


def subscribe(path, kind="MobilityProcedureSubscription", **more):
    body = {"subscriptionType": kind, "callbackReference": f"http://127.0.0.1:{args.hook_port}{path}", **more}
    return good("POST", SUBSCRIPTIONS, 201, body=body)


def path_of(url):
    expect(url.startswith(args.url), f"not an address of ours: {url}")
    return url[len(args.url):]


def register():
    body = {"serviceConsumerId": {"appInstanceId": "web"}, "expiryTime": 0, "deviceInformation": [
        {"associateId": PHONE, "appMobilityServiceLevel": "APP_MOBILITY_WITHOUT_CONFIRMATION",
         "contextTransferState": "NOT_TRANSFERRED"}]}
    answer = good("POST", SERVICES, 201, body=body)
    service = path_of(answer.headers["Location"])
    expect(answer.json == {"appMobilityServiceId": service.split("/")[-1], **body}, f"registered: {answer.text}")
    return service


def order(target, **limits):
    return good("POST", "/v1/moves", 201, body={"vm": "web", "target": target, "limits": {
        "blackout_max_ns": 20 * 10**9, **limits}}).json["move"]


def state(move):
    return good("GET", f"/v1/moves/{move}").json["state"]


def check_kept(service):
    """Killed right after an answer it has all that it answered."""
    subscription = subscribe("/none", filterCriteria={"appInstanceId": "nobody"})
    before = [good("GET", path).text for path in (SERVICES, service, path_of(subscription.headers["Location"]))]
    kill()
    start()
    after = [good("GET", path).text for path in (SERVICES, service, path_of(subscription.headers["Location"]))]
    expect(before == after, f"before and after: {before} {after}")
    expect(json.loads(after[2]) == subscription.json, "what was answered is not what is kept")
    good("DELETE", path_of(subscription.headers["Location"]), 204)
    both_nodes_are_up()


def check_expiry():
    deadline = {"seconds": int(time.time()) + 3, "nanoSeconds": 0}
    answer = subscribe("/expiry", filterCriteria={"appInstanceId": "nobody"}, expiryDeadline=deadline)
    where = answer.json["_links"]["self"]["href"]
    expect(take("/expiry", "ExpiryNotification", where)["expiryDeadline"] == deadline, "another deadline")
    expect(call("GET", path_of(where)).status == 404, "it is still there")


def check_move_over_death(subscription):
    """Ordered under one controller, done under the next."""
    move = order("b", bandwidth_bps=60_000_000)
    take_status(subscription, TRIGGERED)
    expect(state(move) not in ("done", "aborted"), "it is over before the controller is killed")
    kill()
    start()
    take_status(subscription, COMPLETED)
    wait_for("it is done", lambda: state(move) == "done")


def check_deaf_receiver(subscription, adjacent):
    """What nobody takes waits, over a death of the controller, too."""
    refuses.set()
    both_nodes_are_up()
    before = len(attempts)
    move = order("a")
    wait_for("it is done", lambda: state(move) == "done")
    wait_for("an attempt", lambda: any(body.get("mobilityStatus") == TRIGGERED for body in attempts[before:]))
    kill()
    refuses.clear()
    start()
    take_all(subscription, adjacent, [TRIGGERED, COMPLETED])
    both_nodes_are_up()


def take_all(subscription, adjacent, statuses):
    """To two receivers, each in its order."""
    seen = {"/procedure": [], "/adjacent": []}
    while len(seen["/procedure"]) < len(statuses) or not seen["/adjacent"]:
        path, body = received.get(timeout=LIMIT_S)
        if body not in seen[path]:
            seen[path].append(body)
    expect([body["mobilityStatus"] for body in seen["/procedure"]] == statuses, f"told: {seen}")
    expect(seen["/adjacent"][0]["adjacentAppInfo"] == [], f"who is near: {seen}")
    expect(seen["/adjacent"][0]["_links"]["subscription"]["href"] == adjacent, f"of whom: {seen}")
    expect(seen["/procedure"][0]["_links"]["subscription"]["href"] == subscription, f"of whom: {seen}")


def cell(name):
    return {"plmn": {"mcc": "001", "mnc": "01"}, "cellId": name}


def check_cell_change(subscription):
    good("POST", "/amsi/v1/notifications/mec012/cellChange", 204, body={
        "notificationType": "CellChangeNotification", "hoStatus": 3, "srcEcgi": cell("A"), "trgEcgi": [cell("B")],
        "associateId": [{"type": 4, "value": "phone"}], "timeStamp": {"seconds": int(time.time()), "nanoSeconds": 0}})
    take_status(subscription, TRIGGERED)
    take_status(subscription, COMPLETED)
    move = good("GET", "/v1/moves?limit=1").json["moves"][0]
    expect(move["target"] == "b" and move["reason"] == "cell", f"the move: {move}")


def check_failure(subscription):
    move = order("a", bandwidth_bps=2000)
    take_status(subscription, TRIGGERED)
    wait_for("it can be called off", lambda: call("POST", f"/v1/moves/{move}/cancel").status == 204)
    take_status(subscription, FAILED)


def check_change(service):
    answer = good("GET", service)
    body = answer.json
    body["deviceInformation"][0]["contextTransferState"] = "USER_CONTEXT_TRANSFER_COMPLETED"
    old = answer.headers["ETag"]
    good("PUT", service, body=body, headers={"If-Match": old})
    expect(good("GET", service).json == body, "what was put")
    expect(call("PUT", service, body=body, headers={"If-Match": old}).status == 412, "put over another's change")
    good("POST", service + "/deregister_task", 204)
    expect(call("GET", service).status == 404, "it is still registered")


def walk():
    start()
    both_nodes_are_up()
    wait_for("web is seen", lambda: call("GET", "/v1/vms/web").status == 200)
    good("PUT", "/v1/pairs/phone/web", 204, body={"device_id": PHONE_ID})
    service = register()
    answer = subscribe("/procedure", requestTestNotification=True, filterCriteria={
        "associateId": [PHONE], "mobilityStatus": [TRIGGERED, COMPLETED, FAILED]})
    subscription = answer.json["_links"]["self"]["href"]
    take("/procedure", "TestNotification", subscription)
    check_expiry()
    check_kept(service)
    check_move_over_death(subscription)
    answer = subscribe("/adjacent", "AdjacentAppInfoSubscription", filterCriteria={"appInstanceId": "web"})
    adjacent = answer.json["_links"]["self"]["href"]
    check_deaf_receiver(subscription, adjacent)
    good("DELETE", path_of(adjacent), 204)
    take.last = None
    time.sleep(1.5)  # min_stay
    check_cell_change(subscription)
    check_failure(subscription)
    check_change(service)
    good("DELETE", path_of(subscription), 204)
    expect(received.empty(), f"more was told: {received.queue}")


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", args.hook_port), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
try:
    walk()
    controller.terminate()
    expect(controller.wait(LIMIT_S) == 0, f"placementd ends with {controller.returncode}")
finally:
    if controller and controller.poll() is None:
        kill()
print("mec021.py: all of it")
