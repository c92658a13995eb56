"""How the scripts end: a user's mistake and Ctrl-C get one line, not a traceback."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable


def run(main: Callable[[], None], interrupted: str = "interrupted") -> None:
    """Run a script's main function.

    Parameters
    ----------
    main : callable
        Raises ValueError, RuntimeError or OSError with a message for the user.
    interrupted : str
        What Ctrl-C prints.

    Raises
    ------
    SystemExit
        With the one line, which goes to standard error with exit status 1.
    """
    try:
        main()
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
    except KeyboardInterrupt:
        sys.exit(interrupted)
