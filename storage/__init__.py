"""The facts: tables, sessions, migrations, settings and the artifact store. Knows no rules, models or Slack."""
