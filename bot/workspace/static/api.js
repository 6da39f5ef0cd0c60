// Talks to the workspace's server: requests for one member, and the stream of what that member sees.

import { toast } from "./dom.js";

const base = new URL("./", document.baseURI);

export async function get(path, query) {
  return read(await fetch(new URL(`client/${path}?${new URLSearchParams(query)}`, base)));
}

export async function post(path, body) {
  const response = await fetch(new URL(`client/${path}`, base), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  return read(response);
}

// As `post`, but a refusal becomes a toast, and the answer is null.
export async function attempt(path, body) {
  try {
    return await post(path, body);
  } catch (error) {
    toast(error.message);
    return null;
  }
}

async function read(response) {
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? "The workspace did not understand that.");
  return answer;
}

// Calls `onEvent` with each event, and `onBack` after a lost connection came back. Returns a function that ends it.
export function listen(user, onEvent, onBack) {
  let socket, closed = false, pause = 500, first = true;
  const connect = () => {
    const address = new URL(`client/events?user=${encodeURIComponent(user)}`, base);
    address.protocol = address.protocol.replace("http", "ws");
    socket = new WebSocket(address);
    socket.onopen = () => { pause = 500; if (!first) onBack(); first = false; };
    socket.onmessage = (message) => onEvent(JSON.parse(message.data));
    socket.onclose = () => { if (!closed) { setTimeout(connect, pause); pause = Math.min(pause * 2, 8000); } };
  };
  connect();
  return () => { closed = true; socket.close(); };
}
