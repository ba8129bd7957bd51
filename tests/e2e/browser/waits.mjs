// What a page says when there is nothing to play, and that it begins by itself; sound that waits for a touch; a pause;
// what it does where a transport does not come through.

import assert from "node:assert/strict";
import { Browser, ask, pause, say, seconds, until } from "./support.mjs";

const browser = await Browser.open(undefined, { expected: [/net::ERR_FAILED/] });

// Opened before there is a stream: says so, begins by itself.
const early = await browser.page("/live/cam");
await early.getByRole("heading", { name: "Nobody is publishing live/cam yet" }).waitFor();
await early.getByText("OFFLINE").waitFor();
ask("publish cam");
const asked = Date.now();
const begun = await browser.picture(early, "opened before the stream", { age: 2000 });
say("opened before the stream: its picture", seconds(begun.at - asked), "after ffmpeg was started");
await early.getByText("LIVE", { exact: true }).waitFor();

// Nobody has touched this page: no sound yet, and a button for it.
const page = await browser.page("/live/cam");
assert.ok((await browser.picture(page, "live already")).isMuted, "sound without a touch");
const first = browser.samples(page)[0];
say("opened while live: its picture after", seconds(browser.samples(page).find(({ picture }) => picture).at - first.at));
await page.getByRole("button", { name: "Tap for sound" }).click();
await until("sound", () => !browser.last(page).isMuted);
assert.ok(await page.locator("#sound").isHidden());
await browser.picture(page, "with sound", { age: 2000 });

// Who has paused for a moment is behind, and comes close to live again.
await page.evaluate(() => document.getElementById("video").pause());
await pause(2000);
await page.evaluate(() => document.getElementById("video").play());
const late = await until("it plays on, late", () => browser.last(page).picture?.age > 1800 && browser.last(page));
const close = await browser.picture(page, "after a pause", { age: 1500 });
say("after a pause:", seconds(late.picture.age), "behind;", seconds(close.picture.age), "after", seconds(close.at - late.at));

// Networks that let less and less through: the page takes what is left.
const noWebSockets = (page) => page.routeWebSocket(/./, (socket) => socket.close());
const noFlv = (page) => page.route(/\.flv/, (route) => route.abort()).then(() => noWebSockets(page));
for (const [what, prepare, expected] of [["no WebSockets", noWebSockets, "flv"], ["no FLV at all", noFlv, "hls"]]) {
  const behind = await browser.page("/live/cam", prepare);
  const sample = await browser.picture(behind, what);
  say(what + ":", sample.via, "after", seconds(sample.at - browser.samples(behind)[0].at));
  assert.equal(sample.via, expected);
  await behind.close();
}

// A codec that no browser has: its name, and what helps.
ask("publish-old old");
const old = await browser.page("/live/old");
await old.getByRole("heading", { name: "This browser cannot play the stream" }).waitFor();
const words = await old.locator("#details").textContent();
say("a codec that no browser has:", words);
assert.match(words, /^It is H\.263, which this browser does not decode/);
assert.match(words, /VLC/);
await old.getByText("rtmp://").first().waitFor();

await browser.close();
