"""This project beside its peers, in one run on one machine, and what its tables are made of.

    python -m benchmarks                       # peers: speed, start, memory, sizes, parity
    python -m benchmarks graphs A.onnx B.onnx  # sessions alone, on equal inputs
    python -m benchmarks parity                # every variant of a bundle against PyTorch

Each peer has a virtual environment of its own and runs as a process of its own, which does one
thing at a time when asked (`harness.worker`): that is how peers that cannot share an environment
alternate.
"""
