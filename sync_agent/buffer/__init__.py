"""The durable buffer: records, files and positions in one SQLite file, written by one process."""
