"""Crons: schedules that create runs. Each due cron fires once, in any one process."""
