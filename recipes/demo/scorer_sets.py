"""The public sets that the demo scorers learn from: origin, commit, checksum, licence.

No set is read by both. `scorer_data` tells what becomes of their rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from bezoar.errors import DataError


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A set that was learnt from, for cards and NOTICE."""

    name: str
    file: str
    sha256: str
    origin: str
    licence: str
    used: str


SETS_A = (
    PublicSet(
        "jigsaw_toxic",
        "jigsaw_toxic/train.parquet",
        "16d16a6f76f1e0328011b532c4af8a01f9f871bad40f6a914af16289cf866b36",
        "part of the Jigsaw Toxic Comment Classification Challenge train.csv",
        "labels CC0, text CC BY-SA 3.0",
        "comments, their pieces, six labels where given",
    ),
    PublicSet(
        "paradetox",
        "detox_pairs/pairs.parquet",
        "24001c8a28c962ba75ffea5ab2506e92d9d52b1992ec788d04543cfbbcf1e72f",
        "s-nlp/paradetox @ d97b17d0813539cf05c74f9cdb5e66372704ca57",
        "CC0 1.0 (repository licence file)",
        "toxic sentences and their rewrites; APPDIA rows of the same file are left out",
    ),
    PublicSet(
        "paradetox_left",
        "detox_pairs/paradetox_cannot_rewrite.parquet",
        "8dd47096aecb1e08d650d4a9593b949ddeb634e5f62450f83b0089ffe84abe79",
        "s-nlp/paradetox @ d97b17d0813539cf05c74f9cdb5e66372704ca57",
        "CC0 1.0 (repository licence file)",
        "sentences nobody could rewrite: toxic in content, or not toxic; not the unclear ones",
    ),
    PublicSet(
        "wiki_context_toxicity",
        "wiki_context_toxicity/cat_large.parquet",
        "6a02471886cd795ccddba7e467d076f2077623e3eea8fce2a99f174bddcc675f",
        "ipavlopoulos/context_toxicity @ 5df49c294e6a41f0ba351e65fda7c315aa4cc168",
        "Apache-2.0, text CC BY-SA",
        "comments with the score of Perspective published beside them, as soft labels",
    ),
)
SETS_B = (
    PublicSet(
        "civil_comments",
        "civil_toxic_spans/comments.parquet",
        "9d78e12a8cab67a15e6d87624a17a3e334e1c978c836eeb73101d4c11b5b424a",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
        "pieces; toxic where two annotators marked a span, by kind of span",
    ),
    PublicSet(
        "civil_semeval",
        "civil_toxic_spans/semeval2021_task5.parquet",
        "9131bdb9aed992ff9df57a539f4fb1750a14eb217762324101f08494e88f8f3a",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
        "pieces; toxic where at least three marked characters lie",
    ),
    PublicSet(
        "diasafety",
        "diasafety/diasafety.parquet",
        "78bd8ed389040067390689342d04185c00546f60ee431e308b2ff6b0598bb572",
        "thu-coai/DiaSafety @ 5106a041b1c7e36f30e02a97c44897a7f2057278",
        "Apache-2.0",
        "offending responses, and contexts of 'toxicity agreement'",
    ),
    PublicSet(
        "surge_toxicity",
        "surge_toxicity/toxicity_en.parquet",
        "b93f09b186a02674edb04927782dadc897812ece239108e630739254164d2002",
        "surge-ai/toxicity @ ea80324b95ed7e3cc787bdb6faeb763fcc0ae258",
        "MIT",
        "all",
    ),
    PublicSet(
        "goemotions",
        "goemotions/goemotions.parquet",
        "7a21cb331fcb4ef005654e1ae9f427ffe33d66b48c97bd8648d85f725a96f269",
        "monologg/GoEmotions-pytorch @ b75f9d3a8b76bc1060687925b04ca98a1b8ea66b",
        "Apache-2.0",
        "8,000 comments without anger, annoyance or disgust, as harmless",
    ),
    PublicSet(
        "hatexplain",
        "hatexplain/data.parquet",
        "31a00e2f1dac93f6a8922279509a0d3d57df0daa66813b6ba38125fd94810310",
        "hate-alert/HateXplain, from ChrisIsKing/Rule-By-Example @ "
        "8064bfe848a91f076aed8954768317fc08b1dcbc",
        "MIT",
        "posts; hate speech is an identity attack",
    ),
    PublicSet(
        "davidson",
        "davidson/labeled_data.parquet",
        "acd7c83fa38f93ea81b06a234351cbea6cff618b2a60dba09d6cb41c7f461ea1",
        "t-davidson/hate-speech-and-offensive-language @ cb50f7e9eb855a99abc51423bf40df0e26d6fe30",
        "MIT",
        "tweets; hate is an identity attack",
    ),
)


def read(root: Path, item: PublicSet) -> dict[str, list]:
    """The columns of a set's file.

    Raises:
        DataError: If the file is absent or is not the one that was recorded.
    """
    path = root / item.file
    if not path.is_file():
        raise DataError(
            f"{item.name}: there is no file {item.file} below {root}.",
            hint=f"Fetch it from {item.origin}.",
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != item.sha256:
        raise DataError(
            f"{item.name}: {path} has the SHA-256 {found[:16]}…, not {item.sha256[:16]}….",
            hint=f"Fetch {item.file} again from {item.origin}.",
        )
    return pq.read_table(path).to_pydict()
