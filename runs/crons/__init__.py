"""Runs that are created by the clock: schedules, and firing each due one once, whichever process looks first."""
