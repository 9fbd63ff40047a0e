"""Long-term memory: data of graphs and clients beyond threads, separate for each user.

    graph, API ──ops──► UserStore ──one call──► items (SQL)
                           └─ filters, vectors, embedding: no database

A `UserStore` is LangGraph's `BaseStore` over Django's tables, bound to one user: no namespace leads
to another user's items. Values are JSON. Pure functions filter and rank, on pages of rows.
"""
