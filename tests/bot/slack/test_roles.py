"""What people do in Slack, each a row in the table of roles."""

from collections.abc import Mapping

from bot.slack.jobs import KINDS
from bot.slack.wording import COMMANDS
from governance.roles import NEEDED, Action

ACTION_OF: Mapping[str, Action | None] = {
    "question": "ask",
    "vote": "give_feedback",
    "reaction": "give_feedback",
    "reason": "give_feedback",
    "correction": "give_feedback",
    "reply": "give_feedback",
    "preference": "compare",
    "withdrawal": "withdraw_feedback",
    "decision": "decide",
    "rollback_request": "roll_back",
    "glass_answer": "answer_break_glass",
    "policy_vote": "decide_on_policy",
    "policy_withdrawal": "withdraw_policy",
    "review": "review",
    "cancellation": "cancel_run",
    "opened": "open_home",
    "command": "ask",
    "data_request": "see_own_data",
    "news_choice": "choose_news",
    "settings_change": "set_channel",
    "stop": "stop_answer",
    # what we tell by ourselves, and what Slack tells of the app
    "glass_broken": None,
    "review_news": None,
    "promotion": None,
    "stage_begun": None,
    "taken_out": None,
    "news": None,
    "joined": None,
    "refusal": None,
    "uninstalled": None,
    "groups_changed": None,
}
ACTION_OF_COMMAND: Mapping[str, Action] = {
    "help": "ask",
    "status": "ask",
    "ask": "ask",
    "compare": "compare",
    "settings": "set_channel",
    "my-data": "see_own_data",
    "train": "start_training",
    "pause": "pause_training",
    "resume": "resume_training",
    "pin": "pin_self",
    "unpin": "unpin_self",
}
OF_THE_COMMAND_LINE: set[Action] = {
    "break_glass", "delegate_vote", "revoke_delegation", "erase_person", "pin_others", "unpin_others",
    "export_person", "check_log", "export_log",
}  # fmt: skip


def test_whatever_people_do_in_slack_is_in_the_table_of_roles() -> None:
    assert ACTION_OF.keys() == KINDS.keys()
    assert ACTION_OF_COMMAND.keys() == COMMANDS.keys()
    assert {*filter(None, ACTION_OF.values()), *ACTION_OF_COMMAND.values()} == NEEDED.keys() - OF_THE_COMMAND_LINE
