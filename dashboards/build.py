#!/usr/bin/env python3
"""Writes the dashboards of this folder, as Grafana reads them, from the tables in `tables/`.

    python3 dashboards/build.py [FOLDER]

A test holds the kept files to what this writes. Python alone is enough.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import grafana  # noqa: E402


def boards():
    # What can be asked of a dashboard must be known before the links to it are made.
    grafana.VARIABLES_OF.update({
        "scaleio-system": ("system",),
        "scaleio-rebuild": ("system", "protection_domain", "storage_pool"),
        "scaleio-pool": ("system", "protection_domain", "storage_pool"),
        "scaleio-sds": ("system", "protection_domain", "sds"),
        "scaleio-devices": ("system", "protection_domain", "storage_pool", "sds"),
        "scaleio-volumes": ("system", "protection_domain", "storage_pool", "volume"),
        "scaleio-sdc": ("system", "sdc"),
    })
    from tables import lifecycle, ourselves, overview, storage, work

    return [*overview.BOARDS, *storage.BOARDS, *work.BOARDS, *lifecycle.BOARDS, *ourselves.BOARDS]


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    for board in boards():
        made = grafana.dashboard(*board)
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        (folder / f"{made['uid'].removeprefix('scaleio-')}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
