// Draws messages: who, when, text, blocks, reactions, and the tools that appear over one.

import { attempt } from "./api.js";
import { avatar, el } from "./dom.js";
import { renderBlocks } from "./blocks.js";
import { emoji, markdown, mrkdwn, QUICK_EMOJI } from "./text.js";

const GROUP_SECONDS = 300;
const seconds = (ts) => Number.parseFloat(ts);
const clock = (ts) => new Date(seconds(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const day = (ts) => new Date(seconds(ts) * 1000).toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });

export function drawMessages(messages, app, { inThread = false } = {}) {
  const nodes = [];
  let before = null;
  for (const message of messages) {
    if (!before || day(before.ts) !== day(message.ts)) nodes.push(el("div", { class: "day" }, day(message.ts)));
    const grouped = before && before.user === message.user && seconds(message.ts) - seconds(before.ts) < GROUP_SECONDS && !before.ephemeral && day(before.ts) === day(message.ts);
    nodes.push(drawMessage(message, app, grouped, inThread));
    before = message;
  }
  return nodes;
}

function drawMessage(message, app, grouped, inThread) {
  const user = app.state.users.get(message.user);
  const head = grouped ? null : el("div", {}, el("span", { class: "who" }, user?.real_name ?? message.user),
    user?.is_bot ? el("span", { class: "app-tag" }, "APP") : null, el("time", { class: "when" }, clock(message.ts)));
  const body = el("div", {}, message.ephemeral ? el("div", { class: "note" }, "Only visible to you") : null, head,
    content(message, app), message.edited ? el("span", { class: "note" }, "(edited)") : null, reactions(message, app), inThread ? null : replies(message, app));
  const classes = ["message", grouped && "grouped", message.ephemeral && "private"].filter(Boolean).join(" ");
  return el("article", { class: classes, "data-ts": message.ts }, grouped ? el("span") : avatar(user), body, message.ephemeral ? null : tools(message, app, inThread));
}

function content(message, app) {
  const text = message.markdown ? markdown(message.text, app.names) : mrkdwn(message.text, app.names);
  const caret = message.streaming ? "text caret" : "text";
  const isPressed = (action, value) => message.pressed?.[action] === value;
  const context = { names: app.names, isPressed, act: (action) => act(message, action, app) };
  const blocks = message.blocks?.length ? renderBlocks(message.blocks, context) : null;
  return el("div", {}, taskLines(message), blocks && !message.markdown ? null : el("div", { class: caret }, text), blocks);
}

// What the app says it does for an answer, one line each; the mark is read out as a word.
const TASK_STATES = { pending: ["○", "to do"], in_progress: ["◐", "under way"], complete: ["✓", "done"], error: ["✕", "failed"] };

function taskLines(message) {
  if (!message.tasks?.length) return null;
  return el("ul", { class: "tasks", "aria-label": "What was done for this answer" }, message.tasks.map(({ title, status, output }) => {
    const [mark, word] = TASK_STATES[status];
    return el("li", { "data-status": status }, el("span", { role: "img", "aria-label": word }, mark), title, output ? el("span", { class: "note" }, output) : null);
  }));
}

async function act(message, action, app) {
  const { me } = app.state;
  const answer = await attempt("action", { user: me, channel: message.channel, ts: message.ts, action });
  if (action.type !== "feedback_buttons" || app.state.me !== me) return;
  const shown = app.state.messages.find((each) => each.ts === message.ts);
  if (answer && shown) shown.pressed = answer.pressed;
  app.redraw();
}

function reactions(message, app) {
  if (!message.reactions?.length) return null;
  return el("div", { class: "reactions" }, message.reactions.map(({ name, users }) => {
    const mine = users.includes(app.state.me);
    const title = users.map(app.names.user).join(", ");
    return el("button", { class: mine ? "mine" : "", title, "aria-pressed": String(mine), onclick: () => react(message, name, !mine, app) }, `${emoji(name)} ${users.length}`);
  }));
}

const react = (message, name, add, app) => attempt("reaction", { user: app.state.me, channel: message.channel, ts: message.ts, name, add });

function replies(message, app) {
  const count = app.state.messages.filter((each) => each.thread_ts === message.ts && each.ts !== message.ts && !each.ephemeral).length;
  if (!count) return null;
  return el("button", { class: "replies-link", onclick: () => app.openThread(message.ts) }, count === 1 ? "1 reply" : `${count} replies`);
}

function tools(message, app, inThread) {
  const quick = QUICK_EMOJI.map((name) => el("button", { "aria-label": `React with ${name}`, onclick: () => react(message, name, true, app) }, emoji(name)));
  const reply = inThread ? null : el("button", { onclick: () => app.openThread(message.thread_ts ?? message.ts) }, "Reply");
  const shortcuts = app.state.app.shortcuts.map(({ callback_id, name }) =>
    el("button", { onclick: () => attempt("shortcut", { user: app.state.me, channel: message.channel, ts: message.ts, callback_id }) }, name));
  return el("div", { class: "tools", role: "toolbar", "aria-label": "Message tools" }, quick, reply, shortcuts);
}
