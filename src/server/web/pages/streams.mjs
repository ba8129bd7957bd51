// The streams of the console: a row for each, which opens to show pictures, facts, addresses and what can be done.
//
// Made for 500 streams that all change every second: what comes is kept at once, but only rows on the screen are
// written to, and of them only what has changed. Rows are added STEP at a time.
// Bounds: STEP rows until somebody asks for more; SAMPLES values of each stream.

import * as api from "./api.mjs";
import { byId, copyLine, el, setHidden, setText, sureButton } from "./dom.mjs";
import * as format from "./format.mjs";
import { Graph } from "./graph.mjs";
import { Picture, leave, onHover } from "./preview.mjs";
import { Series } from "./series.mjs";
import { addresses, encodePath, playerList, publishing } from "./urls.mjs";

const STEP = 100;
/** Two minutes, at one a second. */
const SAMPLES = 120;
/** Rows do not change places more often, and not under the pointer. */
const ORDER_EVERY = 5_000;

const byPath = (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
const ORDERS = {
  path: byPath,
  players: (a, b) => b.players.total - a.players.total || byPath(a, b),
  bitrate: (a, b) => (b.bitrate_bps ?? -1) - (a.bitrate_bps ?? -1) || byPath(a, b),
  newest: (a, b) => (b.since_at_ms ?? 0) - (a.since_at_ms ?? 0) || byPath(a, b),
  drops: (a, b) => b.dropped_tags - a.dropped_tags || byPath(a, b),
};

const KINDS = { source: "--source", pull: "--pull", origin: "--origin", demo: "--demo" };

/** Where a stream comes from, in one line. */
function sourceOf(stream) {
  const { publisher } = stream;
  if (!publisher) return stream.state === "lost" ? "publisher gone, may come back" : "nobody publishes";
  const how = publisher.kind === "client" ? publisher.protocol?.toUpperCase() + (publisher.tls ? " (TLS)" : "") : KINDS[publisher.kind];
  return [how, publisher.address, publisher.agent].filter(Boolean).join(" · ");
}

const playersOf = (stream) => Object.entries(stream.players.by).filter(([, count]) => count > 0).map(([by, count]) => by + " " + count).join(", ");

class Row {
  constructor(view, stream) {
    this.view = view;
    this.stream = stream;
    this.isVisible = false;
    this.picture = null;
    this.detail = null;

    this.name = el("a", { className: "name", href: "/" + encodePath(stream.path) }, stream.path);
    this.tag = el("span", { className: "tag warn", hidden: true });
    this.recording = el("span", { className: "tag rec", hidden: true }, "● REC");
    this.source = el("span", { className: "sub" });
    this.video = el("span", { className: "line" });
    this.audio = el("span", { className: "sub" });
    this.graph = new Graph("Bit rate of " + stream.path + ", the last two minutes");
    this.rate = el("span");
    this.players = el("span");
    this.by = el("span", { className: "sub" });
    this.gop = el("td", { className: "number" });
    this.gop.dataset.label = "GOP";
    this.drops = el("td", { className: "number" });
    this.drops.dataset.label = "Drops";
    this.up = el("td", { className: "number" });
    this.up.dataset.label = "Up";
    this.toggle = el("button", { type: "button", onclick: () => this.open(this.detail === null) });
    this.toggle.setAttribute("aria-expanded", "false");
    this.toggle.setAttribute("aria-label", "Details of " + stream.path);
    setText(this.toggle, "Details");

    const players = el("td", { className: "number" }, this.players, this.by);
    players.dataset.label = "Players";
    const first = el("td", { className: "full" }, this.name, this.tag, this.recording, this.source);
    this.row = el(
      "tr",
      {},
      first,
      el("td", { className: "full" }, this.video, this.audio),
      el("td", { className: "full" }, el("div", { className: "rate" }, this.rate, this.graph.node)),
      players,
      this.gop,
      this.drops,
      this.up,
      el("td", { className: "actions full" }, this.toggle),
    );
    this.node = el("tbody", {}, this.row);
    this.node.row = this;
    onHover(this.name, () => this.stream);
    onHover(this.graph.node, () => this.stream);
  }

  draw() {
    const { stream } = this;
    setHidden(this.tag, stream.state === "live");
    setText(this.tag, stream.state);
    setHidden(this.recording, stream.recording === null);
    setText(this.source, sourceOf(stream));
    setText(this.video, stream.video ? format.video(stream.video) : stream.audio ? "no picture" : format.DASH);
    setText(this.audio, stream.audio ? format.audio(stream.audio) : stream.video ? "no sound" : "");
    setText(this.rate, format.bitrate(stream.bitrate_bps));
    setText(this.players, format.count(stream.players.total));
    setText(this.by, playersOf(stream));
    setText(this.gop, format.delay(stream.gop?.length_ms));
    setText(this.drops, format.count(stream.dropped_tags));
    this.drops.classList.toggle("bad", stream.dropped_tags > 0);
    setText(this.up, format.duration(stream.uptime_ms));
    this.graph.draw(this.view.series.get(stream.path));
    if (this.detail) this.drawDetail();
  }

  open(isOpen) {
    setText(this.toggle, isOpen ? "Close" : "Details");
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    this.picture?.remove();
    this.picture = null;
    this.detail?.row.remove();
    this.detail = null;
    if (!isOpen) return;
    leave();
    this.picture = new Picture(this.stream);
    const facts = new Map(["Source", "Picture", "Sound", "Keyframes", "Players", "Received", "Recording"].map((name) => [name, el("dd")]));
    const record = el("button", { type: "button" });
    record.addEventListener("click", () => this.view.act(record, () => api.record(this.stream.path, this.stream.recording === null)));
    const kick = sureButton("Kick publisher", "Really kick?", (button) => this.view.act(button, () => api.kick(this.stream.publisher.connection)));
    const connections = el("button", { type: "button", onclick: () => this.view.showConnections(this.stream.path) }, "Connections");
    const graph = new Graph("Bit rate of " + this.stream.path, 400, 60);
    graph.node.classList.add("wide");
    const list = addresses(this.stream.path, location, this.view.server?.ports, this.view.server?.enabled.hls ?? false);
    const left = el("div", {}, this.picture.node, graph.node);
    const right = el(
      "div",
      {},
      el("dl", {}, ...[...facts].flatMap(([name, value]) => [el("dt", {}, name), value])),
      el("div", { className: "buttons" }, el("a", { className: "button primary", href: this.name.href }, "Watch"), el("a", { className: "button", href: playerList(this.stream.path) }, "Open in a player"), record, connections, kick),
      el("ul", { className: "addresses" }, ...list.map(({ name, url }) => copyLine(name, url))),
    );
    const row = el("tr", { className: "open" }, el("td", { colSpan: 8, className: "full" }, el("div", { className: "inside" }, left, right)));
    this.detail = { row, facts, record, kick, graph };
    this.node.append(row);
    this.drawDetail();
  }

  drawDetail() {
    const { stream } = this;
    const { facts, record, kick, graph } = this.detail;
    const { gop, recording } = stream;
    if (this.picture.isOver() && stream.state === "live") {
      const picture = new Picture(stream);
      this.picture.node.replaceWith(picture.node);
      this.picture.remove();
      this.picture = picture;
    }
    const rates = (track) => (track?.bitrate_bps ? ", " + format.bitrate(track.bitrate_bps) : "");
    const profile = (track) => (track?.rfc6381 ? ", " + track.rfc6381 : "");
    setText(facts.get("Source"), sourceOf(stream));
    setText(facts.get("Picture"), format.video(stream.video) + profile(stream.video) + rates(stream.video));
    setText(facts.get("Sound"), format.audio(stream.audio) + profile(stream.audio) + rates(stream.audio));
    const frames = gop?.frames ? " (" + gop.frames + " pictures)" : "";
    setText(facts.get("Keyframes"), gop ? "every " + format.delay(gop.length_ms) + frames + ", " + format.bytes(gop.cached_bytes) + " cached" : format.DASH);
    setText(facts.get("Players"), format.count(stream.players.total) + (stream.players.total ? ": " + playersOf(stream) : ""));
    setText(facts.get("Received"), format.bytes(stream.received_bytes) + (stream.since_at_ms ? " since " + format.dateTime(stream.since_at_ms) : ""));
    setText(facts.get("Recording"), recording ? recording.name + ", " + format.duration(recording.duration_ms) + ", " + format.bytes(recording.bytes) : "no");
    setText(record, recording ? "Stop recording" : "Record");
    const canRecord = this.view.server?.enabled.record && stream.state !== "waiting";
    record.disabled = !(canRecord || recording);
    record.title = this.view.server?.enabled.record ? "" : "weir runs without --record DIR";
    setHidden(kick, !stream.publisher?.connection);
    graph.draw(this.view.series.get(stream.path));
  }
}

export class StreamsView {
  /**
   * @param {(button, action) => void} act does something that may fail
   * @param {(q: string) => void} showConnections
   */
  constructor(act, showConnections) {
    this.act = act;
    this.showConnections = showConnections;
    this.server = null;
    this.streams = null;
    this.series = new Map();
    this.rows = new Map();
    this.shown = STEP;
    this.ordered = 0;
    this.table = byId("streams-table");
    this.filter = byId("streams-filter");
    this.order = byId("streams-order");
    this.visible = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        target.row.isVisible = isIntersecting;
        if (isIntersecting) target.row.draw();
      }
    }, { rootMargin: "300px" });
    const again = () => {
      this.ordered = 0;
      this.draw();
    };
    this.filter.addEventListener("input", again);
    this.order.addEventListener("change", again);
    byId("streams-more").addEventListener("click", () => {
      this.shown += STEP;
      again();
    });
  }

  /** Streams of the API have come. */
  note({ streams }) {
    this.streams = streams;
    const here = new Set();
    for (const stream of streams) {
      here.add(stream.path);
      let series = this.series.get(stream.path);
      if (!series) this.series.set(stream.path, (series = new Series(SAMPLES)));
      series.push(stream.state === "live" ? stream.bitrate_bps : null);
    }
    for (const path of this.series.keys()) if (!here.has(path)) this.series.delete(path);
  }

  draw() {
    if (this.streams === null) return;
    setHidden(byId("nothing"), this.streams.length > 0);
    setHidden(this.table, this.streams.length === 0);
    if (this.streams.length === 0) this.drawHowTo();

    const words = this.filter.value.trim().toLowerCase();
    const selected = words ? this.streams.filter(({ path }) => path.toLowerCase().includes(words)) : this.streams;
    setHidden(byId("streams-none"), selected.length > 0 || this.streams.length === 0);
    const current = new Map(selected.map((stream) => [stream.path, stream]));
    for (const [path, row] of this.rows) if (!current.has(path)) this.drop(path, row);
    const isNew = selected.some(({ path }) => !this.rows.has(path)) && this.rows.size < this.shown;
    const isDue = this.order.value !== "path" && performance.now() - this.ordered > ORDER_EVERY && !this.table.matches(":hover, :focus-within");
    if (isNew || isDue || this.ordered === 0) this.place([...selected].sort(ORDERS[this.order.value]).slice(0, this.shown));

    const more = byId("streams-more");
    setHidden(more, selected.length <= this.rows.size);
    setText(more, "Show more: " + format.count(this.rows.size) + " of " + format.count(selected.length));
    for (const [path, row] of this.rows) {
      row.stream = current.get(path);
      if (row.isVisible) row.draw();
    }
  }

  /** Puts rows in order; touches only those that are not where they should be. */
  place(list) {
    this.ordered = performance.now();
    const wanted = new Set(list.map(({ path }) => path));
    for (const [path, row] of this.rows) if (!wanted.has(path)) this.drop(path, row);
    let before = this.table.tHead;
    for (const stream of list) {
      let row = this.rows.get(stream.path);
      if (!row) {
        row = new Row(this, stream);
        this.rows.set(stream.path, row);
        this.visible.observe(row.node);
      }
      if (before.nextElementSibling !== row.node) before.after(row.node);
      before = row.node;
    }
  }

  drop(path, row) {
    row.open(false);
    this.visible.unobserve(row.node);
    row.node.remove();
    this.rows.delete(path);
  }

  /** Nobody publishes: how it is done, with this host. */
  drawHowTo() {
    const box = byId("nothing");
    const { server, key, url, rtsp } = publishing(location, this.server?.ports);
    if (box.dataset.shown === url) return;
    box.dataset.shown = url;
    const lines = [
      copyLine("ffmpeg", "ffmpeg -re -i film.mp4 -c copy -f flv " + url),
      copyLine("RTSP", "ffmpeg -re -i film.mp4 -c copy -f rtsp " + rtsp),
      copyLine("Camera", "ffmpeg -f v4l2 -i /dev/video0 -c:v libx264 -preset veryfast -tune zerolatency -g 50 -f flv " + url),
      copyLine("OBS: Server", server),
      copyLine("Stream Key", key),
    ];
    box.replaceChildren(
      el("h3", {}, "Nothing is live"),
      el("p", { className: "soft" }, "Publish to this server and the stream appears here. In OBS: Settings, Stream, Service “Custom”."),
      el("ul", { className: "addresses" }, ...lines),
      el("p", { className: "soft" }, "Or start weir with --demo for a built-in clip."),
    );
  }
}
