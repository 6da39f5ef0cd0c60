"""From feedback to a better adapter: inference, curation, training, evaluation, scheduling. Knows nothing of Slack."""
