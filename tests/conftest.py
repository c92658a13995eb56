"""What has to be set before MXNet loads."""
from mxmp import runtime

runtime.configure(threads_per_context=1)
