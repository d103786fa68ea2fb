"""Texts in, vectors out, of any size: files are read and written in constant memory.

    encoder = minilm.runtime.load("artifacts/all-MiniLM-L6-v2")
    with open_output(Path("vectors.parquet"), encoder.dimension, resume=True) as sink:
        for texts, vectors in embed_stream(encoder, sink.rest(read_texts(Path("texts.txt")))):
            sink.add(texts, vectors, encoder.last_report)

A run that is stopped continues behind the rows that are on disk (`minilm.bulk.checkpoint`). Wrong
usage raises `UsageError`, whose `option` names the command-line option at fault.
"""

from minilm.bulk.embed import Match, embed_stream, top_matches
from minilm.bulk.readers import STDIN, read_texts
from minilm.bulk.sinks import VectorSink, check_output, open_output
from minilm.bulk.writers import WRITERS, VectorWriter

__all__ = [
    "STDIN",
    "WRITERS",
    "Match",
    "VectorSink",
    "VectorWriter",
    "check_output",
    "embed_stream",
    "open_output",
    "read_texts",
    "top_matches",
]
