"""What operators do with runs and queues, on record; the admin, the API and the commands share it."""
