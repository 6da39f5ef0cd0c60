"""The facts: tables, sessions, migrations, settings, and the artifact store. Knows nothing of rules, models or Slack."""
