"""The state machine of runs: each module is one arrow, and each arrow one transaction.

Beside them: how an attempt ended (`outcomes`), what an end leaves on its thread (`thread_rest`), which
interrupts wait (`interrupts`), what a new run consists of (`new_run`), and several runs at once (`batches`).
"""
