"""The English side of Tatoeba's pairs: each sentence once, in one split, in the order of hashes."""
import gzip
import zipfile
from pathlib import Path

import pytest

from mxmp.data import load_tatoeba

SHARED = Path(__file__).parents[3] / "shared" / "data" / "tatoeba-deu-eng"
LINES = "".join(f"Sentence {i // 2}.\tSatz {i}.\n" for i in range(400))


def write(folder, kind):
    if kind == "zip":
        with zipfile.ZipFile(folder / "deu-eng.zip", "w") as archive:
            archive.writestr("_about.txt", "about")
            archive.writestr("deu.txt", LINES, zipfile.ZIP_DEFLATED)
    else:
        (folder / kind).write_bytes(gzip.compress(LINES.encode()) if kind.endswith(".gz") else LINES.encode())


@pytest.mark.parametrize("kind", ["deu.txt", "deu.txt.gz", "zip"])
def test_every_different_sentence_is_there_once(tmp_path, kind):
    write(tmp_path, kind)
    text = load_tatoeba(tmp_path)
    everything = text.train + text.valid + text.test
    assert sorted(everything) == sorted(f"Sentence {i}." for i in range(200))
    assert text.train != sorted(text.train) and len(text.train) > 180


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="no deu.txt, deu.txt.gz or zip file with it"):
        load_tatoeba(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match="a.zip: broken zip file"):
        load_tatoeba(tmp_path)
    write(tmp_path, "zip")
    whole = (tmp_path / "deu-eng.zip").read_bytes()
    begin = whole.index(b"deu.txt") + len("deu.txt")
    for end in (begin + 9, begin + 1, len(whole)):
        (tmp_path / "a.zip").write_bytes(whole[:begin] + b"\xff" * (end - begin) + whole[end:])
        with pytest.raises(ValueError, match="a.zip: broken zip file"):
            load_tatoeba(tmp_path)
    (tmp_path / "deu.txt").write_text("one\teins\ntwo\n")
    with pytest.raises(ValueError, match="line 2 of deu.txt has no tab"):
        load_tatoeba(tmp_path)


def test_a_zip_file_that_unpacks_to_more_than_a_text_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deu.txt", bytes(2 ** 26))
    with pytest.raises(ValueError, match="a.zip/deu.txt:1: more than 1048576 bytes in the line"):
        load_tatoeba(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}")
def test_the_corpus_at_hand():
    text = load_tatoeba(SHARED)
    assert len(text.train) + len(text.valid) + len(text.test) == 135_534
    assert 3000 < len(text.test) < 3800 and not set(text.test) & set(text.train)
