"""Records to MongoDB: batches, acknowledgements, and agreement on who this buffer is."""
