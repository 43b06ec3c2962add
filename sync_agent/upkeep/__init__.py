"""Care for the buffer between reading: verification, quarantine, replay."""
