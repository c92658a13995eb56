"""Lines of text as no sane person writes them."""
import random
import sys
import unicodedata

WORDS = ["one", "two", "three", "four", "five six", "Straße", "été", "ночь", "四", "👩\u200d👧", "שלום", "a" * 90]
ODD = ["</s>", "<unk>", "<s>", "<pad>", "▁", "▅", "⁇", "\t", "\v", "\f", "\x1c", "\x1f", "\x85", "\u2028", "\u2029",
       "\ufeff", "\u00a0", "\u3000", "\u200b", "\u0301", "e\u0301", "\ufdd0", "\ufdd1", "\ufdd2", "\ufdef", "\uffff",
       "\ufffd", "\x7f", "\x10", "%s", "\\n", "\"", "'", "|||", "@@", "\u202e", "𝔘", "  ", ""]
BYTES = [b"\xff", b"\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf0\x9f",
         b"\x80", b"\xe4"]
REFUSED = b"\0\r\n"  # what no line has in it


def _character(random_):
    while True:
        character = chr(random_.randrange(1, sys.maxunicode + 1))
        if unicodedata.category(character) != "Cs" and character not in "\r\n":
            return character


def _text(random_):
    kind = random_.randrange(8)
    if kind == 0:
        return "".join(random_.choices(ODD, k=random_.randrange(9)))
    if kind == 1:
        return "".join(_character(random_) for _ in range(random_.randrange(20)))
    length = random_.randrange(200 if random_.random() < 0.01 else 12)
    return random_.choice(["", " ", "  "]).join(random_.choices(WORDS + ODD * (kind == 2), k=length))


def _mutated(line, random_):
    data = bytearray(line)
    for _ in range(random_.randrange(1, 4)):
        at = random_.randrange(len(data) + 1)
        kind = random_.randrange(3)
        if kind == 0:
            data[at:at] = random_.choice(BYTES)
        elif kind == 1:
            del data[at:at + random_.randrange(4)]
        else:
            data[at:at + 1] = bytes([random_.randrange(256)])
    return bytes(byte for byte in data if byte not in REFUSED)


def valid_lines(number, seed):
    """Texts without a line end in them, as `str`."""
    random_ = random.Random(seed)
    return [_text(random_) for _ in range(number)]


def lines(number, seed):
    """Bytes without a line end in them, a half of them mutated and mostly no longer UTF-8."""
    random_ = random.Random(seed)
    return [line if random_.random() < 0.5 else _mutated(line, random_)
            for line in (text.encode() for text in valid_lines(number, seed))]
