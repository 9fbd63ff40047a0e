"""Generated graphs and stories of client calls, with a death, a drain or a cancel at any point.

`specs` says what a graph and a story are made of, as plain data, and makes both smaller; `building` makes graphs of it;
`telling` tells a story; `oracle` plays it on plain LangGraph, `playing` on the runtime, with an accident; `judging` compares;
`trying` draws the accidents of a case. `test_generated` is the share that the suite plays, `make crash-points` the long form.
"""
