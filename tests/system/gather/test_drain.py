"""A root that is told to end while it is asked: every request has its answer."""
import signal
import threading

import pytest

from asking import Client
from support.leaves import after, answering
from support.servers import wait_until


class Asking(threading.Thread):
    """Requests without a pause, each on a new connection or all on one, until nobody listens."""

    def __init__(self, root, kept, name):
        super().__init__()
        self.root = root
        self.kept = kept
        self.name = name
        self.asked = 0
        self.answered = 0
        self.wrong = []
        self.lost = []  # targets without an answer
        self.start()

    def run(self):
        try:
            while True:
                with Client(self.root.port) as client:
                    self.ask_on(client)
        except (ConnectionRefusedError, ConnectionResetError):
            pass  # The latter at the moment of closing, before there is a connection.

    def ask_on(self, client):
        while True:
            self.asked += 1
            target = f"/{self.name}/{self.asked}"
            try:
                answer = client.ask(target)
            except OSError:
                self.lost.append(target)
                return
            self.answered += 1
            if answer.body != b"[0,1]":
                self.wrong.append(answer.body)
            if not self.kept or answer.header("Connection") == "close":
                return


@pytest.mark.parametrize("kept, rounds", [(False, 10), (True, 3)],
                         ids=["new_connections", "kept_connections"])
def test_sigterm_under_load_drops_no_request(gather, kept, rounds):
    for _ in range(rounds):
        end_under_load(gather, kept)


def end_under_load(gather, kept):
    all_leaves = [gather.leaf(after(5, answering(i))) for i in range(2)]
    root = gather.root(all_leaves)
    clients = [Asking(root, kept, f"c{i}") for i in range(8)]
    wait_until(lambda: all(client.answered > 5 for client in clients), "some load")
    root.send_signal(signal.SIGTERM)
    assert root.wait() == 0
    for client in clients:
        client.join(10)
        assert not client.is_alive()
    assert [client.wrong for client in clients] == [[]] * 8
    lost = [target for client in clients for target in client.lost]
    if not kept:
        # Not even those whose connection had just been opened.
        assert lost == []
    # A kept connection may be closed while a request is on its way, which is the client's to send
    # again; but nothing that was begun is thrown away.
    assert set(lost) & {seen.target for leaf in all_leaves for seen in leaf.requests} == set()
