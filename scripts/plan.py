#!/usr/bin/env python3
"""Plan which layers of a model live on which context, and predict what it would bring; no GPU is needed."""
from mxmp import command, runtime
from mxmp.tasks.request import Request


def main() -> None:
    """Parse flags, search, print, draw."""
    request = command.parse_flags(Request, __doc__)
    runtime.configure(request.threads_per_context)

    from mxmp.tasks.planning import plan  # it loads MXNet, which must be configured first

    print(plan(request))


if __name__ == "__main__":
    command.run(main)
