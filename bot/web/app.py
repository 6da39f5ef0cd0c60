"""The FastAPI application of `apprentice up`; the local workspace is mounted under it."""

from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from bot.assembly import Parts
from bot.serving import ServingAdapter
from bot.slack.health import Link
from bot.web.audit_watch import AuditWatch
from learning.evaluation import PAGE_FILE, REPORT_FILE
from storage.adapters import list_adapters
from storage.audit import next_sequence
from storage.errors import ApprenticeError
from storage.feedback import count_corrections
from storage.proposals import list_proposals
from storage.runs import list_runs

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 20
REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def create_web_app(parts: Parts) -> FastAPI:
    """Make the application: `/` is the status page, `/healthz` answers 200 while the database does.

    Whoever starts the engine puts its `ServingAdapter` into `state.serving`, and the servers that answer, if any, into
    `state.servers`; whoever connects to Slack puts the way in which Slack reaches the app into `state.slack`. Until
    then they are None or empty. Whoever starts the server keeps `state.audit.run()` running.
    """
    app = FastAPI(title="Apprentice", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.serving = app.state.slack = None
    app.state.servers = ()
    audit = app.state.audit = AuditWatch(parts.audit, parts.database)
    pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape())

    @app.get("/healthz")
    def health() -> JSONResponse:
        try:
            parts.database.check_connection()
        except ApprenticeError:
            return JSONResponse({"ok": False, "error": "the database does not answer"}, status_code=503)
        return JSONResponse({"ok": True})

    @app.get("/", response_class=HTMLResponse)
    def status(request: Request) -> str:
        engine: ServingAdapter | None = app.state.serving
        slack: Link | None = app.state.slack
        with parts.database.read() as session:
            content = {
                "started": engine is not None,
                "serving": engine.answering(session) if engine else None,
                "refused": engine.refused if engine else None,
                "adapters": list_adapters(session)[:SHOWN],
                "domains": parts.governance.policy.domains,
                "runs": list_runs(session)[:SHOWN],
                "waiting": list_proposals(session, "open"),
                "corrections": count_corrections(session),
                "records": next_sequence(session),
            }
        return pages.get_template("status.html").render(
            content,
            audit=audit.latest,
            slack=slack.health() if slack else None,
            servers=app.state.servers,
            local=parts.settings.slack.mode == "local",
            base=parts.settings.model.base,
            root=request.scope.get("root_path", ""),
        )

    @app.post("/audit/verify")
    def verify(request: Request) -> RedirectResponse:
        """Verify the audit log now, and show what was found."""
        audit.verify()
        return RedirectResponse(f"{request.scope.get('root_path', '')}/", status_code=303)

    @app.get("/reports/{digest}.json")
    def report_as_json(digest: str) -> Response:
        """Give the evaluation report that an approver was asked to read, for programs."""
        return Response(_read(digest, REPORT_FILE), media_type="application/json")

    @app.get("/reports/{digest}")
    def report(digest: str) -> Response:
        """Give the evaluation report that an approver was asked to read, as a page; it needs no script."""
        return HTMLResponse(_read(digest, PAGE_FILE), headers={"Content-Security-Policy": REPORT_POLICY})

    def _read(digest: str, name: str) -> bytes:
        try:
            return (parts.store.verify(digest) / name).read_bytes()
        except (ApprenticeError, OSError) as error:
            raise HTTPException(status_code=404, detail="there is no such report") from error

    return app
