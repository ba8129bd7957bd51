// What every case needs: a browser with a fresh profile that is watched, pages that report what they show, and the
// test program that starts and ends publishers.
//
// A page shows the publisher's clock and frame number as squares (tests/e2e/browser.rs draws them): read back from the
// playing element many times a second, they tell how old the picture is that a viewer sees, on one machine to the
// hundredth of a second, encoder and all. Pages report by words on the console and are not asked: for a browser, an
// evaluation by a test counts as a touch of the viewer's, and would let sound begin that no viewer has allowed.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Of the server, such as http://127.0.0.1:22000. */
export const ORIGIN = process.env.WEIR_ORIGIN;
/** Nothing that is waited for takes longer, on a slow machine either. */
export const PATIENCE = 40_000;

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** Before what a page reports. */
const SAMPLE = "weir sample ";

/** A line for whoever runs the tests. */
export const say = (...words) => console.log(words.join(" "));

/** Has the test program do something: "publish cam", "kill cam", "end cam". It is done soon, there is no answer. */
export const ask = (request) => console.log(">> " + request);

/** Waits until `what()` is truthy, and gives that. */
export async function until(words, what, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const is = await what();
    if (is) return is;
    assert.ok(Date.now() < deadline, "not in time: " + (typeof words === "function" ? words() : words));
    await pause(50);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The share `part` of the values is not above this. */
export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

export const seconds = (ms) => (ms / 1000).toFixed(2) + " s";

/** A browser with a profile of its own. */
export class Browser {
  #context;
  /** Requests to others than the server, errors of pages. */
  #trouble = [];
  /** Errors that a case brings about. */
  #expected;
  #samples = new Map();

  static async open(screen = DESKTOP, { expected = [] } = {}) {
    const browser = new Browser();
    browser.#expected = expected;
    const isPhone = screen === PHONE;
    browser.#context = await chromium.launchPersistentContext(mkdtempSync(join(process.cwd(), "profile-")), {
      executablePath: process.env.WEIR_CHROMIUM ?? "/usr/bin/chromium",
      headless: true,
      args: ARGUMENTS,
      ignoreHTTPSErrors: true,
      viewport: screen,
      deviceScaleFactor: isPhone ? 2 : 1,
      isMobile: isPhone,
      hasTouch: isPhone,
    });
    await browser.#watch();
    return browser;
  }

  async #watch() {
    const context = this.#context;
    const note = (words) => this.#expected.some((pattern) => pattern.test(words)) || this.#trouble.push(words);
    const host = new URL(ORIGIN).host;
    const isOurs = (url) => /^(data|blob|about):/.test(url) || new URL(url).host === host;
    const requested = (url) => isOurs(url) || note("a request to somebody else: " + url);
    context.on("request", (request) => requested(request.url()));
    context.on("console", (message) => {
      const [, sample] = message.text().split(SAMPLE);
      if (sample) this.samples(message.page()).push(JSON.parse(sample));
      else if (message.type() === "error") note("console: " + message.text() + " " + message.location().url);
    });
    context.on("weberror", (error) => note("thrown: " + (error.error().stack ?? error.error())));
    context.on("page", (page) => {
      page.on("websocket", (socket) => requested(socket.url()));
      page.on("crash", () => note("the page crashed"));
    });
    await context.addInitScript(sampler, SAMPLE);
  }

  /** A new tab; `prepare` sees it before it loads anything. */
  async page(address, prepare = async () => {}) {
    const page = await this.#context.newPage();
    page.setDefaultTimeout(PATIENCE);
    await prepare(page);
    await page.goto(ORIGIN + address, { waitUntil: "domcontentloaded" });
    return page;
  }

  /** What a watch page has reported, the newest last. */
  samples(page) {
    if (!this.#samples.has(page)) this.#samples.set(page, []);
    return this.#samples.get(page);
  }

  last(page) {
    return this.samples(page).at(-1);
  }

  /** Waits until a page plays, whatever it shows, and gives the first sample that says so. */
  playing(page) {
    const told = () => "it does not play; last: " + JSON.stringify(this.last(page));
    return until(told, () => this.samples(page).find(({ state }) => state === "playing"));
  }

  /** Waits until a page shows a picture of the counter that is not older than `age`, and gives that sample. */
  picture(page, words, { age = 5000, test = () => true } = {}) {
    const isIt = (sample) => sample?.state === "playing" && sample.picture && sample.picture.age < age && test(sample);
    const told = () => words + ": no fresh picture; last: " + JSON.stringify(this.last(page));
    return until(told, () => isIt(this.last(page)) && this.last(page));
  }

  /** Ends it; fails if anything was wrong meanwhile. */
  async close() {
    await this.#context.close();
    assert.deepEqual(this.#trouble, []);
  }
}

/** Keeps a picture of the screen, or of the whole page, as output of the tests. */
export async function screenshot(page, name, isWhole = false) {
  const folder = process.env.WEIR_SCREENSHOTS;
  mkdirSync(folder, { recursive: true });
  // What sticks to the top of the screen would be in the middle of a whole page.
  if (isWhole) await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(folder, name + ".png"), fullPage: isWhole });
}

/** Runs in every page: ten times a second, what the watch page says of itself, and what the squares say. */
function sampler(SAMPLE) {
  const SQUARE = 16;
  const BITS = 16;
  const canvas = document.createElement("canvas");
  canvas.width = (BITS + 1) * SQUARE;
  canvas.height = 2 * SQUARE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const read = (video) => {
    const { width, height } = canvas;
    context.drawImage(video, 0, video.videoHeight - height, width, height, 0, 0, width, height);
    const now = Date.now();
    const { data } = context.getImageData(0, 0, width, height);
    const isWhite = (column, row) => data[4 * ((row + 0.5) * SQUARE * width + (column + 0.5) * SQUARE) + 1] > 127;
    // The mark that tells this picture from others.
    if (!isWhite(BITS, 0) || isWhite(BITS, 1)) return null;
    let [clock, bit, frame] = [0, 0, 0];
    for (let column = BITS - 1; column >= 0; column -= 1) {
      // A Gray code: squares that are drawn while the clock goes on are off by one tick, not by many.
      bit ^= isWhite(column, 0) ? 1 : 0;
      clock += bit * 2 ** column;
      frame += isWhite(column, 1) ? 2 ** column : 0;
    }
    const ticks = Math.floor(now / 10) % 2 ** BITS;
    return { frame, age: ((ticks - clock + 2 ** BITS) % 2 ** BITS) * 10 };
  };
  // Seconds that it could go on with.
  const ahead = ({ buffered, currentTime }) => (buffered.length > 0 ? buffered.end(buffered.length - 1) - currentTime : 0);
  setInterval(() => {
    const video = document.getElementById("video");
    const { state, via, delay } = document.body?.dataset ?? {};
    if (!video || !state) return;
    const picture = video.readyState >= 2 && video.videoWidth >= canvas.width ? read(video) : null;
    const headline = document.getElementById("headline").textContent;
    const sample = { at: Date.now(), since: Math.round(performance.now()), state, via, delay: delay ? Number(delay) : null, isMuted: video.muted, headline, picture, ahead: ahead(video) };
    console.debug(SAMPLE + JSON.stringify(sample));
  }, 100);
}
