"""A little simulator of its own: what units wait for is written down here a second time, the other way round."""
from collections import defaultdict, deque

from mxmp.schedule import Unit


def needed(schedule):
    """By unit the set of units that hand something to it."""
    stages, microbatches, chunks = (1 + max(unit[field] for units in schedule for unit in units)
                                    for field in (1, 2, 3))
    needed = defaultdict(set)
    for stage in range(stages):
        for m in range(microbatches):
            for t in range(chunks):
                forward, backward = Unit("F", stage, m, t), Unit("B", stage, m, t)
                needed[Unit("F", stage + 1, m, t)].add(forward)  # the outputs
                needed[Unit("F", stage, m, t + 1)].add(forward)  # the state
                needed[backward].add(forward)  # the activations
                needed[Unit("B", stage - 1, m, t)].add(backward)  # the inputs' gradients
                needed[Unit("B", stage, m, t - 1)].add(backward)  # the state's gradient
                for other in range(chunks):  # the loss, which sees a micro-batch's whole time
                    needed[Unit("B", stages - 1, m, other)].add(Unit("F", stages - 1, m, t))
    return needed


def replay(schedule, duration=lambda unit: 1):
    """Start and end of each unit, if a row takes its units in order and each as soon as it has what it needs."""
    waits, queues = needed(schedule), [deque(units) for units in schedule]
    spans, free = {}, [0] * len(schedule)
    while any(queues):
        ready = [(row, queue) for row, queue in enumerate(queues) if queue and waits[queue[0]] <= spans.keys()]
        assert ready, f"deadlock before {[queue[0] for queue in queues if queue]}"
        for row, unit in [(row, queue.popleft()) for row, queue in ready]:
            start = max([free[row], *(spans[other][1] for other in waits[unit])])
            free[row] = start + duration(unit)
            spans[unit] = start, free[row]
    return spans


def length(spans):
    """When the last unit ends."""
    return max(end for _, end in spans.values())
