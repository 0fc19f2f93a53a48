"""How long ``import bezoar`` and ``bezoar --help`` take, each in a fresh process.

python -m benchmarks.startup
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import Figure, arguments, report, start

_IMPORT = "import time; t = time.perf_counter(); import bezoar; t = time.perf_counter() - t; "
_CHECK = "import sys; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules); print(t)"


def main() -> None:
    args = start(arguments(__doc__))
    imports, helps, bare = [], [], []
    for _ in range(args.repeats + 1):
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT + _CHECK], check=True, capture_output=True, text=True
        )
        imports.append(float(done.stdout))
        helps.append(_seconds([str(Path(sys.executable).parent / "bezoar"), "--help"]))
        bare.append(_seconds([sys.executable, "-c", "pass"]))
    figures = (
        Figure("import bezoar, without torch", 0.15, imports[1:], at_least=False, unit="s"),
        Figure(
            "bezoar --help, the whole process",
            0.3,
            helps[1:],
            at_least=False,
            unit="s",
            note=f"of which Python itself {sorted(bare)[len(bare) // 2]:.3f} s",
        ),
    )
    report(args, *figures)


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
