"""Small corpus files, and what can happen to them: each is a function of its number."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HOSTILE = (
    "", " ", "\0", "\ufeff", "\u200b", "\u202e", "\ud800", "\x1b[2J", "nan", "None", "1e999",
    "-1", "0x1", "½", "<script>", "{{ 7*7 }}", '"', '""', "'", ",", ";", "\t", "\r", "\n", "\r\n",
    "\u2028", "\x85", "\x1c", "a" * 70_000, "9" * 5_000, "[red]", "\\", "\\ud800", "=1+1",
)  # fmt: skip
SUFFIXES = ("csv", "tsv", "jsonl", "json", "txt", "parquet")
ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-32",
    "latin-1",
    "cp1252",
    "utf-8-sig",
    "shift_jis",
    "utf-7",
)


def rows_of(rng: random.Random) -> list[dict[str, Any]]:
    """A small sound corpus, its texts now and then hostile already."""
    score = rng.choice(("toxicity", "score", "score", "score"))  # the first may be the label too
    names = ["text", "label", "source", score]
    rng.shuffle(names)
    made = []
    for i in range(rng.choice((1, 3, 12, 40, 90))):
        odd = rng.choice(HOSTILE) if rng.random() < 0.05 else ""
        cells = {
            "text": " ".join(rng.choices("abcdefghijkl", k=9)) + odd,
            "label": rng.choice((0, 1)),
            "source": f"s{i % 3}",
            score: round(rng.random(), 2),
        }
        made.append({name: cells[name] for name in names})
    return made


def written(rows: list[dict[str, Any]], suffix: str) -> bytes:
    """The rows as the bytes of a file."""
    names = list(rows[0])
    if suffix in ("csv", "tsv"):
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, names, delimiter="\t" if suffix == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode("utf-8", "replace")
    if suffix == "parquet":
        sink = pa.BufferOutputStream()
        sound = [{k: _sound(v) for k, v in row.items()} for row in rows]
        pq.write_table(pa.Table.from_pylist(sound), sink)
        return sink.getvalue().to_pybytes()
    if suffix == "json":
        return json.dumps(rows).encode()
    if suffix == "jsonl":
        return "\n".join(map(json.dumps, rows)).encode()
    return "\n".join(str(row["text"]) for row in rows).encode("utf-8", "replace")


def _sound(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


# Mutations of the bytes


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 40))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def insert(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 3, 10))):
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice(HOSTILE).encode("utf-8", "surrogatepass") + data[at:]
    return data


def encode(data: bytes, rng: random.Random) -> bytes:
    return data.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")


def shuffle_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


def repeat_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    line = rng.choice(lines[:2])  # the header, as often as not
    for _ in range(rng.choice((1, 3))):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def line_ends(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"\x0b", b"\0\n")))


def swap_signs(data: bytes, rng: random.Random) -> bytes:
    signs = [bytes([sign]) for sign in b",;\t|\"'{}[]: 01"]
    return data.replace(rng.choice(signs), rng.choice(signs))


def splice(data: bytes, rng: random.Random) -> bytes:
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[a:b] + data[at:]


def deepen(data: bytes, rng: random.Random) -> bytes:
    depth = rng.choice((3, 200, 900, 990, 100_000))
    opens, shuts = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    nested = opens * depth + b"1" + shuts * depth
    at = data.find(b":") + 1 or rng.randrange(len(data) + 1)
    end = min((i for i in (data.find(b",", at), data.find(b"}", at)) if i > 0), default=at)
    return data[:at] + nested + data[end:]


def enlarge(data: bytes, rng: random.Random) -> bytes:
    huge = rng.choice(
        (b"9" * 5_000, b"1e400", b"-1e400", b"9" * 400, b"NaN", b"Infinity", b"1e-400")
    )
    at = data.rfind(rng.choice((b"0", b"1")))
    return data if at < 0 else data[:at] + huge + data[at + 1 :]


def nothing(data: bytes, rng: random.Random) -> bytes:
    return rng.choice(
        (b"", b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b'""', b"[]", b"{}", b"null")
    )


def pack(data: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"\xff\xfe\0\0", b"\xfe\xff")) + data


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip, flip, truncate, insert, insert, encode, shuffle_lines, repeat_lines, line_ends,
    swap_signs, splice, deepen, enlarge, nothing, pack,
)  # fmt: skip


# Mutations of the rows, before they are written


def upset_rows(rows: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    kind = rng.randrange(6)
    for row in rows:
        if kind == 0 and rng.random() < 0.3:
            row[rng.choice(list(row))] = rng.choice(HOSTILE)
        elif kind == 1:
            row["text"], row["label"] = row["label"], row["text"]
        elif kind == 2:
            row["text"] = ""
        elif kind == 3:
            row["label"] = 1
        elif kind == 4 and rng.random() < 0.5:
            row["label"] = rng.choice((None, 2, "yes", True, 0.5, "1.0"))
        elif kind == 5:
            row["text"] = rows[0]["text"]
    return rows


def make(number: int) -> tuple[str, bytes]:
    """The suffix and bytes of a mutated file."""
    rng = random.Random(number)
    suffix = rng.choice(SUFFIXES)
    rows = rows_of(rng)
    if rng.random() < 0.3:
        rows = upset_rows(rows, rng)
    try:
        data = written(rows, suffix)
    except (pa.ArrowException, ValueError):
        data = b"PAR1"  # columns of mixed kinds are no parquet
    if rng.random() < 0.8:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = rng.choice(MUTATIONS)(data, rng)
    return suffix, data
