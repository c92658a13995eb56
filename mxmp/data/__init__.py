"""Corpora, subwords and batches; imports nothing else of mxmp."""
from .batches import Batch, BatchLoader, SourceLoader
from .corpus import Corpus, ParallelText
from .download import default_cache_dir, download
from .files import load_files, read_lines, read_pair
from .multi30k import MULTI30K_URL, load_multi30k
from .numbers import NUMBERS_LANGUAGES, load_numbers
from .prepare import Pairs, Prepared, prepare
from .subwords import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Subwords

__all__ = ["Batch", "BatchLoader", "SourceLoader", "Corpus", "ParallelText", "default_cache_dir", "download",
           "load_files", "read_lines", "read_pair", "MULTI30K_URL", "load_multi30k", "NUMBERS_LANGUAGES",
           "load_numbers", "Pairs", "Prepared", "prepare", "BOS_ID", "EOS_ID", "PAD_ID", "UNK_ID", "Subwords"]
