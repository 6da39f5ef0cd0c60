// The page: keeps what one member sees, and draws it again when the server tells of a change.

import { attempt, get, listen } from "./api.js";
import { avatar, el, toast } from "./dom.js";
import { makeComposer, sendAs } from "./composer.js";
import { renderBlocks } from "./blocks.js";
import { drawMessages } from "./messages.js";
import { makeFaults } from "./faults.js";
import { closeView, showView } from "./modal.js";
import { drawGuide } from "./guide.js";

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

const state = {
  me: query.get("user"), channel: query.get("channel"), users: new Map(), groups: new Map(), channels: [], messages: [], thread: null, statuses: new Map(), timers: new Map(), stoppable: new Set(),
  prompts: null, unread: new Map(), tab: "messages", home: null, guide: null, guideClosed: false, app: { shortcuts: [], commands: [] }, team: null,
};
let stopListening = () => {};
let composer = null;

const names = {
  user: (id) => state.users.get(id)?.real_name ?? id,
  people: () => [...state.users.values()].filter((user) => !user.is_bot),
  zone: () => state.users.get(state.me)?.tz,
  channel: (id) => state.channels.find((channel) => channel.id === id)?.name ?? id,
  group: (id) => state.groups.get(id) ?? id,
};
const app = { state, names, openThread, become, suggest, redraw: () => drawConversation() };
const showFaults = makeFaults($("faults"));

async function become(user, channel) {
  closeView();
  stopListening();
  const boot = await get("boot", { user });
  Object.assign(state, { me: user, channels: boot.channels, app: boot.app, team: boot.team, guide: boot.guide, thread: null, prompts: null });
  state.groups = new Map(boot.user_groups.map((group) => [group.id, group.handle]));
  state.users = new Map(boot.users.map((member) => [member.id, member]));
  stopListening = listen(user, onEvent, () => openChannel(state.channel));
  drawMembers();
  showFaults(boot.faults);
  const known = state.channels.find((each) => each.id === channel) ?? state.channels[0];
  await openChannel(known.id);
}

async function openChannel(id) {
  const channel = state.channels.find((each) => each.id === id);
  if (!channel) return;
  const moved = state.channel !== id;
  state.channel = id;
  state.unread.delete(`${state.me} ${id}`);
  if (moved) Object.assign(state, { thread: null, prompts: null, tab: "messages" });
  history.replaceState(null, "", `?${new URLSearchParams({ user: state.me, channel: id })}`);
  const { messages, stoppable } = await get("history", { user: state.me, channel: id });
  Object.assign(state, { messages, stoppable: new Set(stoppable) });
  document.body.classList.remove("show-menu");
  if (isApp(channel)) {
    state.home = (await get("home", { user: state.me })).view;
    if (moved) attempt("opened", { user: state.me, channel: id, tab: "messages" });
  }
  drawAll();
}

const isDirect = (channel) => channel.is_im || channel.is_mpim;
const isApp = (channel) => channel?.is_im && channel.with === state.app.user;
const current = () => state.channels.find((channel) => channel.id === state.channel);

function onEvent(event) {
  const { message, channel } = event;
  switch (event.type) {
    case "message":
      if (message.channel !== state.channel) return countUnread(message);
      state.messages.push(message);
      return drawConversation();
    case "message_changed":
      state.messages = state.messages.map((each) => (each.ts === message.ts && each.channel === message.channel ? { ...message, pressed: each.pressed } : each));
      return drawConversation();
    case "message_deleted":
      state.messages = state.messages.filter((each) => each.ts !== event.ts);
      return drawConversation();
    case "reactions":
      state.messages = state.messages.map((each) => (each.ts === event.ts ? { ...each, reactions: event.reactions } : each));
      return drawConversation();
    case "status":
      if (channel === state.channel) keepStatus(event);
      return drawConversation();
    case "session":
      if (channel === state.channel) state.stoppable[event.stoppable ? "add" : "delete"](event.thread_ts);
      return drawConversation();
    case "prompts":
      if (channel === state.channel) { state.prompts = event; drawPrompts(); }
      return undefined;
    case "view_opened": case "view_updated": return showView(event.view, app);
    case "view_closed": return closeView(event.view_id);
    case "home": state.home = event.view; return drawHome();
    case "channel": return refreshChannels();
    case "guide": state.guide = event.guide; return drawGuide($("guide"), state.guide, app);
    case "faults": return showFaults(event.faults);
    default: return undefined;
  }
}

// A status ends by itself after a while, should the app forget it.
function keepStatus({ thread_ts, status, seconds }) {
  clearTimeout(state.timers.get(thread_ts));
  state.statuses.set(thread_ts, status);
  if (status) state.timers.set(thread_ts, setTimeout(() => { state.statuses.delete(thread_ts); drawConversation(); }, seconds * 1000));
}

async function refreshChannels() {
  state.channels = (await get("boot", { user: state.me })).channels;
  drawSidebar();
}

function countUnread(message) {
  const key = `${state.me} ${message.channel}`;
  state.unread.set(key, (state.unread.get(key) ?? 0) + 1);
  drawSidebar();
}

function drawAll() {
  drawSidebar();
  drawHead();
  drawComposer();
  drawPrompts();
  drawHome();
  drawConversation(true);
  drawGuide($("guide"), state.guide, app);
}

function drawMembers() {
  $("team").textContent = state.team.name;
  $("member").replaceChildren(...names.people().map((user) => el("option", { value: user.id }, user.real_name)));
  $("member").value = state.me;
  $("role").textContent = state.users.get(state.me)?.title ?? "";
}

function drawSidebar() {
  const item = (channel) => {
    const unread = state.unread.get(`${state.me} ${channel.id}`);
    const icon = channel.is_im ? avatar(state.users.get(channel.with), true) : el("span", { "aria-hidden": "true" }, channel.is_mpim ? String(channel.members.length - 1) : channel.is_private ? "🔒" : "#");
    return el("li", {}, el("button", { class: unread ? "unread" : "", "aria-current": String(channel.id === state.channel), onclick: () => openChannel(channel.id) },
      icon, channel.name, unread ? el("span", { class: "badge" }, String(unread)) : null));
  };
  $("channels").replaceChildren(...state.channels.filter((channel) => !isDirect(channel)).map(item));
  const direct = state.channels.filter((channel) => channel.is_im);
  const others = [...state.users.values()].filter((user) => user.id !== state.me && !direct.some((channel) => channel.with === user.id));
  const start = (user) => el("li", {}, el("button", { onclick: () => startDm(user.id) }, avatar(user, true), user.real_name));
  const groups = state.channels.filter((channel) => channel.is_mpim);
  $("dms").replaceChildren(...direct.map(item), ...groups.map(item), ...others.map(start));
}

async function startDm(other) {
  const answer = await attempt("dm", { user: state.me, with: other });
  if (!answer) return;
  await refreshChannels();
  openChannel(answer.channel.id);
}

function drawHead() {
  const channel = current();
  $("title").textContent = isDirect(channel) ? channel.name : `${channel.is_private ? "🔒" : "#"} ${channel.name}`;
  $("tabs").hidden = !isApp(channel);
  const tab = (name, label) => el("button", { class: "quiet", role: "tab", "aria-selected": String(state.tab === name), onclick: () => openTab(name) }, label);
  $("tabs").replaceChildren(tab("home", "Home"), tab("messages", "Messages"));
}

function openTab(name) {
  state.tab = name;
  if (name === "home") attempt("opened", { user: state.me, channel: state.channel, tab: "home" });
  drawAll();
}

function candidates() {
  const people = [...state.users.values()].map((user) => ({ label: `@${user.real_name}`, token: `<@${user.id}>`, hint: user.title }));
  return [...people, ...state.app.commands.map((each) => ({ label: each.command, hint: each.description }))];
}

function drawComposer() {
  const channel = current();
  const label = isDirect(channel) ? `Message ${channel.name}` : `Message #${channel.name}`;
  composer = makeComposer({ label, candidates, send: sendAs(state.me, state.channel) });
  $("composer").replaceChildren(composer);
  $("composer").hidden = state.tab === "home" && isApp(channel);
}

function suggest(text) {
  composer.fill(text.replace(/<@(\w+)>/g, (_, id) => `@${names.user(id)}`));
}

function drawPrompts() {
  const chips = state.prompts?.prompts ?? [];
  $("prompts").replaceChildren(...chips.map((prompt) => el("button", { class: "button", onclick: () => suggest(prompt.message) }, prompt.title)));
}

function drawHome() {
  const shown = isApp(current()) && state.tab === "home";
  $("home").hidden = !shown;
  $("messages").hidden = shown;
  if (!shown) return;
  const act = (action) => attempt("action", { user: state.me, view_id: state.home.id, action });
  $("home").replaceChildren(...(state.home ? renderBlocks(state.home.blocks, { names, act }) : [el("div", { class: "empty" }, "Nothing here yet.")]));
}

function drawConversation(jump = false) {
  const root = $("messages");
  const top = state.messages.filter((message) => !message.thread_ts || message.thread_ts === message.ts || unseen(message));
  keepingPlace(root, jump, () => {
    root.replaceChildren(...(top.length ? drawMessages(top, app) : [el("div", { class: "empty" }, "No messages yet. Write the first one.")]), ...statusLine(null));
  });
  drawThread(jump);
}

// What only this member sees is in its thread; while that is closed, it is shown among the channel's messages.
const unseen = (message) => message.ephemeral && message.thread_ts !== state.thread;

function openThread(ts) {
  state.thread = ts;
  drawConversation();
  drawThread(true);
}

function drawThread(jump) {
  const root = $("thread");
  root.hidden = !state.thread;
  if (!state.thread) return;
  const messages = state.messages.filter((message) => message.ts === state.thread || message.thread_ts === state.thread);
  let list = root.querySelector(".replies");
  if (root.dataset.ts !== state.thread) {
    root.dataset.ts = state.thread;
    list = el("div", { class: "replies", role: "log", "aria-live": "polite" });
    root.replaceChildren(el("header", {}, "Thread", el("button", { class: "quiet", "aria-label": "Close the thread", onclick: () => { state.thread = null; drawConversation(); } }, "✕")),
      list, makeComposer({ label: "Reply…", candidates, send: sendAs(state.me, state.channel, state.thread) }));
  }
  keepingPlace(list, jump, () => list.replaceChildren(...drawMessages(messages, app, { inThread: true }), ...statusLine(state.thread)));
}

function statusLine(thread) {
  const shown = [...state.statuses].filter(([ts, status]) => status && (!thread || ts === thread));
  const line = shown.length ? [el("div", { class: "status", role: "status" }, `${state.app.name} ${shown[0][1]}`)] : [];
  const stops = [...state.stoppable].filter((ts) => !thread || ts === thread);
  return [...line, ...stops.map((ts) => el("div", { class: "status" }, el("button", { class: "button", "aria-label": "Stop the answer", onclick: () => attempt("stop", { user: state.me, channel: state.channel, thread_ts: ts }) }, "■ Stop")))];
}

// Draws, and stays at the end when the end was in view; else where the reader was. What had the focus has it again.
function keepingPlace(root, jump, draw) {
  const atEnd = jump || root.scrollHeight - root.scrollTop - root.clientHeight < 80;
  const place = root.scrollTop;
  const article = root.contains(document.activeElement) && document.activeElement.closest("article");
  const focused = article ? stops(article).indexOf(document.activeElement) : -1;
  draw();
  root.scrollTop = atEnd ? root.scrollHeight : place;
  if (focused >= 0) stops(root.querySelector(`[data-ts="${article.dataset.ts}"]`))[focused]?.focus({ preventScroll: true });
}

const stops = (node) => [...(node?.querySelectorAll("button, select, a[href]") ?? [])];

$("member").addEventListener("change", (event) => become(event.target.value, state.channel));
$("menu").addEventListener("click", () => document.body.classList.toggle("show-menu"));
$("faults-button").addEventListener("click", () => {
  $("faults").hidden = !$("faults").hidden;
  $("faults-button").setAttribute("aria-expanded", String(!$("faults").hidden));
});

async function start() {
  const first = state.me ?? (await get("members", {})).members[0];
  await become(first, state.channel).catch(async () => become((await get("members", {})).members[0], null));
}

start().catch((error) => toast(error.message));
