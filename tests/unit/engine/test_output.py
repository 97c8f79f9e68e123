"""Writing to streams that may be gone, and cutting streams into lines."""

from __future__ import annotations

import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.output import Filtered, Lines, Output


def test_writes_everything_to_a_slow_reader() -> None:
    """More than a pipe holds arrives whole, also when the pipe doesn't block."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(1_000_000)
    received = bytearray()

    def drain() -> None:
        while chunk := os.read(reader, 5000):
            received.extend(chunk)

    thread = threading.Thread(target=drain)
    thread.start()
    Output(writer).write(data)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert bytes(received) == data


def test_a_closed_reader_is_no_error() -> None:
    """Once the reader is gone, what is written is dropped."""
    reader, writer = os.pipe()
    os.close(reader)
    output = Output(writer)
    output.write(b"lost")
    assert output.broken
    output.write(b"lost too")
    os.close(writer)


def test_a_closed_descriptor_is_no_error() -> None:
    """A stdout that was never open takes everything."""
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    Output(writer).write(b"lost")


@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(1, 7)))
def test_lines_do_not_depend_on_chunks(lines: list[bytes], sizes: list[int]) -> None:
    """However the stream is cut, the lines are the same."""
    text = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
    found: list[bytes] = []
    cutter = Lines(found.append)
    position = 0
    for size in [*sizes, len(text) + 1]:
        cutter.write(text[position : position + size])
        position += size
    cutter.close()
    assert found == [line.replace(b"\n", b" ") for line in lines]


def test_last_line_without_newline() -> None:
    """A last line needs no newline, an empty rest is no line."""
    found: list[bytes] = []
    cutter = Lines(found.append)
    cutter.write(b"a\n\nb")
    cutter.close()
    assert found == [b"a", b"", b"b"]


def test_long_line_is_cut() -> None:
    """A line beyond the limit is cut short and the next one is whole."""
    found: list[bytes] = []
    cutter = Lines(found.append, limit=4)
    for chunk in (b"abc", b"def", b"ghi\nxy\n"):
        cutter.write(chunk)
    assert found == [b"abcd", b"xy"]


def test_filter_sees_whole_lines_only() -> None:
    """A prompt passes at once; only lines that came whole are filtered."""
    written: list[bytes] = []
    stream = Filtered(written.append, bytes.upper)
    for chunk in (b"one\ntwo\nEnter a value: ", b"yes\nthree\n"):
        stream.write(chunk)
    assert written == [b"ONE\nTWO\nEnter a value: ", b"yes\nTHREE\n"]
