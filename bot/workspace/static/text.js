// Renders Slack's mrkdwn and standard markdown into nodes.

import { el } from "./dom.js";

const EMOJI = {
  thumbsup: "👍", "+1": "👍", thumbsdown: "👎", "-1": "👎", white_check_mark: "✅", x: "❌", grey_question: "❔", tada: "🎉",
  eyes: "👀", heart: "❤️", pray: "🙏", rocket: "🚀", warning: "⚠️", pencil: "📝", pencil2: "✏️", bulb: "💡", wave: "👋",
  hourglass_flowing_sand: "⏳", seedling: "🌱", arrow_right: "➡️", lock: "🔒", mag: "🔍", smile: "😄", thinking_face: "🤔",
};

export const emoji = (name) => EMOJI[name] ?? `:${name}:`;
export const QUICK_EMOJI = ["+1", "-1", "eyes", "heart", "tada"];

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

const link = (address, label) =>
  /^(https?:|mailto:)/i.test(address) ? el("a", { href: address, target: "_blank", rel: "noreferrer" }, label) : label;

// Slack's date tokens, in the reader's time zone.
function moment(seconds, format, timeZone) {
  const shown = (options) => new Date(seconds * 1000).toLocaleString("en", { timeZone, ...options });
  return format
    .replace(/\{date[a-z_]*\}/g, () => shown({ dateStyle: "medium" }))
    .replace(/\{time[a-z_]*\}/g, () => shown({ timeStyle: "short" }));
}

// Each rule: a pattern, and what its match becomes. The first rule that matches earliest wins.
const SHARED = [
  [/`([^`\n]+)`/, (m) => el("code", {}, unescape(m[1]))],
  [/:([a-z0-9_+-]+):/, (m) => EMOJI[m[1]] ?? m[0]],
  [/<@([A-Z0-9]+)(?:\|[^>]*)?>/, (m, names) => el("span", { class: "mention" }, `@${names.user(m[1])}`)],
  [/<#([A-Z0-9]+)(?:\|([^>]*))?>/, (m, names) => el("span", { class: "mention" }, `#${m[2] || names.channel(m[1])}`)],
  [/<!date\^(\d+)\^([^|>^]+)(?:\^[^|>]*)?\|([^>]*)>/, (m, names) => el("time", { datetime: new Date(m[1] * 1000).toISOString(), title: unescape(m[3]) }, moment(Number(m[1]), m[2], names.zone?.()))],
  [/<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>/, (m) => link(m[1], unescape(m[2] || m[1]))],
];
const MRKDWN = [
  ...SHARED,
  [/(?<![\w*])\*([^*\n]+)\*(?![\w*])/, (m, names) => el("strong", {}, inline(m[1], MRKDWN, names))],
  [/(?<!\w)_([^_\n]+)_(?!\w)/, (m, names) => el("em", {}, inline(m[1], MRKDWN, names))],
  [/(?<!\w)~([^~\n]+)~(?!\w)/, (m, names) => el("s", {}, inline(m[1], MRKDWN, names))],
];
const MARKDOWN = [
  ...SHARED,
  [/\[([^\]\n]+)\]\(([^)\s]+)\)/, (m) => link(m[2], m[1])],
  [/\*\*([^*\n]+)\*\*/, (m, names) => el("strong", {}, inline(m[1], MARKDOWN, names))],
  [/(?<!\w)[*_]([^*_\n]+)[*_](?!\w)/, (m, names) => el("em", {}, inline(m[1], MARKDOWN, names))],
  [/~~([^~\n]+)~~/, (m, names) => el("s", {}, inline(m[1], MARKDOWN, names))],
];

function inline(text, rules, names) {
  const nodes = [];
  while (text) {
    let best = null;
    for (const [pattern, make] of rules) {
      const match = pattern.exec(text);
      if (match && (!best || match.index < best.match.index)) best = { match, make };
    }
    if (!best) break;
    nodes.push(unescape(text.slice(0, best.match.index)), best.make(best.match, names));
    text = text.slice(best.match.index + best.match[0].length);
  }
  return [...nodes, unescape(text)];
}

function lines(text, rules, names) {
  const nodes = [];
  let list = null;
  let quote = null;
  for (const line of text.split("\n")) {
    const item = /^\s*([-*•]|\d+[.)])\s+(.*)/.exec(line);
    const quoted = /^(?:&gt;|>)\s?(.*)/.exec(line);
    const heading = rules === MARKDOWN && /^(#{1,4})\s+(.*)/.exec(line);
    if (item) {
      if (!list) nodes.push((list = el(/\d/.test(item[1]) ? "ol" : "ul")));
      list.append(el("li", {}, inline(item[2], rules, names)));
    } else if (quoted) {
      if (!quote) nodes.push((quote = el("blockquote")));
      quote.append(el("div", {}, inline(quoted[1], rules, names)));
    } else if (heading) nodes.push(el("p", {}, el("strong", {}, inline(heading[2], rules, names))));
    else nodes.push(line ? el("p", {}, inline(line, rules, names)) : "");
    if (!item) list = null;
    if (!quoted) quote = null;
  }
  return nodes;
}

function render(text, rules, names) {
  return text.split(/```/).flatMap((part, index) =>
    index % 2 ? el("pre", {}, el("code", {}, unescape(part.replace(/^\w*\n/, "")))) : lines(part.trim(), rules, names));
}

export const mrkdwn = (text, names) => render(text, MRKDWN, names);
export const markdown = (text, names) => render(text, MARKDOWN, names);
export const object = (value, names) => (value?.type === "mrkdwn" ? mrkdwn(value.text, names) : [value?.text ?? ""]);
