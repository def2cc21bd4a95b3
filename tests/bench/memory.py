"""The least memory at which every check of an image passes, by bisection over whole smoke tests."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent


def main() -> None:
    for app in sys.argv[1:] or ["hello", "myservice", "nginx", "redis"]:
        subprocess.run(["./invoke", "smoke", "--app", app, "--least-memory"], cwd=REPOSITORY, check=True)


if __name__ == "__main__":
    main()
