"""The stages in order: plain functions first, orchestrated shells around them beside."""
