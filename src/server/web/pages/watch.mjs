// The watch page: finds out what is there, plays it by the best way, stays close to live, begins again by itself.
//
// A round: ask /PATH.json -> not live: say so, ask again -> live: choose a way (transport.mjs), play (engines.mjs) until
// it ends or fails -> the next round, after a pause if it failed. One round at a time: each has a number, and what
// belongs to an older one is ignored. Files skip the question.

import { MAX_TARGET, TARGET, afterCalm, afterStall, decide } from "./chase.mjs";
import { byId, copyLine, el, setHidden, setText } from "./dom.mjs";
import * as engines from "./engines.mjs";
import * as format from "./format.mjs";
import { draw } from "./qr.mjs";
import * as transport from "./transport.mjs";
import { addresses, encodePath, isOnlyHere, playerList, target as targetOf, withQuery } from "./urls.mjs";

/** Without a first picture for so long, a way has failed. Joining a stream without keyframes takes some seconds. */
const START_PATIENCE = 12_000;
/** No new picture for so long: said to the viewer; then begun again. The server waits 10 s for lost publishers. */
const STILL_SAID = 3_000;
const STILL_PATIENCE = 20_000;
/** A pause longer than this ends the transfer; playing on begins at live. */
const PAUSE_PATIENCE = 30_000;
/** Between two questions for a stream that is not there: 1 s, after a minute 3 s. */
const ASK_AGAIN = [1_000, 3_000];
const ASK_OFTEN_FOR = 60_000;
/** Between two looks at the position: often enough for a tenth of a second. */
const LOOK = 200;
/** Between two jumps to live of HLS. */
const JUMP_PAUSE = 5_000;
/** After the first picture: until then everything that the server holds for late joiners has come. */
const START = 1_000;

const wanted = targetOf(location);
const video = byId("video");
const page = {
  headline: byId("headline"), details: byId("details"), message: byId("message"), turning: byId("turning"), again: byId("again"),
  badge: byId("badge"), sound: byId("sound"), toLive: byId("to-live"), choice: byId("choice"),
};

let choice = transport.choiceOf(wanted.via);
let round = 0;
let engine = null;
let timer = 0;
let failures = 0;
/** Of the last answer of /PATH.json. */
let stream = null;
let waitingSince = null;
/** What plays: "flv", "ws", "hls" or "file". */
let way = null;
let startedAt = 0;
let hasPicture = false;
let pictureAt = 0;
let rate = 1;
let aim = TARGET;
let calmSince = 0;
/** Milliseconds behind the end of what has come. */
let behind = null;
let lastPosition = -1;
let lastMove = 0;
let pausedAt = 0;
let jumpedAt = -JUMP_PAUSE;
/** The transfer has been ended because of a long pause. */
let isParked = false;

function say(headline, details = "", { turning = false, again = false } = {}) {
  setText(page.headline, headline);
  setText(page.details, details);
  setHidden(page.turning, !turning);
  setHidden(page.again, !again);
  setHidden(page.message, headline === "");
  // Buttons for a picture that is not there would only shine through.
  const controls = headline === "" || hasPicture;
  if (video.controls !== controls) video.controls = controls;
}

/** "waiting", "starting", "playing", "file", "failed": for the badge, and for whoever watches the page from outside. */
function show(state) {
  document.body.dataset.state = state;
  document.body.dataset.via = way ?? "";
  if (state !== "playing") document.body.dataset.delay = "";
  const text = { playing: "LIVE", waiting: "OFFLINE" }[state] ?? "";
  page.badge.dataset.state = state;
  setText(page.badge, text);
  setHidden(page.badge, text === "");
}

function stop() {
  setHidden(page.toLive, true);
  round += 1;
  clearTimeout(timer);
  engine?.stop();
  engine = null;
  isParked = false;
}

function later(ms, what) {
  const mine = round;
  clearTimeout(timer);
  timer = setTimeout(() => mine === round && what(), ms);
}

/** A new round, now. */
async function begin() {
  stop();
  if (wanted.isFile) {
    playFile();
    return;
  }
  const mine = round;
  let answer;
  try {
    const address = withQuery("/" + encodePath(wanted.path) + ".json", wanted.token);
    const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    answer = { status: response.status, body: await response.json().catch(() => null) };
  } catch {
    answer = null;
  }
  if (mine !== round) return;
  if (answer === null || answer.status >= 500) {
    failures += 1;
    say("No connection to the server", "Trying again.", { turning: true });
    show("waiting");
    later(transport.wait(failures, Math.random()), begin);
  } else if (answer.status >= 400 || !answer.body) {
    say("This stream cannot be watched", answer.body?.error?.reason ?? "The server refuses it (" + answer.status + ").", { again: true });
    show("failed");
  } else {
    stream = answer.body;
    showStream();
    if (stream.live) play();
    else wait();
  }
}

/** Nobody publishes: asks again until somebody does. */
function wait() {
  waitingSince ??= Date.now();
  failures = 0;
  way = null;
  say("Nobody is publishing " + wanted.path + " yet", "The picture starts by itself as soon as somebody does.", { turning: true });
  show("waiting");
  later(Date.now() - waitingSince < ASK_OFTEN_FOR ? ASK_AGAIN[0] : ASK_AGAIN[1], begin);
}

function play() {
  waitingSince = null;
  const can = transport.capabilities(stream, engines.browser);
  const ways = transport.candidates(choice, can);
  way = transport.after(failures, ways);
  if (way === null) {
    cannotPlay(can);
    return;
  }
  const base = "/" + encodePath(wanted.path);
  const callbacks = { onAttached: start, onEnd: ended, onError: failed };
  prepare();
  if (way === "hls") {
    const url = withQuery(base + "/index.m3u8", wanted.token);
    engine = engines.browser.mse ? engines.hls(video, url, callbacks) : engines.native(video, url, callbacks);
  } else {
    const origin = way === "ws" ? location.origin.replace(/^http/, "ws") : location.origin;
    const url = origin + withQuery(base + ".flv", wanted.token, can.withoutAudio ? "audio=0" : "");
    engine = engines.flv(video, url, { isLive: true }, callbacks);
  }
}

function playFile() {
  const url = withQuery(location.pathname, wanted.token);
  const callbacks = { onAttached: start, onEnd: () => {}, onError: fileFailed };
  way = "file";
  prepare();
  const isFlv = wanted.path.toLowerCase().endsWith(".flv") && engines.browser.mse;
  engine = isFlv
    ? engines.flv(video, location.origin + url, { isLive: false }, { ...callbacks, onEnd: fileFailed })
    : engines.native(video, url, callbacks);
}

function prepare() {
  hasPicture = false;
  pausedAt = 0;
  rate = 1;
  video.playbackRate = 1;
  startedAt = performance.now();
  lastPosition = -1;
  lastMove = startedAt;
  say(wanted.isFile ? "Opening the file" : "Connecting", "", { turning: true });
  show("starting");
}

/** Sound if the browser lets a page begin with it, else without, and a button. */
async function start() {
  const mine = round;
  try {
    await video.play();
  } catch (error) {
    if (mine !== round || error.name !== "NotAllowedError") return;
    video.muted = true;
    setHidden(page.sound, false);
    await video.play().catch(() => {});
  }
}

/** The viewer has pressed pause: nothing may begin to play by itself. */
const isPaused = () => pausedAt > 0 && video.paused;

function ended() {
  if (isPaused()) {
    park();
    return;
  }
  // Who asks at once after an end that was none (a publisher that restarts) would spin.
  const wasShort = performance.now() - startedAt < 2_000;
  if (wasShort && !hasPicture) failures += 1;
  stop();
  say("The stream has paused", "Waiting for its publisher.", { turning: true });
  later(wasShort ? transport.wait(failures, Math.random()) : 300, begin);
}

function failed(why) {
  if (isPaused()) {
    park();
    return;
  }
  failures += 1;
  stop();
  const isFirst = !hasPicture && failures <= transport.TRIES;
  say(isFirst ? "Connecting" : "The connection was lost", "Trying again. (" + why + ")", { turning: true });
  show("starting");
  later(transport.wait(failures, Math.random()), begin);
}

async function fileFailed(why) {
  stop();
  way = null;
  hasPicture = false;
  show("failed");
  let reason = why;
  try {
    const response = await fetch(withQuery(location.pathname, wanted.token), { headers: { Range: "bytes=0-0" } });
    // A line of text: the status, a colon, the reason.
    if (!response.ok) reason = (await response.text()).replace(/^\d+ [^:]*: /, "").trim() || "The server answers " + response.status;
  } catch {
    reason = "No connection to the server";
  }
  say("This file cannot be played", reason ?? "", { again: true });
}

function cannotPlay(can) {
  const isChoice = choice !== "auto" && transport.candidates("auto", can).length > 0;
  const codec = can.lacks ? "It is " + can.lacks + ", which this browser does not decode. " : "";
  say(
    isChoice ? transport.NAMES[choice] + " is not possible here" : "This browser cannot play the stream",
    isChoice ? "Choose another transport below." : codec + "A player such as VLC can: its address is below.",
    { again: true },
  );
  if (!isChoice) byId("share").open = true;
  show("failed");
}

/** What runs several times a second while something plays. */
function look() {
  const now = performance.now();
  if (engine === null) return;
  if (video.currentTime !== lastPosition && video.readyState >= 2) {
    lastPosition = video.currentTime;
    lastMove = now;
    if (!hasPicture && !video.seeking) firstPicture(now);
  }
  if (wanted.isFile) return;
  if (!hasPicture) {
    if (now - startedAt > START_PATIENCE) failed("no picture for " + START_PATIENCE / 1000 + " s");
    else if (video.readyState < 2 || video.seeking) chase();
    return;
  }
  if (isPaused()) {
    if (now - pausedAt > PAUSE_PATIENCE) park();
    return;
  }
  chase();
  const still = now - lastMove;
  if (still > STILL_PATIENCE) failed("no picture for " + STILL_PATIENCE / 1000 + " s");
  else if (still > STILL_SAID) say("The stream has paused", "Waiting for its publisher.", { turning: true });
  else setHidden(page.message, true);
}

function firstPicture(now) {
  hasPicture = true;
  failures = 0;
  pictureAt = now;
  calmSince = now;
  say("");
  show(wanted.isFile ? "file" : "playing");
}

function chase() {
  const facts = engine.facts();
  if (!facts.chase) {
    // `live`: where HLS has to go on because it has fallen too far behind. One jump needs its time.
    const now = performance.now();
    if (facts.live != null && !video.seeking && now - jumpedAt > JUMP_PAUSE) {
      jumpedAt = now;
      video.currentTime = facts.live;
    }
    return;
  }
  const ranges = [];
  for (let i = 0; i < video.buffered.length; i += 1) ranges.push([video.buffered.start(i), video.buffered.end(i)]);
  const isStart = hasPicture && performance.now() - pictureAt < START;
  const decision = decide({ position: video.currentTime, ranges, rate, target: aim, isSeeking: video.seeking, isStart });
  if (decision.jump !== null) video.currentTime = decision.jump;
  if (decision.rate !== rate) {
    rate = decision.rate;
    video.playbackRate = rate;
  }
  behind = decision.behind * 1000;
}

/** A long pause, or one during which the stream has ended: nothing is transferred for nobody. */
function park() {
  stop();
  isParked = true;
  say("Paused");
  setHidden(page.toLive, false);
}

function backToLive() {
  failures = 0;
  begin();
}

function showStream() {
  setText(byId("picture"), format.video(stream.video));
  setText(byId("audio"), format.audio(stream.audio));
  if (stream.bitrate_bps) setText(byId("bitrate"), format.bitrate(stream.bitrate_bps));
  showAddresses();
}

function showFacts() {
  if (engine === null || !hasPicture) {
    setText(byId("delay"), format.DASH);
    return;
  }
  const facts = engine.facts();
  if (facts.bitrate) setText(byId("bitrate"), format.bitrate(facts.bitrate));
  const ms = facts.chase ? behind : facts.delay;
  document.body.dataset.delay = ms === null ? "" : String(Math.round(ms));
  setText(byId("delay"), wanted.isFile ? format.DASH : format.delay(ms));
  setText(byId("by"), { file: "File" }[way] ?? transport.NAMES[way]);
  if (wanted.isFile || !stream?.video?.width) {
    setText(byId("picture"), video.videoWidth ? video.videoWidth + "×" + video.videoHeight : format.DASH);
  }
}

function showAddresses() {
  const list = addresses(wanted.path, location, stream?.ports, stream?.hls ?? false);
  const shown = list.map(({ name, url }) => name + url).join();
  if (byId("addresses").dataset.shown === shown) return;
  byId("addresses").dataset.shown = shown;
  byId("addresses").replaceChildren(...list.map(({ name, url }) => copyLine(name, url)));
}

function showCode() {
  byId("player").href = playerList(wanted.path, wanted.token);
  const url = wanted.isFile ? location.href : location.origin + "/" + encodePath(wanted.path);
  draw(byId("qr"), url);
  const caption = isOnlyHere(location.hostname)
    ? "Leads to " + location.hostname + ", this machine only: open the page by its network address first."
    : "Watch on a phone";
  setText(byId("qr-caption"), caption);
}

function setUp() {
  document.title = wanted.path + " – weir";
  setText(byId("title"), wanted.path);
  for (const value of ["auto", ...transport.ORDER]) {
    page.choice.append(el("option", { value, selected: value === choice }, transport.NAMES[value]));
  }
  // Of a file the element tells no more than its size.
  for (const id of ["delay", "bitrate", "audio"]) setHidden(byId(id).parentElement, wanted.isFile);
  setHidden(byId("choice-label"), wanted.isFile);
  if (wanted.isFile) {
    byId("addresses").replaceChildren(
      copyLine("Page", location.href),
      copyLine("File", location.origin + withQuery(location.pathname, wanted.token)),
    );
  } else showAddresses();
  showCode();

  page.choice.addEventListener("change", () => {
    choice = page.choice.value;
    failures = 0;
    const address = new URL(location.href);
    if (choice === "auto") address.searchParams.delete("via");
    else address.searchParams.set("via", choice);
    history.replaceState(null, "", address);
    begin();
  });
  page.again.addEventListener("click", () => {
    failures = 0;
    begin();
  });
  page.sound.addEventListener("click", () => {
    video.muted = false;
    setHidden(page.sound, true);
    video.focus();
  });
  page.toLive.addEventListener("click", backToLive);
  video.addEventListener("volumechange", () => video.muted || setHidden(page.sound, true));
  video.addEventListener("pause", () => {
    // Running out at the end is no wish of the viewer's.
    if (!video.ended && engine !== null) pausedAt = performance.now();
  });
  video.addEventListener("play", () => {
    pausedAt = 0;
    if (isParked) backToLive();
  });
  video.addEventListener("waiting", () => {
    if (!hasPicture || video.paused || video.seeking) return;
    aim = Math.min(MAX_TARGET, afterStall(aim));
    calmSince = performance.now();
  });
  // A network that is back, a phone that wakes up: at once, not after the back-off.
  window.addEventListener("online", () => engine === null && !isParked && begin());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && engine === null && !isParked && page.again.hidden) begin();
  });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => event.persisted && begin());

  setInterval(look, LOOK);
  setInterval(() => {
    showFacts();
    const now = performance.now();
    if (hasPicture && now - calmSince > 60_000) {
      aim = afterCalm(aim, 60);
      calmSince = now;
    }
  }, 500);
}

setUp();
begin();
