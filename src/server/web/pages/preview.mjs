// Moving pictures of streams in the console: one that floats beside what the pointer is on, one in an open row.
//
// The server makes no pictures: the browser plays the stream, without sound. One preview at a time is on the wire for the
// pointer, and it ends when the pointer leaves. Over WebSockets: of other connections a browser has six to a host, all
// tabs together, and six open rows would keep the console itself from its server.

import { decide, TARGET } from "./chase.mjs";
import { byId, el, setHidden, setText } from "./dom.mjs";
import * as engines from "./engines.mjs";
import { capabilities } from "./transport.mjs";
import { encodePath } from "./urls.mjs";

/** The pointer must rest for so long. */
const REST = 300;
const WIDTH = 320;
/** A picture that has ended is tried again after so long. */
const AGAIN = 5_000;

/** A picture of a stream, in a box of its own. */
export class Picture {
  constructor(stream) {
    this.video = el("video", { muted: true, playsInline: true, tabIndex: -1, disablePictureInPicture: true });
    this.words = el("p", {}, "");
    this.node = el("div", { className: "picture" }, this.video, this.words);
    this.timer = 0;
    this.engine = null;
    /** When it failed; null if it has not. */
    this.failedAt = null;
    this.#play(stream);
  }

  /** It has failed some seconds ago, and it may be worth another try. */
  isOver() {
    return this.failedAt !== null && performance.now() - this.failedAt > AGAIN;
  }

  #play(stream) {
    if (!stream.video) {
      setText(this.words, stream.audio ? "Sound only" : "No picture");
      return;
    }
    const can = capabilities({ ...stream, audio: null, hls: false }, engines.browser);
    if (!can.flv) {
      setText(this.words, stream.video.codec + ": not in this browser");
      return;
    }
    setText(this.words, "Connecting");
    const url = location.origin.replace(/^http/, "ws") + "/" + encodePath(stream.path) + ".flv?audio=0";
    const fail = () => {
      this.#end();
      this.failedAt = performance.now();
      setText(this.words, "No picture");
    };
    const onAttached = () => this.video.play().catch(() => {});
    this.engine = engines.flv(this.video, url, { isLive: true, hasAudio: false }, { onAttached, onEnd: fail, onError: fail });
    this.timer = setInterval(() => this.#chase(), 250);
  }

  #chase() {
    const { buffered } = this.video;
    const ranges = Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
    const now = { position: this.video.currentTime, ranges, rate: this.video.playbackRate, target: TARGET, isSeeking: this.video.seeking };
    const { rate, jump } = decide(now);
    if (jump !== null) this.video.currentTime = jump;
    if (rate !== this.video.playbackRate) this.video.playbackRate = rate;
    if (this.video.readyState >= 2) setText(this.words, "");
  }

  #end() {
    clearInterval(this.timer);
    this.engine?.stop();
    this.engine = null;
  }

  remove() {
    this.#end();
    this.node.remove();
  }
}

let floating = null;
let timer = 0;

/** Shows a picture beside `node` while the pointer rests on it. `current` tells the stream at that moment. */
export function onHover(node, current) {
  node.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "mouse") return;
    clearTimeout(timer);
    timer = setTimeout(() => float(node, current()), REST);
  });
  node.addEventListener("pointerleave", leave);
  node.addEventListener("click", leave);
}

function float(node, stream) {
  leave();
  if (!node.isConnected || document.hidden || !stream.video) return;
  const box = byId("preview");
  floating = new Picture(stream);
  box.replaceChildren(floating.node);
  setHidden(box, false);
  const at = node.getBoundingClientRect();
  const height = (WIDTH * 9) / 16;
  const below = at.bottom + 8 + height < innerHeight;
  box.style.left = Math.max(8, Math.min(at.left, innerWidth - WIDTH - 8)) + "px";
  box.style.top = Math.max(8, below ? at.bottom + 8 : at.top - height - 8) + "px";
}

export function leave() {
  clearTimeout(timer);
  floating?.remove();
  floating = null;
  setHidden(byId("preview"), true);
}
