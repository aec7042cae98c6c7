"""Writes the files of this folder, by Apache Arrow (pyarrow 26.0.1)."""

import pyarrow as pa
from pyarrow import orc, parquet

many = pa.table({"id": list(range(1234)), "word": [f"word {n % 7}" for n in range(1234)]})
nested = pa.table({"a": [[{"x": n, "y": [True, False]}] for n in range(77)], "m": [n / 3 for n in range(77)]})
empty = many.slice(0, 0)

parquet.write_table(many, "plain.parquet", compression="none", row_group_size=500)
parquet.write_table(nested, "nested.snappy.parquet", compression="snappy")
parquet.write_table(empty, "empty.parquet")
orc.write_table(empty, "empty.orc")
for name, compression in [("plain", "uncompressed"), ("zlib", "zlib"), ("snappy", "snappy"), ("lz4", "lz4"), ("zstd", "zstd")]:
    orc.write_table(many, f"{name}.orc", compression=compression)
