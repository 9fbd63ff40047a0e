"""Generated graphs and stories of client calls, with a crash, a drain or a cancel at any point.

`specs` describes graphs and stories as plain data, and shrinks them; `building` builds the graphs;
`telling` executes a story; `oracle` plays it on plain LangGraph, `playing` on the runtime with an
accident; `judging` compares both; `trying` draws the accidents of a case. The suite plays the share
in `test_generated`; `make crash-points` is the long form.
"""
