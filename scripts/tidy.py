#!/usr/bin/env python3
"""House rules that no compiler checks: layers, bans, sizes, await idioms.

usage: scripts/tidy.py [DIR]     (default src)

Prints FILE:LINE: what is wrong, one line each, and exits 1; or "tidy: clean" and exits 0.
A line may waive a rule with a comment `tidy:allow REASON`.
"""
import pathlib
import re
import sys

BELOW_ROLES = {"base", "async", "wire", "io", "net", "manage"}
LAYERS = {
    "base": set(),
    "async": {"base"},
    "wire": {"base"},
    "io": {"base", "async"},
    "net": {"base", "async", "wire", "io"},
    "manage": {"base", "async", "wire", "io", "net"},
    "roles": BELOW_ROLES,
    "app": BELOW_ROLES | {"roles"},
}
# A library's header and the only places that may see it.
ONLY_IN = {
    r"<uv\.h>": ("io/uv/",),
    r"<ares\.h>": ("io/dns/",),
    r"<openssl/": ("io/tls/", "io/digest.cc"),
    r"<pcre2\.h>": ("base/regex.cc",),
    r"<(libdeflate|zlib)\.h>": ("wire/gzip",),
    r"<zstd\.h>": ("wire/zstd",),
    r"<llhttp\.h>": ("wire/http1",),
    r"<yaml\.h>": ("base/yaml",),
    r"<nlohmann/": ("base/json.cc",),
    r"<CLI/": ("app/cli.cc",),
    r"<coroutine>": ("async/", "net/"),
    r"<thread>": ("manage/runtime", "manage/admin_thread"),
}
BANNED = [
    (r"\b(sprintf|strcpy|strcat|strtok|gets|atoi|atol|rand|localtime|gmtime)\s*\(",
     "use the text and time helpers of base/"),
    (r"#include <(iostream|regex|future)>", "heavy or blocking header"),
    (r"\bstd::(regex|cout|cerr|async|shared_mutex|this_thread)\b", "not in this code base"),
    (r"\b(system_clock|steady_clock)::now\(\)", "time is injected: ask the loop or the world"),
    (r"(?<![\w.])u?v?_?getaddrinfo\s*\(", "blocking resolver: use io/dns"),
    (r"(?<![\w.>])new\s+[A-Za-z_:]+\s*[({;]", "use std::make_unique or a container"),
    (r"\bthrow\b", "errors are Results"),
    (r"\b(FIXME|XXX|TODO)\b", "finish it, or file it in the tracker"),
]
AWAIT = [
    (r"\?[^;]*co_await|co_await[^;]*\?[^;]*:", "no co_await inside ?: (miscompiled by GCC)"),
    (r"(\|\||&&)\s*!?\s*\(?\s*co_await", "await into a named value first"),
    (r"\{[^;{}]*,\s*co_await|\{\s*co_await[^;{}]*,", "no co_await inside a braced list"),
    (r"co_await[^;]*\[[^\]]*\]\s*(\([^)]*\))?\s*\{", "name the lambda before the awaited call"),
    (r"co_await[^;]*(\(|,)\s*\{|co_await[^;]*\b[A-Z]\w*\{", "name the aggregate first"),
    (r"Task<.*>\s+\w+\([^)]*&&", "a coroutine parameter is never T&&"),
    (r"auto\s*\[[^\]]*\]\s*=\s*co_await", "bind the awaited value to a name, then unpack"),
    (r"\[[&=\w][^\]]*\]\s*\([^)]*\)\s*(mutable\s*)?->\s*Task<", "a coroutine lambda must not capture"),
]
MAX_COLUMNS = 100
MAX_LINES = 500


def code_of(line):
    """The line without string contents and comments, so that words in them break no rule."""
    if line.startswith("#include"):
        return re.sub(r"//.*$", "", line)
    return re.sub(r"//.*$", "", re.sub(r'"(\\.|[^"\\])*"', '""', line))


def check_include(code, layer, role):
    match = re.match(r'#include "([^"]+)"', code)
    if not match:
        return
    parts = match[1].split("/")
    if parts[0] != layer and parts[0] not in LAYERS.get(layer, set()):
        yield f"layer {layer}/ must not include {match[1]}"
    if role and parts[0] == "roles" and parts[1] != role:
        yield f"role {role} must not include another role ({match[1]})"


def check_line(raw, relative, layer, role):
    if len(raw) > MAX_COLUMNS:
        yield f"longer than {MAX_COLUMNS} columns"
    if "tidy:allow" in raw:
        return
    code = code_of(raw)
    yield from check_include(code, layer, role)
    for pattern, homes in ONLY_IN.items():
        if re.search(r"#include " + pattern, code) and not relative.startswith(homes):
            yield f"{pattern} only in {', '.join(homes)}"
    for pattern, why in BANNED + AWAIT:
        if re.search(pattern, code):
            yield why


def check_file(path, relative):
    text = path.read_text()
    lines = text.split("\n")
    parts = relative.split("/")
    role = parts[1] if parts[0] == "roles" and len(parts) > 2 else None
    for number, raw in enumerate(lines, 1):
        for what in check_line(raw, relative, parts[0], role):
            yield f"{path}:{number}: {what}"
    if len(lines) - 1 > MAX_LINES:
        yield f"{path}:{len(lines)}: longer than {MAX_LINES} lines: it is two files"
    if relative.endswith(".hpp") and "#pragma once" not in text:
        yield f"{path}:1: #pragma once is missing"
    if not lines[0].startswith("//") and relative.endswith(".hpp"):
        yield f"{path}:1: a header begins by saying what it is for"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "src")
    files = sorted(p for p in root.rglob("*") if p.suffix in (".hpp", ".cc"))
    if not files:
        print(f"tidy: no source below {root}")
        return 1
    bad = [what for p in files for what in check_file(p, str(p.relative_to(root)))]
    print("\n".join(bad) or f"tidy: clean ({len(files)} files)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
