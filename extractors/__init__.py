"""Buffer (or MongoDB) -> Apache Iceberg: append what is new and move the cursor in one commit."""
