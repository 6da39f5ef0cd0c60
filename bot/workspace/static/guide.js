// The guide that leads a visitor through a story; the server says which step is next.

import { el } from "./dom.js";
import { mrkdwn } from "./text.js";

export function drawGuide(root, guide, app) {
  root.hidden = !guide || app.state.guideClosed;
  if (!guide) return;
  root.replaceChildren(
    el("header", {}, guide.title, el("button", { class: "quiet", "aria-label": "Close the guide", onclick: () => { app.state.guideClosed = true; root.hidden = true; } }, "✕")),
    el("div", { class: "intro" }, mrkdwn(guide.intro, app.names)),
    el("ol", {}, guide.steps.map((step, index) => drawStep(step, index, guide, app))));
}

function drawStep(step, index, guide, app) {
  const active = step.state === "active";
  const title = el("h3", {}, `${index + 1}. ${step.title}`);
  const body = active ? [mrkdwn(step.body, app.names), progress(guide), el("div", { class: "row" }, buttons(step, app))] : [];
  return el("li", { class: `step ${step.state}`, "aria-current": active ? "step" : null }, title, body);
}

function progress(guide) {
  if (!guide.progress) return null;
  return el("div", {}, el("progress", { max: 1, value: guide.progress.share, "aria-label": guide.progress.label }), el("div", { class: "note" }, guide.progress.label));
}

function buttons(step, app) {
  const person = app.state.users.get(step.user);
  const there = app.state.me === step.user && (!step.channel || app.state.channel === step.channel);
  const place = step.channel && app.state.me === step.user ? `Go to #${app.names.channel(step.channel)}` : `Be ${person?.real_name}`;
  return [
    there || !person ? null : el("button", { class: "button primary", onclick: () => app.become(step.user, step.channel) }, place),
    step.suggestion && there ? el("button", { class: "button primary", onclick: () => app.suggest(step.suggestion) }, "Put it in the composer") : null,
  ];
}
