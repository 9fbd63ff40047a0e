"""Webhooks: an outbox that is written with a run's final status, and its delivery over HTTP.

    the transaction that ends a run ──► WebhookDelivery row ──► any executing process ──► the client's server

A delivery is sent at least once. Its id is the same each time, so that the receiver can detect a
repetition.
"""
