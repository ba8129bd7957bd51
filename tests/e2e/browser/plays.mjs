// Watch pages play the counter by each transport, in the same minute, in three tabs of one browser.
//
// Judged once each has played for SETTLE: what a viewer sees is never long the same, all of it comes, and its age, from the
// clock of the publisher's picture to the screen, is below the bound of the transport. The bound is for the
// 90th percentile: one hiccup of a busy machine does not fail it, a delay that stays does.

import assert from "node:assert/strict";
import { Browser, ask, pause, quantile, say, seconds } from "./support.mjs";

const BOUNDS = { flv: 1500, ws: 1500, hls: 3000 };
const SETTLE = 6_000;
const DURATION = Number(process.env.WEIR_SECONDS ?? 60) * 1000;
const RATE = 25;
/** The same picture for longer is a stall that people remember. */
const LONGEST = 3_000;

const browser = await Browser.open();
ask("publish cam");
const pages = new Map();
const requests = [];
for (const via of Object.keys(BOUNDS)) {
  const page = await browser.page("/live/cam?via=" + via);
  if (via === "hls") page.on("requestfinished", (request) => requests.push(request));
  pages.set(via, page);
}
for (const [via, page] of pages) {
  const sample = await browser.picture(page, via);
  assert.equal(sample.via, via);
  // No viewer has touched the page: it must have begun without sound by itself.
  assert.ok(sample.isMuted, via + ": began with sound");
}
await pause(SETTLE);
for (const page of pages.values()) browser.samples(page).length = 0;
requests.length = 0;
await pause(DURATION);

const failures = [];
for (const [via, page] of pages) {
  const samples = browser.samples(page);
  const pictures = samples.filter(({ picture }) => picture);
  const ages = pictures.map(({ picture }) => picture.age);
  const [first, last] = [pictures[0], pictures.at(-1)];
  const pace = (last.picture.frame - first.picture.frame) / RATE / ((last.at - first.at) / 1000);
  let longest = 0;
  // When it was, and how many seconds could have been played meanwhile: none if they had not come.
  let [when, ahead] = [0, 0];
  let since = first;
  for (const sample of pictures) {
    if (sample.picture.frame !== since.picture.frame) since = sample;
    if (sample.at - since.at <= longest) continue;
    [longest, when, ahead] = [sample.at - since.at, since.at - first.at, sample.ahead];
  }
  const own = quantile(samples.map(({ delay }) => delay ?? 0), 0.5);
  const p90 = quantile(ages, 0.9);
  say(
    via + ":", "delay median", seconds(quantile(ages, 0.5)) + ", 90 %", seconds(p90) + ", most", seconds(quantile(ages, 1)) + ";",
    "page says", seconds(own) + ";", "longest still", seconds(longest) + "; pace", pace.toFixed(3) + ",", pictures.length, "samples",
  );
  const expect = (holds, words) => holds || failures.push(via + ": " + words);
  expect(p90 < BOUNDS[via], "delay " + p90 + " ms");
  expect(longest < LONGEST, `stood still for ${longest} ms after ${seconds(when)}, with ${ahead} s to play`);
  expect(pace > 0.95 && pace < 1.05, "pace " + pace);
  expect(pictures.length > DURATION / 100 / 2, "only " + pictures.length + " samples");
  expect(samples.every(({ state }) => state === "playing"), "states " + [...new Set(samples.map(({ state }) => state))]);
}
judgeLowLatency();
await browser.close();
assert.deepEqual(failures, []);

/** hls.js asks for playlists before they are there, the server waits, and parts come rather than whole segments. */
function judgeLowLatency() {
  const asked = requests.map((request) => ({ url: new URL(request.url()), timing: request.timing() }));
  const waits = asked.filter(({ url }) => url.searchParams.has("_HLS_msn") && url.searchParams.has("_HLS_part"));
  const waited = waits.map(({ timing }) => timing.responseStart - timing.requestStart);
  const parts = asked.filter(({ url }) => /\/part-[0-9a-f]+-\d+\.\d+\.m4s$/.test(url.pathname));
  const segments = asked.filter(({ url }) => url.pathname.endsWith(".m4s")).length - parts.length;
  say("hls:", waits.length, "playlists that were waited for, median", Math.round(quantile(waited, 0.5)), "ms, most", Math.round(quantile(waited, 1)), "ms;", parts.length, "parts, the slowest", Math.round(quantile(parts.map(({ timing }) => timing.responseEnd), 1)), "ms;", segments, "whole segments");
  const least = DURATION / 1000;
  if (waits.length < least) failures.push("only " + waits.length + " requests with _HLS_msn and _HLS_part");
  if (!(quantile(waited, 0.5) > 50)) failures.push("playlists that are to be waited for come at once");
  if (parts.length < least || parts.length < segments) failures.push("only " + parts.length + " parts");
}
