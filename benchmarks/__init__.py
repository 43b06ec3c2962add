"""Speed, memory and size of Annals against its targets: ``python -m benchmarks [name ...]``."""
