"""Iceberg -> DuckDB -> published builds."""
