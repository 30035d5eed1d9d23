#!/usr/bin/env python3
"""Log lines for scripts/bench/logsaver: JSON of 122 bytes with a number and a time.

    write(path, 1_500_000)                        a file that is there already
    logsaver_lines.py PATH RATE SECONDS [PIECE_MS] as a program that writes RATE lines per second

Their text differs as that of access logs does: gzip -1 makes 0.17 of them, and dots would become
nothing. A line that is written live holds the time when it was due, so that a receiver knows how
late it is.
"""
import os
import pathlib
import random
import sys
import time

LINE_BYTES = 122  # with its end
WORDS = ("cart", "items", "users", "search", "orders", "images", "static", "api", "v1", "v2",
         "login", "account", "checkout", "catalog", "reviews", "health", "stock", "prices")
TAILS = 8191  # beyond what a compressor's window holds
HEAD = b'{"seq":"%09d","time":"%b.%06dZ",'
CRI = b"%b.%06d000Z stdout F "
CATCH_UP_US = 37  # from line to line in files that are there already


def make_tails():
    """What follows the time, with the line's end."""
    rng = random.Random(1)
    room = LINE_BYTES - len(HEAD % (0, b"2026-01-01T00:00:00", 0))
    tails = []
    while len(tails) < TAILS:
        head = '"level":"%s","status":%d,"ms":%d,"path":"' % (
            rng.choices(("info", "warn"), (9, 1))[0],
            rng.choices((200, 304, 404, 500), (90, 5, 4, 1))[0], rng.randrange(3, 90))
        path = "/" + "/".join(rng.sample(WORDS, 2))
        left = room - len(head) - len(path) - len('/"}\n')
        if left > 1:
            number = str(rng.randrange(10**(left - 1), 10**left)) if left < 6 else (
                rng.choice(WORDS) + str(rng.randrange(10**9)))[:left].ljust(left, "0")
            tails.append(f'{head}{path}/{number}"}}\n'.encode())
    return tails


def second_text(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()


def lines(first, count, micros, step_us, tails, cri=False):
    """One piece of lines with the numbers from `first`; micros: the first one's time."""
    made, second, text = [], None, b""
    for number in range(first, first + count):
        now, part = divmod(micros, 1000000)
        if now != second:
            second, text = now, second_text(now)
        if cri:
            made.append(CRI % (text, part))
        made.append(HEAD % (number, text, part))
        made.append(tails[number * 5881 % TAILS])
        micros += step_us
    return b"".join(made)


def write(path, count, cri=False, first=0):
    """Also into the page cache, since nobody has read it before."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tails, micros = make_tails(), int(time.time()) * 1000000
    with path.open("wb") as out:
        for start in range(0, count, 10000):
            piece = min(10000, count - start)
            out.write(lines(first + start, piece, micros + start * CATCH_UP_US, CATCH_UP_US, tails,
                            cri))
        out.flush()
        os.fsync(out.fileno())  # else its writing back would fall into somebody's measurement
    return path


def write_live(path, rate, seconds, piece_ms):
    tails = make_tails()
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    started, done = time.time(), 0
    while done < rate * seconds:
        due = started + done / rate
        if (wait := due - time.time()) > 0:
            time.sleep(wait)
        count = max(1, rate * piece_ms // 1000)
        os.write(out, lines(done, count, int(due * 1e6), 0, tails))
        done += count
    os.close(out)


if __name__ == "__main__":
    write_live(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int((sys.argv + ["1"])[4]))
