"""Prints each row of Parquet files and Avro containers as JSON: `rows.py FILE…`, read by pyarrow and fastavro."""

import json
import sys

import fastavro
import pyarrow.parquet


def parquet(path):
    file = pyarrow.parquet.ParquetFile(path)
    for batch in file.iter_batches():
        times, headers, bodies = (batch.column(name) for name in ("timestamp", "headers", "body"))
        times = times.cast("int64").to_pylist()
        for time, pairs, body in zip(times, headers.to_pylist(), bodies.to_pylist()):
            yield {"timestamp": time, "headers": dict(pairs), "body": plain(body)}


def plain(body):
    return body.encode().hex() if isinstance(body, str) else body.hex()


def avro(path):
    with open(path, "rb") as file:
        for event in fastavro.reader(file):
            yield {"timestamp": None, "headers": event["headers"], "body": event["body"].hex()}


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        read = parquet if file.read(4) == b"PAR1" else avro
    for row in read(path):
        sys.stdout.write(json.dumps(row) + "\n")
