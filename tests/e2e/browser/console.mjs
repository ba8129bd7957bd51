// The console: what it tells of a live stream and of those who play it, its graph, its previews, its buttons.

import assert from "node:assert/strict";
import { get } from "node:http";
import { Browser, ORIGIN, ask, say, seconds, until } from "./support.mjs";

const browser = await Browser.open();
const page = await browser.page("/");
await page.getByRole("heading", { name: "Nothing is live" }).waitFor();

ask("publish cam");
const asked = Date.now();
const row = page.locator("tbody", { has: page.getByRole("link", { name: "live/cam" }) });
await row.waitFor();
say("live/cam is listed", seconds(Date.now() - asked), "after ffmpeg was started");

await describesTheStream();
await drawsAGraph();
await showsAPicture();
await opensEverythingAtOnce();
await kicksAPlayer();
await records();
await browser.close();

/** Codec, size, rates, as ffmpeg was told to send them. */
async function describesTheStream() {
  const words = () => row.innerText();
  await until("what is in the stream", async () => /H\.264 640×360 25\sfps/.test(await words()) && /AAC 44\.1 kHz mono/.test(await words()));
  const rate = await until("a plausible bit rate", async () => {
    const [, value, unit] = /([\d.]+) ([kM])bit\/s/.exec(await words()) ?? [];
    const bps = value * { k: 1e3, M: 1e6 }[unit];
    return bps > 300_000 && bps < 3_000_000 && `${value} ${unit}bit/s`;
  });
  await until("a group of pictures of two seconds", async () => /2\.0 s/.test(await words()));
  say("its row:", (await words()).replace(/\s+/g, " ").slice(0, 200), "|", rate);
}

/** The line gets longer with the time and does not lie on the ground. */
async function drawsAGraph() {
  const line = () => row.locator(".graph .line").first().getAttribute("d");
  const points = async () => [...((await line()) ?? "").matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
  await until("a graph of five seconds", async () => (await points()).length >= 5);
  const drawn = await points();
  const newest = drawn.at(-1);
  const bottom = await row.locator(".graph").first().evaluate((graph) => graph.viewBox.baseVal.height);
  assert.ok(newest[1] < bottom * 0.9, "the graph lies on the ground: " + drawn.join("; "));
}

/** While the pointer rests on the name; gone with it, and its connection as well. */
async function showsAPicture() {
  const video = page.locator("#preview video");
  await page.getByRole("link", { name: "live/cam" }).hover();
  await until("a preview", async () => (await video.count()) === 1 && video.evaluate((video) => video.readyState >= 2 && video.currentTime > 0.5));
  const players = () => row.locator("td[data-label=Players]").innerText();
  await until("the preview is counted", async () => (await players()).startsWith("1"));
  await page.mouse.move(5, 700);
  await until("no preview without the pointer", async () => (await page.locator("#preview").isHidden()) && (await video.count()) === 0);
  await until("its connection is closed", async () => (await players()).startsWith("0"));
}

/** Browsers open six connections to a host at most, WebSockets aside: open rows must not use them up. */
async function opensEverythingAtOnce() {
  const keys = ["b", "c", "d", "e", "f", "g"];
  for (const key of keys) ask("publish " + key);
  for (const key of ["cam", ...keys]) await page.getByRole("button", { name: "Details of live/" + key, exact: true }).click();
  const running = () => page.locator(".picture video").evaluateAll((videos) => videos.filter((video) => video.readyState >= 2 && video.currentTime > 0).length);
  await until("seven pictures at once", async () => (await running()) === 7);
  // The seventh connection would wait for ever.
  const answer = await page.evaluate(async () => (await fetch("/api/v1/server", { signal: AbortSignal.timeout(5000) })).status);
  assert.equal(answer, 200);
  for (const key of ["cam", ...keys]) await page.getByRole("button", { name: "Details of live/" + key, exact: true }).click();
  for (const key of keys) ask("end " + key);
}

/** A player that is no browser, so that nobody begins again. */
async function kicksAPlayer() {
  let isOver = false;
  const request = get(ORIGIN + "/live/cam.flv", { headers: { "User-Agent": "to-be-kicked" } }, (response) => {
    response.resume();
    response.on("close", () => (isOver = true));
  });
  request.on("error", () => (isOver = true));
  await page.getByRole("link", { name: /^Connections/ }).click();
  const player = page.locator("#connections-table tbody tr", { hasText: "to-be-kicked" });
  await player.waitFor();
  await until("what it does", async () => /player · http-flv[\s\S]*live\/cam/.test(await player.innerText()));
  say("its connection:", (await player.innerText()).replace(/\s+/g, " "));
  assert.ok(!isOver);
  await player.getByRole("button", { name: "Kick" }).click();
  // Once is not enough.
  assert.ok(!isOver);
  await player.getByRole("button", { name: "Really?" }).click();
  await until("the player's connection is closed", () => isOver);
  await player.waitFor({ state: "detached" });
}

/** Started and stopped by the button, listed, played by the page that the list leads to. */
async function records() {
  await page.getByRole("link", { name: /^Streams/ }).click();
  await page.getByRole("button", { name: "Details of live/cam" }).click();
  await page.getByRole("button", { name: "Record", exact: true }).click();
  await row.getByText("● REC").waitFor();
  await until("two seconds of recording", async () => /, [2-9] s, /.test(await row.locator("dl").innerText()));
  await page.getByRole("button", { name: "Stop recording" }).click();
  await row.getByText("● REC").waitFor({ state: "hidden" });
  await page.getByRole("link", { name: "Files" }).click();
  const recording = page.locator("#recordings-table tr", { hasText: "live/cam" });
  await recording.waitFor();
  await until("the file is finished", async () => !/being written|not finished/.test(await recording.innerText()));
  say("its recording:", (await recording.innerText()).replace(/\s+/g, " "));
  await recording.getByRole("link", { name: "Watch" }).click();
  const video = page.locator("#video");
  await until("the recording plays", async () => (await video.count()) === 1 && video.evaluate((video) => video.readyState >= 2 && video.currentTime > 0.5));
  assert.ok(await video.evaluate((video) => video.duration > 1.5 && Number.isFinite(video.duration)));
}
