"""The conformance suite of the simulator: one module per area, judged by botocore's own model.

`simulator.py` beside this directory runs it. Every area has accounts of its own, so none of them disturbs another.
"""
