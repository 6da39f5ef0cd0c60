"""The page on which a member lets the app into the workspace, and the member's way to remove it again."""

import html
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from bot.workspace.model import Json
from bot.workspace.people import ActionRefusedError
from bot.workspace.state import Workspace

PAGE = """<!doctype html><html lang="en"><title>Install {app}</title>
<form method="post"><p>{app} asks for: {scopes}</p>
<select name="user" aria-label="You are">{members}</select> <button>Allow</button></form></html>"""


def make_router(workspace: Workspace) -> APIRouter:
    """Return the routes; the page is where Slack has it."""
    router = APIRouter()

    @router.get("/oauth/v2/authorize", response_class=HTMLResponse)
    def ask(client_id: str, scope: str) -> str:
        _check(workspace, client_id, scope)
        members = (member for member in workspace.members.values() if not member.is_bot)
        options = "".join(f'<option value="{each.id}">{html.escape(each.real_name)}</option>' for each in members)
        return PAGE.format(app=html.escape(workspace.app.name), scopes=html.escape(scope), members=options)

    @router.post("/oauth/v2/authorize")
    def agree(client_id: str, scope: str, user: Annotated[str, Form()], state: str = "") -> Response:
        _check(workspace, client_id, scope)
        if user not in workspace.members:
            raise ActionRefusedError("There is no such member.")
        back = urlencode({"code": workspace.new_code(user), "state": state})
        return RedirectResponse(f"{workspace.app.redirect_url}?{back}", status_code=302)

    @router.post("/client/uninstall")
    async def uninstall() -> Json:
        workspace.uninstall()
        return {"ok": True}

    return router


def _check(workspace: Workspace, client_id: str, scope: str) -> None:
    if not workspace.app.client_id or client_id != workspace.app.client_id:
        raise ActionRefusedError("There is no such app.")
    if unknown := set(scope.split(",")) - workspace.app.scopes:
        raise ActionRefusedError(f"The app's manifest does not ask for {', '.join(sorted(unknown))}.")
