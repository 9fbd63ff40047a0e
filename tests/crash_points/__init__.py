"""Generated graphs and stories of client calls, with a death, a drain or a cancel at any point.

`specs` says what a graph and a story are made of, as plain data; `building` makes graphs of it; `oracle` plays a story on
plain LangGraph; `playing` plays it on the runtime, with an accident; `shrinking` makes what fails small.
`python -m tests.crash_points` is the long form, `test_generated` a share of it.
"""
