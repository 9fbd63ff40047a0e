"""Telling a run's client of its end by HTTP: an outbox that is written with the run's final status, and its delivery.

    the transaction that ends a run ──► WebhookDelivery row ──► any executing process ──► the client's server

A delivery is sent at least once. Its id stays the same each time, so that the receiver can tell a repetition.
"""
