"""What has to be set before MXNet loads, and what the programs that tests start inherit."""
import signal

from mxmp import runtime

runtime.configure(threads_per_context=1)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which whoever started the tests may ignore, as nohup does
