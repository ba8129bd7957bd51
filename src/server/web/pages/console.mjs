// The console: hears the server's events, hands them to the views, asks for the token, says when the server is gone.
//
// What comes is kept at once and drawn with the next picture of the screen, so a hidden tab draws nothing and a slow
// machine skips pictures instead of falling behind.

import * as api from "./api.mjs";
import { ConnectionsView } from "./connections.mjs";
import { byId, setHidden, setText } from "./dom.mjs";
import { FilesView } from "./files.mjs";
import * as format from "./format.mjs";
import { leave } from "./preview.mjs";
import { StreamsView } from "./streams.mjs";
import { Tiles } from "./tiles.mjs";

/** Before the server is asked again after it has gone: 1 s at first, 5 s in the end. */
const RETRY = [1_000, 1_000, 2_000, 5_000];
const SECTIONS = ["streams", "connections", "files"];

const tiles = new Tiles();
const streams = new StreamsView(act, showConnections);
const connections = new ConnectionsView(act, listenAnew);
const files = new FilesView(complain);

let server = null;
let section = "streams";
let current = new AbortController();
let isDrawing = false;
/** Ends the wait for a token. */
let tokenCame = null;

function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    if (server) {
      tiles.draw(server);
      setText(byId("connections-count"), format.count(server.connections.open));
      for (const view of [streams, connections, files]) view.server = server;
    }
    if (streams.streams) setText(byId("streams-count"), format.count(streams.streams.length));
    if (section === "streams") streams.draw();
    if (section === "connections") connections.draw();
  });
}

function onEvent(type, data) {
  setLink("up", "up to date");
  setHidden(byId("trouble"), true);
  if (type === "server") {
    // Another run of the server: graphs must not join the two.
    if (server && server.instance !== data.instance) {
      tiles.gap();
      connections.rows.forEach((row) => row.node.remove());
      connections.rows.clear();
    }
    server = data;
    tiles.note(data);
  }
  if (type === "streams") streams.note(data);
  if (type === "connections") connections.note(data);
  if (type === "changed" && section === "files") files.load(data.what);
  draw();
}

/** Hears events for ever, whatever happens to the server. */
async function listen() {
  let failures = 0;
  for (;;) {
    current = new AbortController();
    const { signal } = current;
    const wanted = section === "connections" ? "events=server,streams,connections,changed&" + connections.query() : "events=server,streams,changed";
    let heard = false;
    try {
      await api.events(wanted, signal, (type, data) => {
        heard = true;
        failures = 0;
        if (!signal.aborted) onEvent(type, data);
      });
    } catch (error) {
      if (signal.aborted) continue;
      if (error.status === 401 || error.status === 403) {
        setLink("down", "not allowed");
        await refused(error);
        continue;
      }
      if (error.status > 0) trouble(error.message);
    }
    if (signal.aborted) continue;
    if (heard) tiles.gap();
    setLink("down", "no connection, trying again");
    await new Promise((resolve) => setTimeout(resolve, RETRY[Math.min(failures, RETRY.length - 1)]));
    failures += 1;
  }
}

function listenAnew() {
  current.abort();
}

function setLink(state, text) {
  byId("link").dataset.state = state;
  setText(byId("link"), text);
}

function trouble(text, canEnter = false) {
  setText(byId("trouble-text"), text);
  setHidden(byId("enter-token"), !canEnter);
  setHidden(byId("trouble"), false);
}

/** The API said 401 or 403: waits until a token has been entered. */
async function refused(error) {
  const needsToken = error.status === 401;
  trouble(error.message, true);
  const came = new Promise((resolve) => (tokenCame = resolve));
  if (needsToken) askForToken();
  await came;
  tokenCame = null;
  setHidden(byId("trouble"), true);
}

function askForToken() {
  const dialog = byId("token-dialog");
  byId("token").value = "";
  if (!dialog.open) dialog.showModal();
}

let toastTimer = 0;
function toast(text) {
  clearTimeout(toastTimer);
  setText(byId("toast"), text);
  setHidden(byId("toast"), false);
  toastTimer = setTimeout(() => setHidden(byId("toast"), true), 5000);
}

function complain(error) {
  if (error.status === 401) askForToken();
  else toast(error.message);
}

/** What a button does: it cannot be pressed meanwhile; what goes wrong is said. */
async function act(button, action) {
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

function showConnections(q) {
  byId("connections-filter").value = q;
  if (section === "connections") listenAnew();
  else location.hash = "#connections";
}

/** The section that the address names. */
function go() {
  const wanted = location.hash.slice(1);
  const before = section;
  section = SECTIONS.includes(wanted) ? wanted : "streams";
  for (const name of SECTIONS) {
    setHidden(byId("view-" + name), name !== section);
    if (name === section) byId("to-" + name).setAttribute("aria-current", "page");
    else byId("to-" + name).removeAttribute("aria-current");
  }
  if (section !== before) scrollTo(0, 0);
  leave();
  if (section === "files") files.load();
  if ((section === "connections") !== (before === "connections")) listenAnew();
  draw();
}

function setUp() {
  document.title = "weir – " + location.hostname;
  byId("token-form").addEventListener("submit", () => {
    api.setToken(byId("token").value);
    tokenCame?.();
    if (section === "files") files.load();
  });
  byId("token-cancel").addEventListener("click", () => byId("token-dialog").close());
  byId("enter-token").addEventListener("click", askForToken);
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : draw()));
  window.addEventListener("hashchange", go);
  window.addEventListener("pagehide", listenAnew);
}

setUp();
go();
listen();
