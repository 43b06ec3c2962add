"""Transcripts on disk -> local buffer: read every byte once, keep it, say where it came from."""
