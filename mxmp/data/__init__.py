"""Corpora, subwords and batches; of mxmp they know nothing but how a file is written."""
from .batches import Batch, BatchLoader, SourceLoader
from .bucketing import bucket_batches
from .corpus import Corpus, ParallelText, Text, is_blank, split_lines
from .files import MAX_BYTES, MAX_LINE_BYTES, load_files, load_text, read_lines, read_pair, read_stream
from .multi30k import MULTI30K_URL, default_cache_dir, download, load_multi30k
from .numbers import NUMBERS_LANGUAGES, load_numbers
from .prefetch import prefetch
from .prepare import Pairs, Prepared, prepare
from .subwords import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Subwords
from .tatoeba import load_tatoeba

__all__ = ["BOS_ID", "Batch", "BatchLoader", "Corpus", "EOS_ID", "MAX_BYTES", "MAX_LINE_BYTES", "MULTI30K_URL",
           "NUMBERS_LANGUAGES", "PAD_ID", "Pairs", "ParallelText", "Prepared", "SourceLoader", "Subwords", "Text",
           "UNK_ID", "bucket_batches", "default_cache_dir", "download", "is_blank", "load_files", "load_multi30k",
           "load_numbers", "load_tatoeba", "load_text", "prefetch", "prepare", "read_lines", "read_pair", "read_stream",
           "split_lines"]
