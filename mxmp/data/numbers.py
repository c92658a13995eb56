"""Number phrases in words, generated: a translation task that needs no download."""
from __future__ import annotations

import datetime
import functools
import random
from decimal import Decimal
from typing import Any, Callable, Dict, List, Tuple

from num2words import num2words

from .corpus import Corpus, ParallelText

NUMBERS_LANGUAGES = ("en", "fr", "de")
"""The languages that `load_numbers` spells."""
_MOST_PAIRS = 200_000

_MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
           "novembre", "décembre"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
           "November", "Dezember"),
}
# num2words 0.5 forgets to drop letters inside some compounds: deux cent(s)ième, zweihunderteintausend.
_MISSPELLINGS = {"fr": (("vingtsième", "vingtième"), ("centsième", "centième")),
                 "de": (("einstausend", "eintausend"),),
                 "en": ()}

Phrase = Tuple[str, Any]  # what to spell: kind and value


def load_numbers(src_lang: str = "en", tgt_lang: str = "fr", num_train: int = 20_000, num_valid: int = 500,
                 num_test: int = 500, seed: int = 1) -> Corpus:
    """Generate cardinals, ordinals, amounts of money and dates, spelled out in two languages.

    A phrase has one translation, no source sentence occurs twice, and the same arguments give the same corpus. Plain
    numbers up to one hundred are never held out: most are words of their own, which nothing else would teach.

    Parameters
    ----------
    src_lang : str, default "en"
        One of `NUMBERS_LANGUAGES`.
    tgt_lang : str, default "fr"
        Another one.
    num_train : int
        Pairs to train on.
    num_valid, num_test : int
        Pairs in each of the other splits, which do not depend on `num_train`.
    seed : int
        Chooses the phrases.

    Returns
    -------
    Corpus
        Its name is "numbers".

    Raises
    ------
    ValueError
        If the languages are unknown or the same, or a size is out of range.
    """
    if not {src_lang, tgt_lang} <= set(NUMBERS_LANGUAGES) or src_lang == tgt_lang:
        raise ValueError(f'src_lang={src_lang!r}, tgt_lang={tgt_lang!r}: choose two different languages of '
                         f'{", ".join(NUMBERS_LANGUAGES)}')
    sizes = (num_train, num_valid, num_test)
    if min(sizes) < 1 or sum(sizes) > _MOST_PAIRS:
        raise ValueError(f"num_train={num_train}, num_valid={num_valid}, num_test={num_test}: each must be "
                         f"at least 1, and all together at most {_MOST_PAIRS}")
    splits = _draw_splits(src_lang, sizes, random.Random(seed))
    return Corpus("numbers", src_lang, tgt_lang, *[
        ParallelText(list(split), [_spell(phrase, tgt_lang) for phrase in split.values()])
        for split in splits])


def _draw_splits(src_lang: str, sizes: Tuple[int, int, int], rng: random.Random) -> List[Dict[str, Phrase]]:
    """Phrases by source sentence for training, validation and test; the last two are filled first."""
    train: Dict[str, Phrase] = {}
    valid: Dict[str, Phrase] = {}
    test: Dict[str, Phrase] = {}
    while (len(train), len(valid), len(test)) != sizes:
        phrase = _draw(rng)
        basic = phrase[0] in ("cardinal", "ordinal") and phrase[1] <= 100
        if not basic and len(test) < sizes[2]:
            split = test
        elif not basic and len(valid) < sizes[1]:
            split = valid
        elif len(train) < sizes[0]:
            split = train
        else:  # all that is missing is phrases to hold out, and this one cannot be
            continue
        sentence = _spell(phrase, src_lang)
        if not any(sentence in other for other in (train, valid, test)):
            split[sentence] = phrase
    return [train, valid, test]


def _draw(rng: random.Random) -> Phrase:
    """Kind and value of a random phrase; small numbers as often as large ones."""
    kind = rng.choices(("cardinal", "ordinal", "money", "date"), weights=(4, 2, 2, 2))[0]
    if kind == "cardinal":
        return kind, rng.randrange(rng.choice((100, 1_000, 10_000, 100_000, 1_000_000)))
    if kind == "ordinal":
        return kind, 1 + rng.randrange(rng.choice((100, 1_000, 10_000)))
    if kind == "money":
        return kind, (1 + rng.randrange(rng.choice((20, 100, 1_000))), 1 + rng.randrange(99))
    first, last = datetime.date(1700, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
    return kind, datetime.date.fromordinal(rng.randint(first, last))


def _spell(phrase: Phrase, lang: str) -> str:
    kind, value = phrase
    text = _SPELLERS[kind](value, lang)
    for wrong, right in _MISSPELLINGS[lang]:
        text = text.replace(wrong, right)
    return text


def _spell_money(euros_and_cents: Tuple[int, int], lang: str) -> str:
    euros, cents = euros_and_cents
    return num2words(Decimal(f"{euros}.{cents:02d}"), lang=lang, to="currency", currency="EUR")


@functools.lru_cache(maxsize=None)  # few days and years make up many dates
def _spell_number(value: int, lang: str, to: str) -> str:
    return num2words(value, lang=lang, to=to)


def _spell_date(date: datetime.date, lang: str) -> str:
    month, year = _MONTHS[lang][date.month - 1], _spell_number(date.year, lang, "year")
    if lang == "fr":  # only the first has an ordinal
        day = "premier" if date.day == 1 else _spell_number(date.day, lang, "cardinal")
        return f"le {day} {month} {year}"
    day = _spell_number(date.day, lang, "ordinal")
    return f"the {day} of {month} {year}" if lang == "en" else f"der {day} {month} {year}"


_SPELLERS: Dict[str, Callable[[Any, str], str]] = {
    "cardinal": lambda value, lang: num2words(value, lang=lang),
    "ordinal": lambda value, lang: num2words(value, lang=lang, to="ordinal"),
    "money": _spell_money,
    "date": _spell_date,
}
