"""The same as `paretohqd run CONFIG.yaml`, as a script that accelerate can launch.

    accelerate launch --num_processes 4 examples/train_two_stage.py examples/full_protocol.yaml \\
        --set train.per_device_train_batch_size=2

Every adapter is trained by all processes together, so the batch is per_device_train_batch_size
times their number (here 8); sampling is divided among them. On CPUs, where accelerate needs MPI for
several processes, torchrun --nproc_per_node 2 does the same.
"""

import sys

from paretohqd.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
