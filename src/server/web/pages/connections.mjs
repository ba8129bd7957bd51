// The connections of the console: who they are, how far behind live, what waits for them; kick and capture.
//
// The server selects and orders them and sends `limit` at most, so the page stays quick with 10 000.

import * as api from "./api.mjs";
import { byId, el, setHidden, setText, sureButton } from "./dom.mjs";
import * as format from "./format.mjs";

const STEP = 100;
/** What the API allows. */
const MOST = 1000;
/** A filter is sent when typing pauses for so long. */
const TYPING = 350;
/** Behind live by more is worth a colour. */
const LATE = 2000;

class Row {
  constructor(view, id) {
    this.view = view;
    this.connection = null;
    const cell = (label, className = "number") => {
      const node = el("td", { className });
      node.dataset.label = label;
      return node;
    };
    this.address = el("span", { className: "name mono" });
    this.agent = el("span", { className: "sub two" });
    this.does = el("span", { className: "line" });
    this.stream = el("span", { className: "sub" });
    this.state = el("span", { className: "tag warn", hidden: true });
    this.captured = el("span", { className: "tag rec", hidden: true }, "● capture");
    this.behind = cell("Behind");
    this.queue = cell("Queue");
    // A rate, and all there has been.
    this.received = [el("span"), el("span", { className: "sub" })];
    this.sent = [el("span"), el("span", { className: "sub" })];
    const received = cell("Received", "number half");
    const sent = cell("Sent", "number half");
    received.append(...this.received);
    sent.append(...this.sent);
    this.drops = cell("Drops");
    this.up = cell("Up");
    this.capture = el("button", { type: "button" });
    this.capture.addEventListener("click", () => view.act(this.capture, () => api.capture(id, this.connection.capture === null)));
    this.kick = sureButton("Kick", "Really?", (button) => view.act(button, () => api.kick(id)));
    this.node = el(
      "tr",
      {},
      el("td", { className: "full" }, this.address, this.captured, this.agent),
      el("td", { className: "full" }, this.does, this.state, this.stream),
      this.behind,
      this.queue,
      received,
      sent,
      this.drops,
      this.up,
      el("td", { className: "actions full" }, this.capture, this.kick),
    );
  }

  draw(connection) {
    this.connection = connection;
    const { delay_ms, queue_bytes, dropped_tags, state, capture } = connection;
    setText(this.address, connection.address);
    setText(this.agent, connection.agent ?? "");
    setText(this.does, connection.role + (connection.protocol ? " · " + connection.protocol + (connection.tls ? " (TLS)" : "") : ""));
    setText(this.stream, connection.stream ?? "");
    setText(this.state, state);
    setHidden(this.state, state === "active");
    setHidden(this.captured, capture === null);
    setText(this.behind, format.delay(delay_ms));
    this.behind.classList.toggle("bad", delay_ms > LATE);
    setText(this.queue, format.bytes(queue_bytes));
    setText(this.received[0], format.bitrate(connection.received_bps));
    setText(this.received[1], format.bytes(connection.received_bytes));
    setText(this.sent[0], format.bitrate(connection.sent_bps));
    setText(this.sent[1], format.bytes(connection.sent_bytes));
    setText(this.drops, format.count(dropped_tags));
    this.drops.classList.toggle("bad", dropped_tags > 0);
    setText(this.up, format.duration(connection.uptime_ms));
    setText(this.capture, capture ? "Stop capture" : "Capture");
    const isEnabled = this.view.server?.enabled.capture ?? false;
    this.capture.disabled = !isEnabled && !capture;
    this.capture.title = isEnabled ? (capture ? capture.name : "") : "weir runs without --capture DIR";
    this.capture.setAttribute("aria-label", (capture ? "Stop capture of " : "Capture ") + connection.address);
  }
}

export class ConnectionsView {
  /**
   * @param {(button, action) => void} act does something that may fail
   * @param {() => void} onSelect other connections are wanted from now on
   */
  constructor(act, onSelect) {
    this.act = act;
    this.onSelect = onSelect;
    this.server = null;
    this.limit = STEP;
    this.answer = null;
    this.rows = new Map();
    this.filter = byId("connections-filter");
    this.body = byId("connections-table").tBodies[0];
    let timer = 0;
    this.filter.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.onSelect(), TYPING);
    });
    byId("connections-more").addEventListener("click", () => {
      this.limit = Math.min(MOST, this.limit + STEP);
      this.onSelect();
    });
  }

  /** For the event stream. */
  query() {
    return "limit=" + this.limit + "&q=" + encodeURIComponent(this.filter.value.trim());
  }

  note(answer) {
    this.answer = answer;
  }

  draw() {
    if (this.answer === null) return;
    const { connections, total } = this.answer;
    const here = new Set(connections.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      if (here.has(id)) continue;
      row.node.remove();
      this.rows.delete(id);
    }
    // The order is that of importance and changes; nothing moves away from under a pointer or the focus.
    const mayMove = !this.body.matches(":hover, :focus-within");
    let before = null;
    for (const connection of connections) {
      let row = this.rows.get(connection.id);
      const isNew = !row;
      if (isNew) this.rows.set(connection.id, (row = new Row(this, connection.id)));
      const next = before ? before.nextElementSibling : this.body.firstElementChild;
      if ((isNew || mayMove) && next !== row.node) this.body.insertBefore(row.node, next);
      row.draw(connection);
      before = row.node;
    }
    setHidden(byId("connections-table"), connections.length === 0);
    setHidden(byId("connections-none"), connections.length > 0);
    const more = byId("connections-more");
    setHidden(more, connections.length >= total || this.limit >= MOST);
    setText(more, "Show more: " + format.count(connections.length) + " of " + format.count(total));
  }
}
