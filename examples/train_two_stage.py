"""The same as `paretohqd run CONFIG.yaml`, as a script that accelerate can launch.

    accelerate launch --num_processes 4 examples/train_two_stage.py examples/full_protocol.yaml

Every adapter is trained by one process, as a single process would train it; sampling and scoring
are divided by rows. The result is that of one process, byte for byte on CPUs. There accelerate
needs MPI for several processes; torchrun --nproc_per_node 2 does the same without.
"""

import sys

from paretohqd.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
