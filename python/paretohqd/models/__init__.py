"""Base models, chat templates, adapters, sampling and likelihood."""

import logging

# PEFT imports bitsandbytes wherever it is installed, and on some CPUs that warns at each start of
# kernels on the hub that it does without.
logging.getLogger("bitsandbytes.backends").setLevel(logging.ERROR)
