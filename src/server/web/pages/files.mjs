// Recordings and files of the console: asked for when they are looked at, and again when the server says they changed.

import * as api from "./api.mjs";
import { byId, el, setHidden, setText } from "./dom.mjs";
import * as format from "./format.mjs";

const STEP = 100;
const MOST = 1000;

const STATES = { recording: "being written", unfinished: "not finished yet" };

function labelled(label, text, className = "number") {
  const node = el("td", { className }, text);
  node.dataset.label = label;
  return node;
}

function links(entry) {
  return el(
    "td",
    { className: "actions full" },
    el("a", { className: "button", href: entry.watch_url, "aria-label": "Watch " + entry.name }, "Watch"),
    " ",
    el("a", { className: "button", href: entry.url + ".m3u", "aria-label": "Open " + entry.name + " in a player" }, "Player"),
    " ",
    el("a", { className: "button", href: entry.url, download: "", "aria-label": "Download " + entry.name }, "Download"),
  );
}

function recording(entry) {
  const state = STATES[entry.state];
  return el(
    "tr",
    {},
    el("td", { className: "full" }, el("a", { className: "name", href: entry.watch_url }, entry.name), state ? el("span", { className: "tag rec" }, state) : null, el("span", { className: "sub" }, entry.stream ?? "")),
    labelled("Begun", format.dateTime(entry.started_at_ms), "half"),
    labelled("Length", format.duration(entry.duration_ms)),
    labelled("Size", format.bytes(entry.bytes)),
    links(entry),
  );
}

function file(entry) {
  return el(
    "tr",
    {},
    el("td", { className: "full" }, el("a", { className: "name", href: entry.watch_url }, entry.name)),
    labelled("Changed", format.dateTime(entry.modified_at_ms), "half"),
    labelled("Size", format.bytes(entry.bytes), "number half"),
    links(entry),
  );
}

const KINDS = {
  recordings: { row: recording, columns: ["Recording", "Begun", "Length", "Size"], none: "There are none.", off: "weir runs without --record DIR: nothing is recorded.", flag: "record" },
  files: { row: file, columns: ["File", "Changed", "Size"], none: "There are none.", off: "weir runs without --media DIR: there are no files to play.", flag: "files" },
};

export class FilesView {
  /** @param {(error: Error) => void} onError */
  constructor(onError) {
    this.onError = onError;
    this.server = null;
    this.limits = { recordings: STEP, files: STEP };
    for (const what of Object.keys(KINDS)) {
      byId(what + "-more").addEventListener("click", () => {
        this.limits[what] = Math.min(MOST, this.limits[what] + STEP);
        this.load([what]);
      });
    }
  }

  /** Asks for lists and shows them. */
  async load(which = Object.keys(KINDS)) {
    for (const what of which) {
      try {
        this.show(what, await api.list(what, this.limits[what]));
      } catch (error) {
        this.onError(error);
      }
    }
  }

  show(what, answer) {
    const { row, columns, none, off, flag } = KINDS[what];
    const entries = answer[what];
    const head = el("tr", {}, ...columns.map((name, index) => el("th", { scope: "col", className: index > 1 ? "number" : "" }, name)), el("th", { scope: "col" }, el("span", { className: "away" }, "Actions")));
    const empty = () => {
      const isOff = this.server !== null && !this.server.enabled[flag];
      return el("tr", {}, el("td", { colSpan: columns.length + 1, className: "soft full" }, isOff ? off : none));
    };
    const body = entries.length > 0 ? entries.map(row) : [empty()];
    byId(what + "-table").replaceChildren(el("thead", {}, head), el("tbody", {}, ...body));
    const more = byId(what + "-more");
    setHidden(more, entries.length >= answer.total || this.limits[what] >= MOST);
    setText(more, "Show more: " + format.count(entries.length) + " of " + format.count(answer.total));
  }
}
