import pytest

from mxmp.sizes import format_bytes, parse_bytes


@pytest.mark.parametrize("text, size", [("12GB", 12 * 10 ** 9), ("11.5GiB", 11.5 * 2 ** 30), ("512 MiB", 2 ** 29),
                                        ("3kb", 3000), ("7", 7), (" 7 B ", 7)])
def test_reads_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "12XB", "-1GB", "0", "1e3"])
def test_says_what_it_cannot_read(text):
    with pytest.raises(ValueError, match="cannot read the size .*; write, for example"):
        parse_bytes(text)


@pytest.mark.parametrize("size, text", [(0, "0 B"), (999, "999 B"), (1536, "1.5 KiB"), (200 * 2 ** 20, "200 MiB"),
                                        (4 * 2 ** 30, "4 GiB"), (4000 * 2 ** 30, "4,000 GiB")])
def test_writes_sizes(size, text):
    assert format_bytes(size) == text
