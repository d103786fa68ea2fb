"""Texts in, vectors out, of any size: files are read and written in constant memory.

    encoder = minilm.runtime.load("artifacts/all-MiniLM-L6-v2")
    source = read_records(Path("reviews.csv"), Selection(field="body", keep=None))
    with open_output(Path("vectors.parquet"), encoder.dimension, resume=True) as sink:
        for records, vectors in embed_stream(encoder, sink.rest(source)):
            sink.add(records, vectors, encoder.last_report)

A run that is stopped continues behind the rows that are on disk (`minilm.bulk.checkpoint`). Wrong
usage raises `UsageError`, whose `option` names the command-line option at fault.
"""

from minilm.bulk.embed import Match, embed_stream, top_matches
from minilm.bulk.readers import (
    STDIN,
    InputFormat,
    RecordSource,
    read_records,
    read_texts,
    records_of,
)
from minilm.bulk.records import Record, Selection
from minilm.bulk.sinks import VectorSink, check_output, keeps_fields, open_output
from minilm.bulk.writers import WRITERS, VectorWriter

__all__ = [
    "STDIN",
    "WRITERS",
    "InputFormat",
    "Match",
    "Record",
    "RecordSource",
    "Selection",
    "VectorSink",
    "VectorWriter",
    "check_output",
    "embed_stream",
    "keeps_fields",
    "open_output",
    "read_records",
    "read_texts",
    "records_of",
    "top_matches",
]
