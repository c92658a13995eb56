"""Tables as text."""
from operator import itemgetter

from benchmark.table import markdown


def test_columns_are_aligned():
    assert markdown({"name": itemgetter(0), "n": itemgetter(1)}, [("a", "10"), ("long name", "1")]).splitlines() == [
        "| name      |  n |",
        "| --------- | -: |",
        "| a         | 10 |",
        "| long name |  1 |"]
