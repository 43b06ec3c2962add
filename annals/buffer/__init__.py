"""The buffer file, as every program that opens it knows it: its tables and its faults."""
