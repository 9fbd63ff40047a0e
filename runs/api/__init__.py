"""The HTTP interface: LangGraph Server's API, so that its stock clients work unmodified."""
