"""Files that are shipped with the packages: dbt project, sample, unit files, deployments.

In a checkout, and in the images, they lie beside the packages. A wheel has them in a folder of its
own inside this package: beside the packages of an environment, ``dbt`` is dbt-core's folder, and
names like ``examples`` and ``deploy`` are anybody's.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds our packages: a checkout, or the packages' folder of an environment."""

_SHIPPED = ROOT / "annals" / "shipped"


def resource(name: str) -> Path:
    """Return the path of a shipped file or folder, such as ``dbt`` or ``prefect.yaml``."""
    packaged = _SHIPPED / name
    return packaged if packaged.exists() else ROOT / name
