"""The same as `paretohqd run CONFIG.yaml`, as a script that accelerate can launch.

    accelerate launch --num_processes 4 examples/train_two_stage.py examples/full_protocol.yaml

Every adapter is trained by all processes together, so the batch is per_device_train_batch_size
times their number; sampling is divided among them.
"""

import sys

from paretohqd.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
