// The form that the app has opened for this person: one at a time, the newest on top.

import { attempt } from "./api.js";
import { el } from "./dom.js";
import { renderBlocks, values } from "./blocks.js";

let overlay = null;

export function showView(view, app, errors = null) {
  const kept = overlay?.dataset.view === view.id && errors ? values(overlay) : null;
  closeView();
  const opener = document.activeElement;
  const submit = view.submit && el("button", { class: "button primary", type: "submit" }, view.submit.text);
  const context = { names: app.names, errors, act: (action) => attempt("action", { user: app.state.me, view_id: view.id, action }) };
  const form = el("form", { class: "modal", role: "dialog", "aria-modal": "true", "aria-label": view.title?.text },
    el("header", {}, view.title?.text ?? "", el("button", { class: "quiet", type: "button", "aria-label": "Close", onclick: cancel }, "✕")),
    el("div", { class: "body" }, renderBlocks(view.blocks, context)),
    el("footer", {}, el("button", { class: "button", type: "button", onclick: cancel }, view.close?.text ?? "Cancel"), submit));
  overlay = el("div", { class: "overlay", "data-view": view.id }, form);
  if (kept) fill(overlay, kept);
  document.body.append(overlay);
  (form.querySelector("[aria-invalid], textarea, input, select") ?? form.querySelector("button")).focus();

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit) submit.disabled = true;
    const answer = await attempt("submit", { user: app.state.me, view_id: view.id, values: values(form) });
    if (submit) submit.disabled = false;
    if (answer?.errors) showView(view, app, answer.errors);
    else if (answer?.closed) { closeView(view.id); opener?.focus?.(); }
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") cancel();
    if (event.key === "Tab") trap(event, form);
  });

  function cancel() {
    attempt("close", { user: app.state.me, view_id: view.id });
    closeView(view.id);
    opener?.focus?.();
  }
}

export function closeView(id) {
  if (overlay && (!id || overlay.dataset.view === id)) {
    overlay.remove();
    overlay = null;
  }
}

function fill(root, state) {
  for (const node of root.querySelectorAll("[data-action]")) {
    const given = state[node.dataset.block]?.[node.dataset.action];
    if (given?.selected_users) for (const option of node.options) option.selected = given.selected_users.includes(option.value);
    else if (given) node.value = given.selected_option?.value ?? given.value ?? "";
  }
}

function trap(event, form) {
  const stops = [...form.querySelectorAll("button, input, textarea, select, a[href]")].filter((node) => !node.disabled);
  const [first, last] = [stops[0], stops.at(-1)];
  if (event.shiftKey && document.activeElement === first) { event.preventDefault(); last.focus(); }
  else if (!event.shiftKey && document.activeElement === last) { event.preventDefault(); first.focus(); }
}
