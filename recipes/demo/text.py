"""The training text of the demo assets: which public sets, scrubbed, with a fifth reserved by hash.

The sets are found below ``--data-root`` by the names in ``SOURCES`` (parquet files, recognised by
their checksum). The reserve is cut first, ``bezoar.stats.splits.is_reserved`` deciding by the text
alone; what remains is scrubbed of e-mail addresses, phone numbers, links and user handles before it
is tokenised. Sets whose licence forbids commercial use or derivatives, or that state none, are not
read.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow.parquet as pq

from bezoar.errors import DataError
from bezoar.stats.splits import is_reserved

EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
PHONE = re.compile(r"(?<![\w.])(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\)|\d{3})[ .-]\d{3}[ .-]\d{4}(?!\w)")
HANDLE = re.compile(r"(?<![\w/])(?:@\w{2,}|/?u/[\w-]{2,})")
LINK = re.compile(r"https?://\S+|www\.\S+")

Table = dict[str, list]
Pairs = Iterable[tuple[str | None, int]]


@dataclass(frozen=True, slots=True)
class Source:
    """A public set and the rows of it that are read."""

    name: str
    file: str
    sha256: str
    origin: str
    licence: str


SOURCES = (
    Source(
        "reddit_selfposts",
        "reddit_top/selfposts.parquet",
        "14602caea104e527d9b69792330690b28985f7b34a82030c34efdc3c0ba4b00c",
        "umbrae/reddit-top-2.5-million @ d0efcade504b8ed735a48ddc2b15552fa924c9d9",
        "PDDL 1.0",
    ),
    Source(
        "wikitext2",
        "wikitext2/train.parquet",
        "4c0b93e25c8f2a22f3974328522643990879127b42edc67844c6ec3b48b70f32",
        "WikiText-2 train, from kzhai/Porch @ 6347c88fd6b256e873de2c1967a7b0bdab1f7a05",
        "CC BY-SA 3.0",
    ),
    Source(
        "jigsaw",
        "jigsaw_toxic/train.parquet",
        "16d16a6f76f1e0328011b532c4af8a01f9f871bad40f6a914af16289cf866b36",
        "part of the Jigsaw Toxic Comment Classification Challenge train.csv",
        "labels CC0, text CC BY-SA 3.0",
    ),
    Source(
        "civil_comments",
        "civil_toxic_spans/comments.parquet",
        "9d78e12a8cab67a15e6d87624a17a3e334e1c978c836eeb73101d4c11b5b424a",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
    ),
    Source(
        "civil_semeval",
        "civil_toxic_spans/semeval2021_task5.parquet",
        "9131bdb9aed992ff9df57a539f4fb1750a14eb217762324101f08494e88f8f3a",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
    ),
    Source(
        "reddit_titles",
        "reddit_top/titles.parquet",
        "e174074c4fe1642b259deaf59180400f60c2d5165e030f1d1e8fe759e8cea682",
        "umbrae/reddit-top-2.5-million @ d0efcade504b8ed735a48ddc2b15552fa924c9d9",
        "PDDL 1.0",
    ),
    Source(
        "goemotions",
        "goemotions/goemotions.parquet",
        "7a21cb331fcb4ef005654e1ae9f427ffe33d66b48c97bd8648d85f725a96f269",
        "monologg/GoEmotions-pytorch @ b75f9d3a8b76bc1060687925b04ca98a1b8ea66b",
        "Apache-2.0",
    ),
    Source(
        "topical_chat",
        "topical_chat/topical_chat.parquet",
        "4ba7a8b6a13ae0d2dd0ff232495abfe2e7cfaf8eb1fffaeccc49e09c580cd130",
        "alexa/Topical-Chat @ 7c939229cbcf6f55f6977b341a5a2f2fe982d53f",
        "CDLA-Sharing 1.0",
    ),
    Source(
        "wikipedia_sentences",
        "wikipedia_sentences/sentences.parquet",
        "1079c133a7f3f439b5f8f7b827bf9dc1f71b1ff88fdf0d4362795ea2292f3661",
        "google-research-datasets/wiki-split @ 80f5bddf42d1a68201b7b107ee4b8d86d82e9fde, "
        "amazon-science/bold @ 3ad652c773f5d1e30d5f6f61657ed934d768ecad",
        "CC BY-SA 4.0",
    ),
    Source(
        "hatexplain",
        "hatexplain/data.parquet",
        "31a00e2f1dac93f6a8922279509a0d3d57df0daa66813b6ba38125fd94810310",
        "hate-alert/HateXplain, from ChrisIsKing/Rule-By-Example @ "
        "8064bfe848a91f076aed8954768317fc08b1dcbc",
        "MIT",
    ),
    Source(
        "davidson",
        "davidson/labeled_data.parquet",
        "acd7c83fa38f93ea81b06a234351cbea6cff618b2a60dba09d6cb41c7f461ea1",
        "t-davidson/hate-speech-and-offensive-language @ cb50f7e9eb855a99abc51423bf40df0e26d6fe30",
        "MIT",
    ),
    Source(
        "diasafety",
        "diasafety/diasafety.parquet",
        "78bd8ed389040067390689342d04185c00546f60ee431e308b2ff6b0598bb572",
        "thu-coai/DiaSafety @ 5106a041b1c7e36f30e02a97c44897a7f2057278",
        "Apache-2.0",
    ),
)


def scrub(text: str) -> str:
    """Replace what could name a person: e-mail addresses, phone numbers, handles; and links."""
    for pattern in (EMAIL, LINK, PHONE, HANDLE):
        text = pattern.sub("", text)
    return re.sub(r"[ \t]+", " ", text).strip()


def _reddit_posts(table: Table) -> Pairs:
    for title, body in zip(table["title"], table["selftext"], strict=True):
        yield html.unescape(f"{title}\n{body}"), 0


def _wikitext(table: Table) -> Pairs:
    for line in table["text"]:
        if line and len(line.split()) > 8:
            yield line.strip(), 0


def _civil(table: Table) -> Pairs:
    """Toxic if at least half of the annotators did not call it "not toxic"."""
    counts = zip(table["n_not_toxic"], table["n_workers"], strict=True)
    labels = (int(2 * clean <= n) for clean, n in counts)
    return zip(table["comment_text"], labels, strict=True)


def _semeval(table: Table) -> Pairs:
    labels = (int(len(spans) > 2) for spans in map(str, table["spans"]))
    return zip(table["text"], labels, strict=True)


def _conversations(table: Table) -> Pairs:
    """A conversation is one text, a message a line: the next message is what has to be learnt."""
    rows = zip(table["conversation"], table["turn"], table["message"], strict=True)
    ordered = sorted(rows, key=lambda row: (row[0], int(row[1])))
    for _, messages in groupby(ordered, key=lambda row: row[0]):
        yield "\n".join(text.strip() for _, _, text in messages if text), 0


def _exchanges(table: Table) -> Pairs:
    """Toxic if unsafe by what is said of people, not by bad advice."""
    toxic = {"Toxicity Agreement", "Biased Opinion", "Offending User"}
    columns = (table[name] for name in ("context", "response", "label", "category"))
    for context, response, label, category in zip(*columns, strict=True):
        yield f"{context}\n{response}", int(label == "Unsafe" and category in toxic)


def _plain(text: str, toxic: Callable[[Table], Iterable[int]] | None = None):
    """One column as it is, with 0 for toxic unless told."""

    def pairs(table: Table) -> Pairs:
        labels = toxic(table) if toxic else [0] * len(table[text])
        return zip(table[text], labels, strict=True)

    return pairs


READERS: dict[str, Callable[[Table], Pairs]] = {
    "reddit_selfposts": _reddit_posts,
    "wikitext2": _wikitext,
    "jigsaw": lambda t: zip(t["comment_text"], t["toxic"], strict=True),
    "civil_comments": _civil,
    "civil_semeval": _semeval,
    "reddit_titles": _plain("title"),
    "goemotions": _plain("text"),
    "topical_chat": _conversations,
    "wikipedia_sentences": _plain("text"),
    "hatexplain": _plain("text", lambda t: (int(label != "normal") for label in t["label"])),
    "davidson": _plain("tweet", lambda t: (int(label != 2) for label in t["class"])),
    "diasafety": _exchanges,
}


def read(source: Source, root: Path) -> Table:
    """The columns of a set's file.

    Raises:
        DataError: If the file is absent or is not the one that was recorded.
    """
    path = root / source.file
    if not path.is_file():
        raise DataError(
            f"{source.name}: there is no file {source.file} below {root}.",
            hint=f"Fetch it from {source.origin}.",
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.sha256:
        raise DataError(
            f"{source.name}: {path} has the SHA-256 {found[:16]}…, not {source.sha256[:16]}….",
            hint=f"Fetch {source.file} again from {source.origin}.",
        )
    return pq.read_table(path).to_pydict()


def rows(source: Source, root: Path) -> Iterator[tuple[str, int]]:
    """Yield ``(text, toxic)`` of a set, verbatim, in file order; toxic is 0 where unlabelled."""
    for text, toxic in READERS[source.name](read(source, root)):
        if text and text.strip():
            yield text, int(toxic)


def training_rows(source: Source, root: Path) -> list[tuple[str, int]]:
    """The four fifths of a set that may be trained on, scrubbed, without repeats.

    The reserve is decided on the verbatim text, so that a reader of the original file finds it.
    """
    kept = {scrub(text): toxic for text, toxic in rows(source, root) if not is_reserved(text)}
    return [(text, toxic) for text, toxic in kept.items() if text]


def reserved_rows(source: Source, root: Path) -> list[tuple[str, int]]:
    """The fifth of a set that no demo asset was trained on."""
    kept = {scrub(text): toxic for text, toxic in rows(source, root) if is_reserved(text)}
    return [(text, toxic) for text, toxic in kept.items() if text]
