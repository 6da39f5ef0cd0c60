"""The rules: policy, states, gates, approvals, promotion, audit log. Knows nothing of models or Slack."""
