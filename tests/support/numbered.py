"""Numbered lines for long runs: counted when they arrive and never kept, so that an hour fits.

    sink = CountingSink()
    writer = Writer(directory / "app.log")
    writer.write(1000)
    sink.counted.tally(writer.count)   # "exact", or what is lost and what repeated
"""
import array
import collections
import os
import pathlib
import time

from support import log_stores, logs, servers

LINE_BYTES = 1000  # with its end
TAIL = b'","text":"'.ljust(LINE_BYTES - 9 - 8 - 3, b".") + b'"}\n'


def line(number):
    return b'{"seq":"%09d' % number + TAIL


class Counted:
    """How often each number came; whatever is no whole line is foreign."""

    def __init__(self):
        self.times = array.array("B")
        self.came = 0
        self.foreign = []

    def add(self, data):
        """Whole lines of raw bytes."""
        for each in data.split(b"\n")[:-1]:
            self.came += 1
            if len(each) != LINE_BYTES - 1 or each[:8] != b'{"seq":"':
                self.foreign.append(each)
                continue
            number = int(each[8:17])
            while number >= len(self.times):
                self.times.frombytes(bytes(65536))
            self.times[number] = min(255, self.times[number] + 1)

    def missing(self, expected):
        times = self.times[:expected]
        return times.count(0) + expected - len(times)

    def repeated(self):
        return sum(number * (times - 1) for times, number in
                   collections.Counter(self.times).items() if times > 1)

    def tally(self, expected):
        beyond = sum(times > 0 for times in self.times[expected:])
        return logs.Tally(self.missing(expected), self.repeated(), len(self.foreign) + beyond,
                          f"{[(len(each), each[:40]) for each in self.foreign[:8]]}")


class CountingSink(log_stores.HttpSink):
    """Takes raw lines (--encode raw); a batch of a known Idempotency-Key is not counted again."""

    def __init__(self, *arguments, **options):
        self.counted = Counted()
        super().__init__(*arguments, **options)

    def take(self, request):
        key, body = request.headers["Idempotency-Key"], hash(request.body)
        if key in self.bodies:
            self.repeats += 1
            if self.bodies[key] != body:
                self.conflicts.append(key)
        else:
            self.bodies[key] = body
            plain = request.plain(("gzip",))
            self.batches.append((key, len(plain), plain.count(b"\n")))
            self.counted.add(plain)
        self.requests.clear()  # bodies are not kept
        return log_stores.Answer(200)

    def count(self):
        return self.counted.came


class Writer(logs.Log):
    """A program that logs numbered lines; count: how many it has written."""

    def __init__(self, path):
        super().__init__(path)
        self.count = 0

    def write(self, count):
        self.write_bytes(b"".join(map(line, range(self.count, self.count + count))))
        self.count += count

    def write_for(self, seconds, rate, each_piece, piece_seconds=0.02):
        """rate: bytes per second. each_piece: is called after each of them."""
        began, before = time.monotonic(), self.count
        while (passed := time.monotonic() - began) < seconds:
            wanted = int(min(passed + piece_seconds, seconds) * rate / LINE_BYTES)
            self.write(max(0, before + wanted - self.count))
            each_piece()
            time.sleep(piece_seconds)


def bytes_in(directory):
    """Of all regular files below it; none when it is not there."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                total += (pathlib.Path(place) / name).stat().st_size
            except FileNotFoundError:  # it was removed meanwhile
                pass
    return total


def wait_count(sink, count, seconds):
    servers.wait_until(lambda: sink.count() >= count, f"{count} lines", seconds)
