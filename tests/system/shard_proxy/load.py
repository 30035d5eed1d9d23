"""Closed-loop Redis clients in threads, for tests that break something meanwhile."""
import threading
import time

from talk import Redis


class Load:
    """Each client asks GET for one of `keys` after the other, and notes how long each took.

    seconds: latencies; wrong: every answer that was not the key's own value. Values equal keys.
    failed_begins: when the requests were sent that ended a connection.
    """

    def __init__(self, port, keys, clients=4):
        self.port = port
        self.keys = [key if isinstance(key, bytes) else key.encode() for key in keys]
        self.seconds = []
        self.wrong = []
        self.failed_begins = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(clients)]

    def _run(self, number):
        begin = None
        try:
            with Redis(self.port) as client:
                while not self.stopping.is_set():
                    key = self.keys[number % len(self.keys)]
                    number += 1
                    begin = time.monotonic()
                    try:
                        value = client.ask("GET", key)
                    except Redis.Failed as failed:
                        value = failed
                    self.seconds.append(time.monotonic() - begin)
                    if value != key:
                        self.wrong.append(value)
        except OSError as failed:
            self.wrong.append(failed)
            self.failed_begins.append(begin)

    def take(self):
        """The latencies since the last take()."""
        taken, self.seconds = self.seconds, []
        return taken

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(10)


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]
