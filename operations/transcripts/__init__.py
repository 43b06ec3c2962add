"""Transcripts as they were: put together from the records that are kept, and written back."""
