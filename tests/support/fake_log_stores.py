"""Loki, Elasticsearch and an OTLP receiver as far as logs need them.

Each takes what the real one takes and refuses what it refuses, in its words: what these accept is
right, as far as the sources say.

Sources: Loki pkg/loghttp/push/push.go and answers of Loki 2.8; the Elasticsearch reference, "Bulk
API" and "Data streams"; opentelemetry-proto logs/v1 and the OTLP specification 1.x, "OTLP/HTTP".
"""
import json
import re
import time

from support.log_stores import Answer, Refused, Store


def json_of(request, text, kinds=("application/json",), status=400):
    if request.content_type() not in kinds:
        raise Refused(status, f"Content-Type {request.headers.get('Content-Type')!r} "
                              "is not supported")
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refused(400, f"not JSON: {error}") from error


def utc(time_ns):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 10**9))


class FakeLoki(Store):
    """streams: labels as a sorted tuple -> {(ns, line): structured metadata}.

    duplicates: entries equal in stream, time and line, which are dropped silently.
    """

    scheme = "loki+http"
    BEHIND_NS = 3600 * 10**9  # max_chunk_age / 2
    LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

    def __init__(self, *arguments, **options):
        self.streams = {}
        self.duplicates = 0
        super().__init__(*arguments, **options)

    def take(self, request):
        if (request.method, request.path) != ("POST", "/loki/api/v1/push"):
            return Answer(404, b"404 page not found")
        push = json_of(request, request.plain(("gzip", "deflate")))
        if not isinstance(push.get("streams"), list) or not push["streams"]:
            raise Refused(400, "error at least one valid stream is required for ingestion")
        for stream in push["streams"]:
            self.check(stream)
        # All that can be stored is, and the last stream that had late entries is told of.
        for text in [self.store(stream) for stream in push["streams"]][::-1]:
            if text:
                return Answer(400, text.encode())
        return Answer(204)

    def check(self, stream):
        """Before anything is stored: one bad stream fails the whole push."""
        labels = stream.get("stream")
        if not labels:
            raise Refused(400, "error at least one label pair is required per stream")
        for name, value in labels.items():
            if not self.LABEL.fullmatch(name) or not isinstance(value, str):
                raise Refused(400, f"error parsing labels: invalid label {name!r}")
        for value in stream.get("values") or [None]:
            if not isinstance(value, list) or len(value) not in (2, 3):
                raise Refused(400, "values are [time, line] or [time, line, metadata]")
            if not isinstance(value[0], str) or not re.fullmatch(r"\d{1,19}", value[0]):
                raise Refused(400, f"time {value[0]!r} is not nanoseconds as a string")
            if not isinstance(value[1], str):
                raise Refused(400, "the line is not a string")
            if not all(isinstance(text, str) for text in (value[2:] or [{}])[0].values()):
                raise Refused(400, "structured metadata are strings")

    def store(self, stream):
        """What is said of the entries that are too old for the stream; the others are kept."""
        entries = self.streams.setdefault(tuple(sorted(stream["stream"].items())), {})
        newest = max((time_ns for time_ns, _ in entries), default=0)
        late = []
        for value in stream["values"]:
            time_ns, line = int(value[0]), value[1]
            newest = max(newest, time_ns)
            if time_ns < newest - self.BEHIND_NS:
                late.append(f"entry with timestamp {utc(time_ns)} ignored, reason: 'entry too far "
                            "behind, oldest acceptable timestamp is: "
                            f"{utc(newest - self.BEHIND_NS)}',\n")
            elif (time_ns, line) in entries:
                self.duplicates += 1
            else:
                entries[time_ns, line] = value[2] if len(value) == 3 else {}
                self.got.append(line.encode())
        if not late:
            return ""
        name = ", ".join(f'{name}="{text}"' for name, text in sorted(stream["stream"].items()))
        return ("".join(late[:10]) + f"user 'fake', total ignored: {len(late)} out of "
                f"{len(stream['values'])} for stream: {{{name}}}")


class FakeElasticsearch(Store):
    """documents: (index, _id) -> source.

    data_streams: names that take `create` only, and documents with @timestamp. numbers: fields that
    are mapped as such. busy_share: of the items that get 429 while the others are stored.
    """

    scheme = "es+http"

    def __init__(self, *arguments, data_streams=(), numbers=(), busy_share=0.0,
                 body_bytes_max=100 * 1024 * 1024, index="logs", **options):
        self.documents = {}
        self.data_streams, self.numbers = data_streams, numbers
        self.busy_share, self.body_bytes_max = busy_share, body_bytes_max
        self.index = index
        self.items = {}  # how often each status was given to an item
        super().__init__(*arguments, **options)

    @property
    def url(self):
        return f"{super().url}/{self.index}"

    def take(self, request):
        path = re.fullmatch(r"(?:/([^/]+))?/_bulk", request.path)
        if not path or request.method not in ("POST", "PUT"):
            raise Refused(404, "no handler found")
        if len(request.body) > self.body_bytes_max:
            return Answer(413)
        if request.content_type() not in ("application/x-ndjson", "application/json"):
            raise Refused(406, "Content-Type header is not supported")
        text = request.plain(("gzip",))
        if not text:
            raise Refused(400, "request body is required")
        if not text.endswith(b"\n"):
            raise Refused(400, "The bulk request must be terminated by a newline [\\n]")
        items = list(self.bulk(text[:-1].split(b"\n"), path[1]))
        for item in items:
            status = next(iter(item.values()))["status"]
            self.items[status] = self.items.get(status, 0) + 1
        has_errors = any("error" in part for item in items for part in item.values())
        return Answer(200, {"took": 1, "errors": has_errors, "items": items},
                      [("Content-Type", "application/json")])

    def bulk(self, lines, index):
        pairs = iter(lines)
        for number, line in enumerate(pairs, 1):
            try:
                (action, meta), = json.loads(line).items()
                source = None if action == "delete" else json.loads(next(pairs))
            except (ValueError, StopIteration) as error:
                raise Refused(400, f"Malformed action/metadata line [{number}]") from error
            if action not in ("create", "index"):
                raise Refused(400, f"action {action} is not one that logs need")
            name = meta.get("_index", index)
            if not name:
                raise Refused(400, "Validation Failed: 1: index is missing")
            yield {action: self.item(action, name, meta.get("_id"), source)}

    def item(self, action, index, given, source):
        key = given if given is not None else f"auto-{len(self.documents)}"

        def failed(status, kind, reason):
            return {"_index": index, "_id": key, "status": status,
                    "error": {"type": kind, "reason": reason}}
        if self.rng.random() < self.busy_share:
            return failed(429, "es_rejected_execution_exception", "rejected execution")
        if len(key.encode()) > 512 or not key:
            return failed(400, "illegal_argument_exception", "id is too long or empty")
        if index in self.data_streams and action != "create":
            return failed(400, "illegal_argument_exception",
                          "only write ops with an op_type of create are allowed in data streams")
        if index in self.data_streams and "@timestamp" not in source:
            return failed(400, "document_parsing_exception",
                          "data stream timestamp field [@timestamp] is missing")
        for field in self.numbers:
            if isinstance(source.get(field, 0), (dict, list, str)):
                return failed(400, "document_parsing_exception",
                              f"failed to parse field [{field}] of type [long]")
        if action == "create" and (index, key) in self.documents:
            return failed(409, "version_conflict_engine_exception",
                          f"[{key}]: version conflict, document already exists")
        was_there = (index, key) in self.documents
        self.documents[index, key] = source
        if not was_there:
            self.got.append(str(source.get("message", "")).encode())
        return {"_index": index, "_id": key, "_version": 1, "status": 200 if was_there else 201,
                "result": "updated" if was_there else "created"}


class FakeOtlp(Store):
    """records: (resource attributes, log record). It stores what comes twice twice.

    reject: a function of a log record; those for which it is true are refused in a partial success.
    """

    scheme = "otlp+http"
    RECORD = {"timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body",
              "attributes", "droppedAttributesCount", "flags", "traceId", "spanId", "eventName"}
    VALUES = {"stringValue": str, "boolValue": bool, "intValue": str, "doubleValue": (int, float),
              "arrayValue": dict, "kvlistValue": dict, "bytesValue": str}

    def __init__(self, *arguments, reject=lambda record: False, **options):
        self.records = []
        self.reject = reject
        super().__init__(*arguments, **options)

    def take(self, request):
        if (request.method, request.path) != ("POST", "/v1/logs"):
            raise Refused(404, "no such path")
        export = json_of(request, request.plain(("gzip",)), status=415)
        taken, refused = [], 0
        self.members(export, {"resourceLogs"}, "the request")
        for resource_logs in export["resourceLogs"]:
            self.members(resource_logs, {"resource", "scopeLogs", "schemaUrl"}, "resourceLogs")
            resource = self.attributes(resource_logs.get("resource", {}).get("attributes", []))
            for scope_logs in resource_logs["scopeLogs"]:
                self.members(scope_logs, {"scope", "logRecords", "schemaUrl"}, "scopeLogs")
                for record in scope_logs["logRecords"]:
                    self.check(record)
                    if self.reject(record):
                        refused += 1
                    else:
                        taken.append((resource, record))
        self.records += taken
        self.got += [record.get("body", {}).get("stringValue", "").encode()
                     for _, record in taken]
        body = {"partialSuccess": {"rejectedLogRecords": str(refused),
                                   "errorMessage": "not wanted"}} if refused else {}
        return Answer(200, body, [("Content-Type", "application/json")])

    @staticmethod
    def members(value, known, where):
        """Real ones ignore what they do not know; here it is a misspelt name."""
        if not isinstance(value, dict) or set(value) - known:
            raise Refused(400, f"{where}: unknown members {set(value) - known}")

    def attributes(self, pairs):
        found = {}
        for pair in pairs:
            self.members(pair, {"key", "value"}, "attributes")
            self.value(pair["value"])
            if pair["key"] in found:
                raise Refused(400, f"attribute {pair['key']} twice")
            found[pair["key"]] = next(iter(pair["value"].values()))
        return found

    def value(self, value):
        self.members(value, set(self.VALUES), "a value")
        if len(value) != 1:
            raise Refused(400, "a value has one member")
        name, inner = next(iter(value.items()))
        if not isinstance(inner, self.VALUES[name]):
            raise Refused(400, f"{name} is a {type(inner).__name__}")
        if name == "intValue" and not re.fullmatch(r"-?\d+", inner):
            raise Refused(400, "intValue is a decimal string")

    def check(self, record):
        self.members(record, self.RECORD, "a log record")
        for name in ("timeUnixNano", "observedTimeUnixNano"):
            text = record.get(name, "0")
            if not isinstance(text, str) or not re.fullmatch(r"\d{1,20}", text):
                raise Refused(400, f"{name} {text!r} is not a decimal string")
        for name, digits in (("traceId", 32), ("spanId", 16)):
            if not re.fullmatch(r"([0-9a-fA-F]{%d})?" % digits, record.get(name, "")):
                raise Refused(400, f"{name} is not {digits} hex digits")
        severity = record.get("severityNumber", 0)
        if not isinstance(severity, int) or not 0 <= severity <= 24:
            raise Refused(400, f"severityNumber {severity!r}")
        if "body" in record:
            self.value(record["body"])
        self.attributes(record.get("attributes", []))
