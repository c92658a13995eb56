import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mxmp.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, ParallelText, Subwords, is_blank

TEXT = ParallelText(["Ein Hund läuft über die Straße.", "Zwei Hunde schlafen …"] * 5,
                    ["A dog runs across the street.", "Two dogs are asleep …"] * 5)
STAND_INS = "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4\ufdd5\ufdd6\ufdd7"  # of Unicode's noncharacters, which no text has
TEXT_CHARACTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters=" " + STAND_INS)


@pytest.fixture(scope="module", params=[True, False], ids=["joint", "separate"])
def subwords(request):
    return Subwords.train(TEXT, 80, joint=request.param)


def test_special_ids_and_all_others_are_the_same_in_vocab_and_model(subwords):
    for vocab in (subwords.src_vocab, subwords.tgt_vocab):
        assert vocab[[vocab.padding_token, vocab.unknown_token, vocab.bos_token, vocab.eos_token]] == [
            PAD_ID, UNK_ID, BOS_ID, EOS_ID]
    ids = subwords.encode_tgt(TEXT.tgt)[0]
    assert "".join(subwords.tgt_vocab.to_tokens(ids)).replace("▁", " ").strip() == TEXT.tgt[0]
    assert subwords.tgt_vocab[subwords.tgt_vocab.to_tokens(ids)] == ids


def test_joint_means_one_vocabulary(subwords):
    assert (subwords.src_vocab is subwords.tgt_vocab) == subwords.joint


def test_size_is_the_one_asked_for(subwords):
    assert len(subwords.src_vocab) == len(subwords.tgt_vocab) == 80


def test_decoding_stops_at_eos_and_skips_padding(subwords):
    first, second = subwords.encode_tgt(TEXT.tgt[:2])
    assert subwords.decode_tgt([BOS_ID] + first + [PAD_ID, EOS_ID] + second) == TEXT.tgt[0]


def test_training_is_deterministic(subwords):
    assert Subwords.train(TEXT, 80, joint=subwords.joint).models == subwords.models


def test_unknown_characters_are_unknown_ids(subwords):
    assert UNK_ID in subwords.encode_src(["Hund 犬"])[0]


def test_survives_saving(subwords, tmp_path):
    subwords.save(tmp_path)
    loaded = Subwords.load(tmp_path)
    assert loaded.joint == subwords.joint
    assert loaded.encode_src(TEXT.src) == subwords.encode_src(TEXT.src)
    assert loaded.tgt_vocab.idx_to_token == subwords.tgt_vocab.idx_to_token


def test_loading_names_the_missing_file(tmp_path):
    with pytest.raises(ValueError, match="no subwords.model and no subwords.src.model or subwords.tgt.model"):
        Subwords.load(tmp_path)


@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.text(TEXT_CHARACTERS, min_size=1), min_size=1))
@example(["<unk>", "is", "</s>", "here", "<pad>", "<s>", "<"])
@example(["end\r"])
@example(["end\n"])
@example(["tab\tNUL\0data\x10unit\x1f"])
@example(["▁▂▃▄▅▆▇", "⁇", "ten\u00a0euro", "\ufeffx", "👩\u200d👧", "\u200fשלום"])
def test_round_trip_keeps_every_character(words):
    sentence = " ".join(words)
    assume(not is_blank(sentence))
    subwords = Subwords.train(ParallelText([sentence], [sentence]), 2000)
    assert subwords.decode_tgt(subwords.encode_tgt([sentence])[0]) == unicodedata.normalize("NFC", sentence)


def test_code_points_that_no_text_has_do_not_come_back_as_ends_of_lines():
    sentence = "a" + "".join(map(chr, range(0xFDD0, 0xFDF0))) + "\x10\tb"
    subwords = Subwords.train(ParallelText([sentence, "\0\n\r<"], ["b", "a"]), 2000)
    text = subwords.decode_tgt(subwords.encode_tgt([sentence])[0])
    assert text == "a" + 8 * "\ufffd" + "".join(map(chr, range(0xFDD8, 0xFDF0))) + "\x10\tb"


def test_a_text_too_small_for_the_size_gives_fewer_pieces_and_says_so(caplog):
    caplog.set_level("INFO")
    assert len(Subwords.train(ParallelText(["a b"], ["b c"]), 500).src_vocab) < 20
    assert "of the 500 subwords asked for" in caplog.text


@pytest.mark.parametrize("line", [
    "\t", "\u00a0", "\u3000", " \u2009\x85", "\u200b", "\ufeff", "\u00ad", "\u2028\u200e"])
def test_a_blank_line_has_no_subwords(subwords, line):
    assert subwords.encode_src([line, "Hund"])[0] == subwords.encode_tgt([line])[0] == []


LONG = " ".join(f"Ω{word}" for word in ["alpha", "beta", "gamma"] * 300) + " Жук"


@pytest.mark.parametrize("lines", [TEXT.src + [LONG], [LONG] * 3, ["語" * 70_000, "x" * 5000]])
def test_long_lines_are_learned_from(lines):
    subwords = Subwords.train(ParallelText(lines, lines), 200)
    assert max(len(line.encode()) for line in lines) > 4192
    assert not any(UNK_ID in ids for ids in subwords.encode_tgt(lines))


def test_no_size_is_too_large():
    assert len(Subwords.train(ParallelText(["a b"], ["b c"]), 2 ** 31).src_vocab) < 20


@pytest.mark.parametrize("data", [b"", b"no model", b"\n\x0e"])
def test_a_damaged_file_is_named(subwords, tmp_path, data):
    subwords.save(tmp_path)
    name = "subwords.model" if subwords.joint else "subwords.tgt.model"
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name}: no subword model"):
        Subwords.load(tmp_path)


@pytest.mark.parametrize("text, size, message", [
    (TEXT, 3, "vocab_size=3 does not suit this text; .* smaller than required_chars"),
    (TEXT, 0, "vocab_size=0 does not suit this text; .* smaller than required_chars"),
    (ParallelText(["\u00a0", "\u200b"], ["\t", ""]), 10, "all 4 sentences are blank"),
    (TEXT, 10, "vocab_size=10 does not suit this text; .* smaller than required_chars"),
    (ParallelText([" ", ""], ["", ""]), 10, "all 4 sentences are blank"),
])
def test_says_why_there_are_no_subwords(text, size, message):
    with pytest.raises(ValueError, match=message):
        Subwords.train(text, size)
