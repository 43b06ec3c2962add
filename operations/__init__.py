"""Programs around the platform: backup, doctor, services, containers, docs, metrics."""
