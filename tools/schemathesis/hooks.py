"""Steers part of the requests to what lies deeper than validation; the rest stays as it was made up."""

import os
import random

import schemathesis

FOLDER = os.environ["SCHEMATHESIS_FOLDER"]
TOPIC = os.environ["SCHEMATHESIS_TOPIC"]

SOURCE = {"connector.class": "FileSource", "file": f"{FOLDER}/flights.csv", "topic": TOPIC, "topic.queues": "1"}
SINK = {"connector.class": "FileSink", "topics": TOPIC, "file": f"{FOLDER}/out", "format": "lines"}

# Operations whose body is a config, and those that have one in a field of it.
BARE = {"put-config", "patch-config", "validate-config", "v1-put-config"}
WRAPPED = {"create-connector", "v1-create-connector", "v1-check", "v1-preview"}
# Operations that take a connector's tasks away. They leave flights-in alone, so that there is always one that runs.
ENDING = {"pause-connector", "stop-connector", "reset-offsets", "v1-reset-offsets"}
ENDING_MANY = {"v1-bulk-pause", "v1-bulk-stop"}

choice = random.Random(1)
made = 0


def working_config(case):
    """A config that works, for the kind of connector that the path names."""
    name = str(case.path_parameters.get("name") or case.path_parameters.get("class") or "")
    if name == "flights-in" or name.endswith("Source"):
        return dict(SOURCE)
    if name.startswith("flights-") or name.endswith("Sink"):
        return dict(SINK, file=f"{FOLDER}/{name}")
    return dict(choice.choice([SOURCE, SINK]))


@schemathesis.hook
def before_call(context, case, kwargs):
    global made
    made += 1
    # A key that was used before gets one answer only, that it was; so most get a key of their own.
    key = "Idempotency-Key"
    if case.headers and len(str(case.headers.get(key) or "")) in range(1, 256) and choice.random() < 0.8:
        case.headers[key] = f"key-{made}"
    operation = case.operation.definition.raw.get("operationId")
    if operation in ENDING and case.path_parameters.get("name") == "flights-in":
        case.path_parameters["name"] = "flights-edit"
    if operation in ENDING_MANY and case.query is not None:
        case.query["dry_run"] = "true"
    if not isinstance(case.body, dict) or choice.random() < 0.5:
        return
    if operation in BARE:
        case.body = {**case.body, **working_config(case)} if choice.random() < 0.3 else working_config(case)
    elif operation in WRAPPED:
        case.body["config"] = working_config(case)
        if operation.endswith("create-connector"):
            case.body["name"] = f"made-up-{made}"
            case.body["initial_state"] = choice.choice(["RUNNING", "PAUSED", "STOPPED"])
