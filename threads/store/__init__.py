"""Long-term memory: what graphs and clients keep beside threads, for one user each.

    graph, API ──ops──► UserStore ──one call──► items (SQL)
                           └─ filters, vectors, embedding: no database

A `UserStore` is LangGraph's `BaseStore` over Django's tables, bound to one user: no namespace leads to what belongs to
somebody else. Values are JSON. What a filter or a ranking decides is decided by pure functions, on pages of rows.
"""
