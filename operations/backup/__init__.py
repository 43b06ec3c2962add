"""Backup and restore: lake, catalog, buffer and settings in one verified archive."""

from operations.backup.restoring import RestoreReport, restore
from operations.backup.taking import BackupReport, backup, default_archive

__all__ = ["BackupReport", "backup", "default_archive", "RestoreReport", "restore"]
