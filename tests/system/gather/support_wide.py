"""A thousand leaves in one process, and the memory of the root above them."""
import pathlib

from asking import ask
from support import leaves


class ManyLeaves(leaves.Nginx):
    """nginx with `count` sockets, unix or TCP; `urls` are its leaves.

    /small is 1 KiB of JSON, /big 64 KiB of a list of hits.
    """

    SMALL = '{"text":"' + "x" * 1013 + '"}'
    HITS = 320
    BIG = "[" + ",".join('{"id":%6d,"score":%5d,"text":"%s"}' % (i, i * 7919 % 99991, "y" * 165)
                         for i in range(HITS)) + "]"

    def __init__(self, count, tmp_path, kind):
        big = tmp_path / "big"
        big.write_text(self.BIG)
        if kind == "unix":
            places = [f"unix:{tmp_path}/{i}.sock" for i in range(count)]
            self.urls = places
        else:
            # One port on addresses of 127.0.0.0/8: no thousand ports in a row have to be free.
            port = leaves.servers.free_port()
            places = [f"127.77.{i // 250}.{i % 250 + 1}:{port}" for i in range(count)]
            self.urls = [f"http://{place}" for place in places]
        listens = "".join(f"listen {place};\n" for place in places)
        super().__init__(f"""{listens} default_type application/json;
            location /small {{ return 200 '{self.SMALL}'; }}
            location /big {{ alias {big}; }}""", "keepalive_requests 100000;")
        # The first socket is open before the last one; a worker answers when all are.
        assert ask(self.port, "/small").status == 200


def peak_bytes(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM")
