"""Slack: listeners that store before they acknowledge, and a worker that answers, records and decides from there."""
