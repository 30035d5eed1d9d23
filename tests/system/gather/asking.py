"""A plain HTTP client that shows what a root really answered, and how long that took."""
import contextlib
import http.client
import json
import re
import time

from support import servers

PROBLEM = "urn:consort:gather:"
# Of the timeout that an answer may be late; the machine is not ours alone, so the best of some
# tries has to keep it.
LATE_S = 0.1 if servers.is_sanitized() else 0.005


class Answer:
    def __init__(self, response, body, seconds):
        self.status = response.status
        self.headers = response.headers
        self.body = body
        self.seconds = seconds

    def header(self, name):
        """All values of that name as one; None without."""
        values = self.headers.get_all(name)
        return None if values is None else ", ".join(values)

    def json(self):
        return json.loads(self.body)

    def coverage(self):
        """Consort-Coverage as a dict of those that are not 0, `total` and `percent` aside."""
        pairs = [pair.split("=") for pair in self.header("Consort-Coverage").split(", ")]
        assert [name for name, _ in pairs] == ["total", "ok", "failed", "timeout", "skipped",
                                               "hedged", "percent"]
        numbers = {name: float(text) if name == "percent" else int(text) for name, text in pairs}
        return {name: number for name, number in numbers.items()
                if number or name in ("total", "percent")}

    def problem(self):
        """The problem document, after a look at its form."""
        assert self.header("Content-Type") == "application/problem+json", self.body
        document = self.json()
        assert document["status"] == self.status
        assert document["title"] and document["type"].startswith(PROBLEM)
        assert document["coverage"]["total"] >= len(document["leaves"])
        return document

    def problem_type(self):
        return self.problem()["type"].removeprefix(PROBLEM)

    def missing(self):
        """shard -> (outcome, error) of the leaves in a problem document."""
        return {leaf["shard"]: (leaf["outcome"], leaf.get("error"))
                for leaf in self.problem()["leaves"]}

    def timings(self):
        """Server-Timing: name -> milliseconds."""
        found = re.findall(r"(\w+);(?:desc=[^;,]*;)?dur=([0-9.]+)", self.header("Server-Timing"))
        return {name: float(text) for name, text in found}


class Client:
    """One kept connection. address: as servers.connect wants it."""

    def __init__(self, address, timeout=30.0):
        self.socket = servers.connect(address, timeout)

    def send(self, target="/", method="GET", headers=(), body=None, host="root.test"):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}",
                 *(f"{name}: {value}" for name, value in headers)]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.method = method
        self.began = time.monotonic()
        try:
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
        except (BrokenPipeError, ConnectionResetError):
            pass  # It did not want all of it: the answer says why.

    def answer(self):
        response = http.client.HTTPResponse(self.socket, method=self.method)
        response.begin()
        body = response.read()
        return Answer(response, body, time.monotonic() - self.began)

    def ask(self, *words, **more):
        self.send(*words, **more)
        return self.answer()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ask(root, *words, **more):
    """One request on a connection of its own. root: one, or an address."""
    with Client(getattr(root, "port", root)) as client:
        return client.ask(*words, **more)


def best_of(tries, once, within):
    """The quickest of some answers, all of which must be right: `once` asserts that.

    It came `within` so many seconds. The machine is not ours alone: as long as none has, there are
    more tries.
    """
    best = min((once() for _ in range(tries)), key=lambda answer: answer.seconds)
    for _ in range(10):
        if best.seconds <= within:
            return best
        best = min(best, once(), key=lambda answer: answer.seconds)
    raise AssertionError(f"the quickest answer took {best.seconds:.3f} s and not {within:.3f} s")


def metric(root, name, **labels):
    """The sum of those with these labels."""
    total = 0.0
    for line in root.get("/metrics")[1].splitlines():
        if line.startswith((name + "{", name + " ")):
            if all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
    return total


def replicas(root):
    """url -> what /topology tells of it."""
    status, text = root.get("/topology")
    assert status == 200, text
    return {replica["url"]: replica for shard in json.loads(text)["shards"]
            for replica in shard["replicas"]}


@contextlib.contextmanager
def under_way(root, *words, **more):
    """A client whose request has been sent; its answer is taken, if ever, inside."""
    with Client(getattr(root, "port", root)) as client:
        client.send(*words, **more)
        yield client
