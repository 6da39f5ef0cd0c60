// The panel with which somebody lets things go wrong on purpose, and sees what is left of each.

import { attempt } from "./api.js";
import { el, toast } from "./dom.js";

const COUNTS = {
  rate_limit_next: "Calls refused, 429", fail_next: "Calls failed, 500", drop_next: "Answers cut off", hang_next: "Answers that never come", redeliver_next: "Events sent twice", refuse_ack_next: "Acks lost",
};
const LIMITS = "rate_limits";
const OFF = { ...Object.fromEntries(Object.keys(COUNTS).map((name) => [name, 0])), retry_after: 1, delay_ms: 0, [LIMITS]: false };

// Fills `root`; returns a function that shows the faults in force.
export function makeFaults(root) {
  const fields = new Map();
  const left = new Map();
  const number = (name, label, most) => {
    const field = el("input", { id: `fault-${name}`, name, type: "number", min: 0, max: most, value: 0, "data-shown": "0", "aria-describedby": COUNTS[name] ? `left-${name}` : null });
    fields.set(name, field);
    if (COUNTS[name]) left.set(name, el("output", { id: `left-${name}`, for: field.id }));
    return el("div", { class: "fault" }, el("label", { for: field.id }, label), field, left.get(name));
  };
  const limits = el("input", { id: "fault-limits", type: "checkbox" });
  const form = el("form", { "aria-label": "Faults" },
    Object.entries(COUNTS).map(([name, label]) => number(name, label, 1000)),
    number("retry_after", "Wait after 429, s", 60), number("delay_ms", "Delay, ms", 60000),
    el("div", { class: "fault" }, el("label", { for: limits.id }, "Slack's rate limits"), limits),
    el("div", { class: "row" }, el("button", { class: "button" }, "Set"), el("button", { class: "button", type: "button", onclick: () => set(OFF, "No faults any more.") }, "All off")),
    el("button", { class: "button", type: "button", onclick: () => set({ drop_sockets: true }, "The app's sockets are cut.") }, "Drop the app's sockets"));

  async function set(faults, done) {
    const answer = await attempt("faults", faults);
    if (!answer) return;
    for (const [name, field] of fields) if (name in faults) field.dataset.shown = field.value;
    show(answer.faults);
    toast(done);
  }

  // What somebody has typed and not yet set stays.
  function show(faults) {
    for (const [name, field] of fields) if (field.value === field.dataset.shown) field.value = field.dataset.shown = faults[name];
    for (const [name, output] of left) output.textContent = `${faults[name]} left`;
    limits.checked = faults[LIMITS];
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    set({ ...Object.fromEntries([...fields].map(([name, field]) => [name, Number(field.value)])), [LIMITS]: limits.checked }, "Faults are set.");
  });
  root.replaceChildren(form);
  return show;
}
