"""Requests without a pause, and what became of each: for changes that nobody may notice."""
import collections
import contextlib
import json
import os
import threading

from asking import Client
from support.servers import wait_until


class Load:
    """Clients on kept connections. bodies: (status, body) -> how often; lost: what went wrong."""

    def __init__(self, root, clients=4, target="/"):
        self.root = root
        self.target = target
        self.bodies = collections.Counter()
        self.lost = []
        self.is_over = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        client = Client(self.root.port)
        while not self.is_over:
            try:
                answer = client.ask(self.target)
            except OSError as error:
                with self.lock:
                    self.lost.append(repr(error))
                return
            with self.lock:
                self.bodies[answer.status, answer.body] += 1
            if answer.header("Connection") == "close":
                client.close()
                client = Client(self.root.port)
        client.close()

    def count(self):
        with self.lock:
            return sum(self.bodies.values())

    def wait_for_more(self, count=20):
        """So many further answers."""
        goal = self.count() + count
        wait_until(lambda: self.count() >= goal or self.lost, f"{count} more answers")

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@contextlib.contextmanager
def load_on(root, **options):
    load = Load(root, **options)
    try:
        load.wait_for_more()
        yield load
    finally:
        load.end()


# ---- what is changed, and what is seen of it ----

def topology(root):
    """id -> urls, in the order of the shards."""
    document = json.loads(root.get("/topology")[1])
    return {shard["id"]: [replica["url"] for replica in shard["replicas"]]
            for shard in document["shards"]}


def replace(path, text):
    """As editors and deployments do."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    os.rename(fresh, path)
